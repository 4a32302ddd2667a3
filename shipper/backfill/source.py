"""Where the rows of a job come from: lines by their place, always the same ones."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from shipper.protocol.batch import WIRE_BYTES_MAX

LINE_BYTES_MAX: Final = WIRE_BYTES_MAX - 4096
"""A line that does not compress must still fit into a request."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row, ready to be sent.

    Attributes:
        place: where it stands in the job, from 1.
        text: NDJSON, its newline included.
    """

    place: int
    text: bytes


class Source(Protocol):
    """The rows of one job; the same place always gives the same line, or never one."""

    @property
    def last(self) -> int:
        """The last place that may hold a row."""

    def lines(self, first: int, last: int) -> Sequence[Line]:
        """The lines of some places, in order; a place whose row cannot be sent is left out."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Rows in memory, from place 1 on; for ``check --send-test``."""

    texts: tuple[bytes, ...]

    @property
    def last(self) -> int:
        """See ``Source``."""
        return len(self.texts)

    def lines(self, first: int, last: int) -> list[Line]:
        """See ``Source``."""
        return [Line(place, self.texts[place - 1]) for place in range(first, last + 1)]


def read_line(text: bytes) -> dict[str, Any] | None:
    """The row of a line; ``None``: it is no row that can be sent as it is."""
    if not 0 < len(text) <= LINE_BYTES_MAX:
        return None
    try:
        row = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict) or not isinstance(row.get("epoch"), str):
        return None
    return row if type(row.get("seq")) is int and row.get("install_id") else None


def flagged(text: bytes) -> bytes:
    """The same row, marked as one that may be in the table already."""
    row = json.loads(text)
    return json.dumps({**row, "in_doubt": True}, separators=(",", ":")).encode() + b"\n"


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
