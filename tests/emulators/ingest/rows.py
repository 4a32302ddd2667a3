"""Rows as they come in a request, and the rules by which one is a bad row. Pure.

The real service takes one JSON text a line (RFC 8259) and tolerates blank lines; a bad row never
fails the request (ON_ERROR is always CONTINUE), it is counted and goes to the error table.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

Row = dict[str, Any]
RowRule = Callable[[Row], str | None]
"""Judges a parsed row: ``None`` when it is good, else the message of the row error."""

INVALID_JSON: Final = "Error parsing JSON"
_KINDS: Final[dict[str, tuple[type, ...]]] = {
    "number": (int, float),
    "integer": (int,),
    "text": (str,),
    "boolean": (bool,),
}


class BadRow(NamedTuple):
    """A row that was dropped: its text as sent, and why."""

    row: str
    message: str


@dataclass(frozen=True, slots=True)
class NotNull:
    """A column that must be there and not be NULL."""

    column: str

    def __call__(self, row: Row) -> str | None:
        """Judge one row; the message is the one seen live (Estuary connectors, issue 4937)."""
        if row.get(self.column) is None:
            return "NULL result in a non-nullable column"
        return None


@dataclass(frozen=True, slots=True)
class OfKind:
    """A column whose value must be a number, integer, text or boolean, or NULL."""

    column: str
    kind: str

    def __post_init__(self) -> None:
        """Refuse a type that is not known."""
        if self.kind not in _KINDS:
            raise ValueError(f"kind={self.kind!r}, expected one of {', '.join(_KINDS)}")

    def __call__(self, row: Row) -> str | None:
        """Judge one row; the message's form was seen live (Redpanda Connect)."""
        value = row.get(self.column)
        if value is None:
            return None
        fits = isinstance(value, _KINDS[self.kind])
        if fits and (self.kind == "boolean") == isinstance(value, bool):
            return None
        return f"Failed to cast variant value to {self.kind.upper()}"


@dataclass(frozen=True, slots=True)
class Poison:
    """A row whose column has one certain value is bad, whatever else it holds."""

    column: str
    value: str

    def __call__(self, row: Row) -> str | None:
        """Judge one row."""
        if self.column in row and str(row[self.column]) == self.value:
            return f"Value of {self.column} is not accepted"
        return None


def lines(body: bytes) -> tuple[bytes, ...]:
    """The rows' texts: split at line feeds; blank lines and a final carriage return go."""
    return tuple(text for text in (line.strip() for line in body.split(b"\n")) if text)


def sift(
    texts: Iterable[bytes], rules: Iterable[RowRule]
) -> tuple[tuple[bytes, ...], tuple[BadRow, ...]]:
    """Tell good rows from bad ones, both in their order.

    Args:
        texts: what ``lines`` returns.
        rules: each good row passes all of them; which rules a bad row breaks beyond the first is
            not said.
    """
    rules = tuple(rules)
    good: list[bytes] = []
    bad: list[BadRow] = []
    for text in texts:
        message = _judge(text, rules)
        if message is None:
            good.append(text)
        else:
            bad.append(BadRow(text.decode("utf-8", "replace"), message))
    return tuple(good), tuple(bad)


def _judge(text: bytes, rules: tuple[RowRule, ...]) -> str | None:
    row = parse(text)
    if row is None:
        return INVALID_JSON
    return next((message for rule in rules if (message := rule(row)) is not None), None)


def parse(text: bytes) -> Row | None:
    """One row's JSON object; ``None`` when it is no JSON, no object, or holds NaN or Infinity."""
    try:
        row = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
