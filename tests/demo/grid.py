"""The arithmetic of the sampling grid: which ticks have no row, and whether gap rows tell of them.

Samples of one boot lie ``interval`` apart. A step between two samples that is longer is a hole of
so many ticks. A tick may come late on a busy machine, which makes one step longer and the next
shorter: steps off the beat that follow each other are therefore added up before they are rounded.
A gap row may be written later than the hole that it tells of, and may tell of several holes at
once: holes and gap rows are put together by the time that they span.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from tests.demo.rows import Row, Run, microseconds

OFF_BEAT: Final = 0.25
"""Share of the interval by which a step may differ from it and still count as on the beat."""


@dataclass(slots=True)
class Hole:
    """A stretch of time of one boot with ticks missing, or with gap rows that say so.

    Attributes:
        start_ns: boottime of its beginning.
        end_ns: boottime of its end.
        ticks: ticks missing by the grid; a fraction when the grid was laid anew inside.
        covered: ticks that the gap rows inside account for.
        last_seq: seq of the sample before it; 0: only gap rows are here.
    """

    start_ns: int
    end_ns: int
    ticks: float = 0.0
    covered: int = 0
    last_seq: int = 0

    @property
    def missing(self) -> int:
        """Whole ticks missing."""
        return round(self.ticks)


def holes(rows: Sequence[Row], interval_ns: int) -> list[Hole]:
    """Every hole of the stored rows, oldest boot first, with what gap rows say about it."""
    found: list[Hole] = []
    for boot_id in dict.fromkeys(row.values.get("boot_id") for row in rows):
        mine = [row for row in rows if row.values.get("boot_id") == boot_id]
        parts = [*_steps(mine, interval_ns), *_told(mine)]
        found.extend(_merged(sorted(parts, key=lambda part: (part.start_ns, part.end_ns))))
    return [hole for hole in found if hole.missing or hole.covered]


def _steps(rows: Sequence[Row], interval_ns: int) -> Iterable[Hole]:
    """The steps between samples that are off the beat."""
    samples = sorted((r for r in rows if r.kind == "sample"), key=lambda row: row.boottime_ns)
    for before, after in pairwise(samples):
        start_ns, end_ns = before.boottime_ns, after.boottime_ns
        ticks = (end_ns - start_ns) / interval_ns - 1
        if abs(ticks) > OFF_BEAT:
            yield Hole(start_ns, end_ns, ticks=ticks, last_seq=before.key.seq)


def _told(rows: Sequence[Row]) -> Iterable[Hole]:
    """What the gap rows tell of ticks that were never stored; those have no seq of their own."""
    for row in rows:
        if row.kind != "gap" or row.detail.get("first_seq") is not None:
            continue
        offset_us = row.values["taken_at"] - row.boottime_ns // 1000
        ends = [
            row.boottime_ns if text is None else (microseconds(text) - offset_us) * 1000
            for text in (row.detail.get("from"), row.detail.get("to"))
        ]
        yield Hole(min(ends), max(ends), covered=row.detail["count"] or 0)


def _merged(parts: Sequence[Hole]) -> Iterable[Hole]:
    """Parts that touch become one hole."""
    current: Hole | None = None
    for part in parts:
        if current is None or part.start_ns > current.end_ns:
            if current is not None:
                yield current
            current = part
            continue
        current.end_ns = max(current.end_ns, part.end_ns)
        current.ticks += part.ticks
        current.covered += part.covered
        current.last_seq = current.last_seq or part.last_seq
    if current is not None:
        yield current


def agrees(hole: Hole, runs: Sequence[Run]) -> bool:
    """Whether the gap rows of a hole say what the grid says.

    A new start lays the grid anew, at any phase to the old one: across it a hole is no whole number
    of ticks. Its gap row is written before the first tick comes, so it may round the other way.
    """
    if any(hole.start_ns <= run.end_ns <= hole.end_ns for run in runs):
        return abs(hole.ticks - hole.covered) <= 0.5 + OFF_BEAT
    return hole.missing == hole.covered


def within(run: Run, rows: Iterable[Row]) -> int:
    """How many samples one life of the collector stored."""
    return sum(
        row.kind == "sample" and run.start_ns <= row.boottime_ns < run.end_ns for row in rows
    )


def told(run: Run, found: Iterable[Hole]) -> int:
    """How many ticks gap rows account for in holes that touch one life of the collector."""
    return sum(
        hole.covered for hole in found
        if hole.start_ns < run.end_ns and hole.end_ns >= run.start_ns
    )
