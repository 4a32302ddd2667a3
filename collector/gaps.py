"""Gap and event rows that the collector itself has to tell: ticks that never were, and clock steps.

A gap of ticks that were never stored has no seq: ``first_seq`` and ``last_seq`` are null, the times
and the count are what is known of it.
"""

from datetime import UTC, datetime
from enum import StrEnum

from collector.assemble import json_text, stamped_row
from collector.timekeeping import Stamp, Step, seconds
from common.sample import Kind
from common.spool.row import NewRow


class Reason(StrEnum):
    """Why ticks are missing that were never stored."""

    NOT_RUNNING = "not_running"
    KILLED = "killed"
    MISSED_TICKS = "missed_ticks"
    MEMORY_FULL = "memory_full"


def utc_text(realtime_ns: int) -> str:
    """A time as details say it: ISO 8601, UTC, microseconds."""
    moment = datetime.fromtimestamp(realtime_ns // 1000 / 1_000_000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def gap_row(
    stamp: Stamp, reason: Reason, count: int | None, from_ns: int | None, to_ns: int | None
) -> NewRow:
    """The row of a gap without seq.

    Args:
        stamp: when it is told.
        reason: why.
        count: ticks that are missing; ``None``: unknown.
        from_ns: wall clock of its beginning; ``None``: unknown.
        to_ns: wall clock of its end; ``None``: unknown.
    """
    detail = {
        "first_seq": None,
        "last_seq": None,
        "count": count,
        "reason": reason.value,
        "from": None if from_ns is None else utc_text(from_ns),
        "to": None if to_ns is None else utc_text(to_ns),
    }
    return stamped_row(stamp, Kind.GAP, {"detail": json_text(detail)})


def clock_step_row(step: Step) -> NewRow:
    """The event row of a step of the wall clock; its detail has the times before and after."""
    detail = {
        "event": "clock_step",
        "by_s": seconds(step.by_ns),
        "from": utc_text(step.at.realtime_ns - step.by_ns),
        "to": utc_text(step.at.realtime_ns),
    }
    return stamped_row(step.at, Kind.EVENT, {"detail": json_text(detail)})


class MissedTicks:
    """Coalesces ticks missed while running into one gap row a minute.

    Args:
        every_s: longest time that a run of missed ticks is kept back, monotonic seconds.
    """

    def __init__(self, every_s: float = 60.0) -> None:
        self._every_s = every_s
        self._count = 0
        self._from_ns = 0
        self._since_s = 0.0
        self.total = 0

    def add(self, count: int, from_ns: int, now_s: float) -> None:
        """Count ticks that passed unseen, the first of them at ``from_ns`` of the wall clock."""
        if count <= 0:
            return
        if not self._count:
            self._from_ns, self._since_s = from_ns, now_s
        self._count += count
        self.total += count

    def due(self, now_s: float) -> bool:
        """Whether the gap row ought to be written."""
        return self._count > 0 and now_s - self._since_s >= self._every_s

    def take(self, stamp: Stamp) -> NewRow | None:
        """The gap row of what was counted, which is then forgotten; ``None``: nothing was."""
        if not self._count:
            return None
        row = gap_row(stamp, Reason.MISSED_TICKS, self._count, self._from_ns, stamp.realtime_ns)
        self._count = 0
        return row
