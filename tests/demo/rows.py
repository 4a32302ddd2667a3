"""The words of the reconciliation: a row with its key, and one life of the collector."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple


class Key(NamedTuple):
    """The identity of a row; never names two samples."""

    install_id: str
    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class Row:
    """One row, as the spool or the server has it.

    Attributes:
        key: its identity.
        values: the other columns by name; a column that is NULL may be left out.
        redated_us: what ``taken_at`` becomes when the row is dated anew by the offset of its boot
            (µs since 1970 UTC); ``None``: its boot has no offset. Only the spool knows it.
    """

    key: Key
    values: Mapping[str, Any]
    redated_us: int | None = None

    @property
    def kind(self) -> str:
        """sample, gap, event or tombstone."""
        return str(self.values.get("kind"))

    @property
    def boottime_ns(self) -> int:
        """Nanoseconds since boot when it was taken."""
        return int(self.values["boottime_ns"])

    @property
    def detail(self) -> Mapping[str, Any]:
        """What a gap, event or tombstone tells."""
        return self.values.get("detail") or {}


@dataclass(frozen=True, slots=True)
class Run:
    """One life of the collector's process.

    Attributes:
        start_ns: boottime just before it was started.
        end_ns: boottime just after it had ended.
        ticks: the last value of its tick counter that anybody saw; it may have taken more.
    """

    start_ns: int
    end_ns: int
    ticks: int


def microseconds(text: str) -> int:
    """A time on the wire as µs since 1970 UTC; one without a zone is UTC."""
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
