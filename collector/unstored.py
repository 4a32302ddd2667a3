"""Ticks that were never stored: lost with the memory at a kill or a power cut, or not taken at all.

At a start the last stored row says how long nothing was stored. Within one boot the boottime counts
exactly. Across boots only the wall clock can, and only if it was synchronised on both sides;
otherwise the count is unknown, and the row, once re-dated, shows the time all the same.
"""

from dataclasses import dataclass

from collector.gaps import Gap, GapReason, gap_row
from collector.spool.decide import LastRow
from collector.stamp import Stamp
from common.spool.row import NewRow

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LastStored:
    """The newest row in the spool at the start.

    Attributes:
        boot_id: the boot that took it.
        stamp: when; its realtime is re-dated if its boot was synchronised later.
        clean: whether the run that stored it ended by storing all it had.
    """

    boot_id: str
    stamp: Stamp
    clean: bool


def last_stored(row: LastRow | None) -> LastStored | None:
    """What the spool knows of its newest tick, re-dated when its boot was synchronised later."""
    if row is None:
        return None
    realtime_ns, synced = row.taken_at * 1000, row.clock_synced
    if row.offset_ns is not None:
        realtime_ns, synced = row.boottime_ns + row.offset_ns, True
    return LastStored(row.boot_id, Stamp(realtime_ns, row.boottime_ns, synced), row.clean)


def unstored_row(
    last: LastStored | None, now: Stamp, boot_id: str, first_tick_in_s: float, interval_s: float
) -> NewRow | None:
    """The gap row between the last stored row and the first tick to come.

    Args:
        last: ``None``: nothing was ever stored, so nothing is missing.
        now: this moment.
        boot_id: the running boot.
        first_tick_in_s: seconds until the first tick.
        interval_s: seconds between two ticks.

    Returns:
        ``None`` when no tick is missing.
    """
    if last is None:
        return None
    reason = GapReason.NOT_RUNNING if last.clean else GapReason.KILLED
    pause_ns = _pause_ns(last, now, boot_id)
    known_ns = last.stamp.realtime_ns
    if pause_ns is None:
        until_ns = now.realtime_ns if now.synced else None
        return gap_row(Gap(reason, None, from_ns=known_ns, to_ns=until_ns), now)
    count = round((pause_ns / _NS + first_tick_in_s) / interval_s) - 1
    if count <= 0:
        return None
    from_ns = now.realtime_ns - pause_ns
    return gap_row(Gap(reason, count, from_ns=from_ns, to_ns=now.realtime_ns), now)


def _pause_ns(last: LastStored, now: Stamp, boot_id: str) -> int | None:
    """Time since the last stored row, or ``None`` when no clock can tell."""
    if last.boot_id == boot_id:
        return max(0, now.boottime_ns - last.stamp.boottime_ns)
    if last.stamp.synced and now.synced:
        return max(0, now.realtime_ns - last.stamp.realtime_ns)
    return None
