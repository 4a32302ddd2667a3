"""Gap rows: what was not kept, said in the same stream as what was.

A gap of ticks that were never stored has no seq: ``first_seq`` and ``last_seq`` are null, the times
and the count are what is known of it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from collector.stamp import Stamp, marker_row, utc_text
from common.sample import Kind
from common.spool.row import NewRow


class GapReason(StrEnum):
    """Why ticks that never had a number are missing (the first four), or numbered rows."""

    NOT_RUNNING = "not_running"
    KILLED = "killed"
    MISSED_TICKS = "missed_ticks"
    MEMORY_FULL = "memory_full"

    THINNED = "thinned"
    DROPPED = "dropped"
    QUARANTINE = "quarantine"
    SEQ_JUMP = "seq_jump"
    LOST_BY_CUT = "lost_by_cut"
    INHERITED = "inherited"


@dataclass(frozen=True, slots=True)
class Gap:
    """One stretch that is no longer, or never was, in the spool.

    Attributes:
        reason: see ``GapReason``.
        count: rows, or ticks that were never stored; ``None``: unknown.
        first_seq: least seq of the stretch; ``None`` for ticks that never had one.
        last_seq: greatest seq; ``None`` like ``first_seq``.
        from_ns: wall clock when the first of them was taken or due; ``None``: not known.
        to_ns: wall clock when the last of them was taken or due; ``None``: not known.
        more: further keys of the row's detail, such as the reasons of merged gaps.
    """

    reason: GapReason
    count: int | None
    first_seq: int | None = None
    last_seq: int | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    more: Mapping[str, object] = field(default_factory=dict)

    @property
    def detail(self) -> dict[str, object]:
        """The row's ``detail`` column."""
        return {
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "count": self.count,
            "reason": self.reason.value,
            "from": None if self.from_ns is None else utc_text(self.from_ns),
            "to": None if self.to_ns is None else utc_text(self.to_ns),
            **self.more,
        }


def gap_row(gap: Gap, now: Stamp) -> NewRow:
    """The row that tells of a gap."""
    return marker_row(now, Kind.GAP, gap.detail)


@dataclass(slots=True)
class Merged:
    """What gap rows that are dropped had told; the gap row of the drop tells it on.

    Attributes:
        rows: gap rows that were dropped, in earlier drops too: numbered rows like any other.
        by_reason: their counts; ``None``: a count that nobody knows.
        first_seq: least seq that they told of; ``None``: they told of ticks without a number.
        last_seq: greatest seq; ``None`` like ``first_seq``.
    """

    rows: int = 0
    by_reason: dict[str, int | None] = field(default_factory=dict)
    first_seq: int | None = None
    last_seq: int | None = None

    @property
    def count(self) -> int:
        """All known counts together."""
        return sum(count or 0 for count in self.by_reason.values())

    def add(self, detail: str) -> None:
        """Take over the ``detail`` column of one more of them."""
        told = json.loads(detail)
        self.rows += 1 + told.get("gap_rows", 0)
        for reason, count in (told.get("merged") or {told["reason"]: told["count"]}).items():
            earlier = self.by_reason.get(reason, 0)
            self.by_reason[reason] = None if count is None or earlier is None else earlier + count
        first, last = told.get("first_seq"), told.get("last_seq")
        if first is not None and last is not None:
            self.first_seq = first if self.first_seq is None else min(self.first_seq, first)
            self.last_seq = last if self.last_seq is None else max(self.last_seq, last)
