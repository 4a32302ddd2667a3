"""The verdict: what was taken, stored and committed, held against each other.

Three sources that know nothing of each other: the tick counter that the collector showed while it
lived, the rows in ``spool.db``, and the rows that the server committed. This file is arithmetic
over the three; it reads nothing and asks nobody (``sources`` does).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from tests.demo import grid
from tests.demo.rows import Key, Row, Run

UNCOVERED: Final = "uncovered hole"
"""The sort of finding that tells of ticks without a row and without a gap row."""

UNCOMPARED: Final = frozenset({"in_doubt"})
"""Columns that the spool does not hold: the shipper decides them when it encodes the row."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement: its sort, and which row or time it is about."""

    sort: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the three sources say together.

    Attributes:
        taken: ticks that the collectors took: the greater of counted and stored, run by run.
        stored: rows of all kinds in the spool, the trimmed ones included.
        committed: distinct rows that the server committed.
        samples: stored rows that are samples.
        gaps: stored rows that are gap rows.
        lost: stored rows that the server does not have.
        duplicated: copies beyond the first on the server.
        unstored: ticks of the grid without a row, between the first and the last sample.
        covered: ticks that the gap rows account for.
        in_doubt: rows that arrived flagged as possible copies.
        findings: every disagreement; none: the promise was kept.
    """

    taken: int
    stored: int
    committed: int
    samples: int
    gaps: int
    lost: int
    duplicated: int
    unstored: int
    covered: int
    in_doubt: int
    findings: tuple[Finding, ...]

    @property
    def kept(self) -> bool:
        """Whether every row arrived exactly once and every hole is accounted for."""
        return not self.findings

    @property
    def line(self) -> str:
        """The one line that a person waits for."""
        told = any(finding.sort == UNCOVERED for finding in self.findings)
        holes = f"{self.covered} in gap rows" if told else "all in gap rows"
        return (
            f"taken {self.taken} · stored {self.stored} · committed {self.committed} · "
            f"lost {self.lost} · duplicated {self.duplicated} · "
            f"unstored ticks {self.unstored}, {holes}"
        )


def reconcile(
    runs: Sequence[Run], stored: Sequence[Row], committed: Sequence[Row], interval_ns: int
) -> Verdict:
    """Hold the three sources against each other.

    Args:
        runs: the collector's lives, oldest first; a life nobody scraped has zero ticks.
        stored: all rows that the spool holds, nothing trimmed.
        committed: every row that the server committed, in its order, copies included.
        interval_ns: the sampling grid.
    """
    holes = grid.holes(stored, interval_ns)
    copies = Counter(row.key for row in committed)
    missing = sorted({r.key for r in stored} - copies.keys(), key=lambda k: k.seq)
    findings = [
        *(Finding("lost", f"{_name(key)} is in the spool, not on the server") for key in missing),
        *_duplicates(copies),
        *_invented(stored, copies),
        *_changed(stored, committed),
        *_seq(stored, "spool"),
        *_seq(committed, "server"),
        *_uncovered(holes, runs),
        *_untold(runs, stored, holes),
    ]
    return Verdict(
        taken=sum(max(run.ticks, grid.within(run, stored)) for run in runs),
        stored=len(stored),
        committed=len(copies),
        samples=sum(row.kind == "sample" for row in stored),
        gaps=sum(row.kind == "gap" for row in stored),
        lost=len(missing),
        duplicated=sum(copies.values()) - len(copies),
        unstored=sum(
            hole.covered if grid.agrees(hole, runs) else hole.missing for hole in holes
        ),
        covered=sum(hole.covered for hole in holes),
        in_doubt=sum(bool(row.values.get("in_doubt")) for row in committed),
        findings=tuple(findings),
    )


def _name(key: Key) -> str:
    """A key for a person."""
    return f"row {key.seq} of epoch {key.epoch}, install {key.install_id}"


def _duplicates(copies: Counter[Key]) -> Iterable[Finding]:
    """Keys that the server committed more than once."""
    for key, times in copies.items():
        if times > 1:
            yield Finding("duplicated", f"{_name(key)} is on the server {times} times")


def _invented(stored: Sequence[Row], copies: Counter[Key]) -> Iterable[Finding]:
    """Keys on the server that nobody stored."""
    for key in sorted(copies.keys() - {row.key for row in stored}, key=lambda k: k.seq):
        yield Finding("invented", f"{_name(key)} is on the server, not in the spool")


def _changed(stored: Sequence[Row], committed: Sequence[Row]) -> Iterable[Finding]:
    """Columns that arrived with another value than they were stored with."""
    by_key = {row.key: row for row in stored}
    for arrived in committed:
        source = by_key.get(arrived.key)
        if source is None:
            continue
        for column in sorted({*source.values, *arrived.values} - UNCOMPARED):
            was, now = source.values.get(column), arrived.values.get(column)
            if was != now and not _redated(source, arrived, column):
                yield Finding(
                    "changed", f"{_name(arrived.key)}: {column} was stored {was!r}, arrived {now!r}"
                )


def _redated(source: Row, arrived: Row, column: str) -> bool:
    """Whether the row was taken by a wrong clock and arrived with the right time for its boot."""
    if column not in {"taken_at", "clock_synced"} or source.redated_us is None:
        return False
    return (
        not source.values.get("clock_synced")
        and arrived.values.get("clock_synced") is True
        and arrived.values.get("taken_at") == source.redated_us
    )


def _seq(rows: Sequence[Row], where: str) -> Iterable[Finding]:
    """Numbers missing from the line 1, 2, 3 … of an install, unless a gap row names them."""
    for install in sorted({row.key.install_id for row in rows}):
        mine = [row for row in rows if row.key.install_id == install]
        have = {row.key.seq for row in mine}
        for row in mine:
            first, last = row.detail.get("first_seq"), row.detail.get("last_seq")
            if row.kind == "gap" and first is not None and last is not None:
                have.update(range(int(first), int(last) + 1))
        absent = sorted(set(range(1, max(have) + 1)) - have)
        if absent:
            shown = ", ".join(map(str, absent[:10])) + (" …" if len(absent) > 10 else "")
            yield Finding("hole in seq", f"{where}, install {install}: no row has seq {shown}")


def _uncovered(holes: Sequence[grid.Hole], runs: Sequence[Run]) -> Iterable[Finding]:
    """Holes whose gap rows say another number than the grid does."""
    for hole in holes:
        if not grid.agrees(hole, runs):
            yield Finding(
                UNCOVERED,
                f"{hole.missing} ticks are missing after seq {hole.last_seq}, within "
                f"{(hole.end_ns - hole.start_ns) / 1e9:.2f} s; gap rows tell of {hole.covered}",
            )


def _untold(
    runs: Sequence[Run], stored: Sequence[Row], holes: Sequence[grid.Hole]
) -> Iterable[Finding]:
    """Ticks that a collector counted, and that neither a row nor a gap row knows of."""
    for number, run in enumerate(runs, 1):
        told = grid.within(run, stored) + grid.told(run, holes)
        if run.ticks > told:
            yield Finding(
                "untold ticks",
                f"collector run {number} counted {run.ticks} ticks; "
                f"rows and gap rows tell of {told}",
            )
