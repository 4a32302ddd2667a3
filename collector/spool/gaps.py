"""Gap rows: what was not kept, said in the same stream as what was."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from collector.spool.options import Moment
from common.columns import Scalar
from common.sample import Kind
from common.spool.row import NewRow, new_row


class GapReason(StrEnum):
    """Why numbered rows are missing; ``collector.gaps`` tells of ticks that had no number."""

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
        count: rows, or ticks that were never stored.
        first_seq: least seq of the stretch; ``None`` for ticks that never had one.
        last_seq: greatest seq; ``None`` like ``first_seq``.
        from_us: when the first of them was taken or due, UTC, µs; ``None``: not known.
        to_us: when the last of them was taken or due; ``None``: not known.
        more: further keys of the row's detail, such as the reasons of merged gaps.
    """

    reason: GapReason
    count: int
    first_seq: int | None = None
    last_seq: int | None = None
    from_us: int | None = None
    to_us: int | None = None
    more: Mapping[str, object] = field(default_factory=dict)

    @property
    def detail(self) -> str:
        """JSON of the row's ``detail`` column."""
        told = {
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "count": self.count,
            "reason": self.reason.value,
            "from": _iso(self.from_us),
            "to": _iso(self.to_us),
        }
        return json.dumps({**told, **self.more}, separators=(",", ":"))


def gap_row(gap: Gap, now: Moment) -> NewRow:
    """The row that tells of a gap."""
    return marker_row(Kind.GAP, gap.detail, now)


def marker_row(kind: Kind, detail: str, now: Moment) -> NewRow:
    """A row without measurements: a gap or an event, taken now."""
    values: dict[str, Scalar] = {
        "taken_at": now.taken_at,
        "clock_synced": int(now.synced),
        "boottime_ns": now.boottime_ns,
        "kind": kind.value,
        "detail": detail,
    }
    return new_row(values)


def merged(details: Iterable[str]) -> tuple[int, dict[str, int | None]]:
    """What gap rows that are dropped had told.

    Args:
        details: their ``detail`` columns.

    Returns:
        All known counts together, and by reason; ``None``: a count that nobody knows.
    """
    by_reason: dict[str, int | None] = {}
    for detail in details:
        told = json.loads(detail)
        for reason, count in (told.get("merged") or {told["reason"]: told["count"]}).items():
            earlier = by_reason.get(reason, 0)
            by_reason[reason] = None if count is None or earlier is None else earlier + count
    return sum(count or 0 for count in by_reason.values()), by_reason


def _iso(us: int | None) -> str | None:
    if us is None:
        return None
    try:
        when = datetime.fromtimestamp(us // 1_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{when:%Y-%m-%dT%H:%M:%S}.{us % 1_000_000:06d}Z"
