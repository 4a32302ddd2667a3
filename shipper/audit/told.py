"""What the stored gap rows tell of together: which reason covers a number, and how many left."""

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from shipper.audit.facts import GapRow, Range

NUMBERED: Final = frozenset({"thinned", "dropped", "quarantine", "seq_jump", "lost_by_cut"})
"""Reasons of gap rows that tell of rows with numbers; the others tell of ticks never stored."""


class Piece(NamedTuple):
    """A part of a hole.

    Attributes:
        found: its numbers.
        reason: of the gap row that tells of it; ``None``: none does.
        island: which stretch of touching gap rows it lies in; -1: none.
    """

    found: Range
    reason: str | None
    island: int


class Told:
    """The told numbers as disjoint segments in order.

    Args:
        rows: gap rows in the order of their own seqs; where several tell of a number, the earliest
            names the reason.

    Attributes:
        islands: stretches of told ranges that touch.
        counts: how many rows of each island its gap rows count.
    """

    def __init__(self, rows: Iterable[GapRow]) -> None:
        self.islands: list[Range] = []
        self.counts: list[int] = []
        self._segments: list[Piece] = []
        self._lasts: list[int] = []
        for row in sorted(rows, key=lambda row: (row.told, row.seq)):
            self._add(row)

    def pieces(self, hole: Range) -> Iterator[Piece]:
        """Cut a hole where the reason changes."""
        first = hole.first
        for segment in self._segments[bisect_left(self._lasts, first):]:
            if segment.found.first > hole.last or first > hole.last:
                break
            if segment.found.first > first:
                yield Piece(Range(first, segment.found.first - 1), None, -1)
                first = segment.found.first
            last = min(segment.found.last, hole.last)
            yield Piece(Range(first, last), segment.reason, segment.island)
            first = last + 1
        if first <= hole.last:
            yield Piece(Range(first, hole.last), None, -1)

    def _add(self, row: GapRow) -> None:
        first, last = row.told
        reached = self.islands[-1].last if self.islands else -1
        if self.islands and first <= reached + 1:
            self.islands[-1] = Range(self.islands[-1].first, max(last, reached))
            self.counts[-1] += row.count
        else:
            self.islands.append(row.told)
            self.counts.append(row.count)
        first = max(first, reached + 1)
        if first <= last:
            self._segments.append(Piece(Range(first, last), row.reason, len(self.islands) - 1))
            self._lasts.append(last)


def gap_row(seq: int, detail: str) -> GapRow | None:
    """Read a gap row's detail; ``None``: it tells of ticks that never had a number.

    Raises:
        ValueError: the detail is not one of ours.
    """
    told = json.loads(detail)
    try:
        first, last, reason = told["first_seq"], told["last_seq"], str(told["reason"])
        if first is None or last is None:
            return None
        if "gap_rows" not in told:
            return GapRow(seq, Range(int(first), int(last)), int(told["count"]), reason)
        merged = sum(told["merged"].get(name) or 0 for name in NUMBERED)
        return GapRow(seq, Range(int(first), int(last)), merged + told["gap_rows"], reason)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"gap row {seq}: {detail[:200]}") from error
