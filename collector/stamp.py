"""One reading of the clocks, and the row that carries it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from common.clock import Clock
from common.columns import Scalar
from common.sample import Kind
from common.spool.row import NewRow, new_row


@dataclass(frozen=True, slots=True)
class Stamp:
    """One moment on both clocks.

    Attributes:
        realtime_ns: wall clock, nanoseconds since 1970 UTC.
        boottime_ns: nanoseconds since boot, suspend included.
        synced: whether the kernel held the wall clock to be synchronised.
    """

    realtime_ns: int
    boottime_ns: int
    synced: bool

    @property
    def offset_ns(self) -> int:
        """What to add to a boottime of this boot to get the wall clock."""
        return self.realtime_ns - self.boottime_ns


def read_stamp(clock: Clock) -> Stamp:
    """This moment."""
    return Stamp(clock.realtime_ns(), clock.boottime_ns(), clock.synchronised())


def stamped_row(stamp: Stamp, kind: Kind, values: Mapping[str, Scalar]) -> NewRow:
    """A row of any kind; columns that ``values`` does not name are NULL."""
    return new_row(
        {
            "taken_at": stamp.realtime_ns // 1000,
            "clock_synced": stamp.synced,
            "boottime_ns": stamp.boottime_ns,
            "kind": kind.value,
            **values,
        }
    )


def marker_row(stamp: Stamp, kind: Kind, detail: Mapping[str, object]) -> NewRow:
    """A row without measurements: a gap or an event."""
    return stamped_row(stamp, kind, {"detail": json_text(detail)})


def json_text(value: Mapping[str, object]) -> str:
    """JSON as the spool keeps it: compact, in the order given, no NaN."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def utc_text(realtime_ns: int) -> str | None:
    """A time as details say it, ISO 8601, UTC, µs; ``None``: no calendar has such a time."""
    us = realtime_ns // 1000
    try:
        when = datetime.fromtimestamp(us // 1_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return f"{when:%Y-%m-%dT%H:%M:%S}.{us % 1_000_000:06d}Z"
