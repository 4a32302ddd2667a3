"""Reads every row of ``spool.db`` once, beside both running services, and counts.

Short statements and flat memory, as everywhere: no cursor stays open between two pieces, so the
collector's log can be reset. Rows that are trimmed meanwhile are found gone, and looked up.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final

from common.database import open_reader, translate
from common.errors import ExitCode, SpoolError
from common.identity import Position
from common.spool.reader import SpoolReader
from common.spool.row import StoredRow
from common.spool.schema import ASIDE_DIRECTORY, SPOOL_FILE
from shipper.audit.facts import (
    RANGES_MAX,
    EpochCount,
    GapRow,
    Range,
    Ranges,
    ShipFacts,
    SpoolFacts,
    licensed,
)
from shipper.audit.told import Told, gap_row

CHUNK_ROWS: Final = 1000
TRIES: Final = 3
_GAPS: Final = (
    "SELECT seq, detail FROM readings WHERE kind = 'gap' AND seq > ? ORDER BY seq LIMIT ?"
)
_NOTE: Final = "unfinished.json"

Advance = Callable[[int], None]
"""Is told how many rows have been read; may raise to end the reading."""


class SpoolMoved(SpoolError):
    """The spool became another while it was read; the audit is to be run again."""

    exit_code = ExitCode.TEMPFAIL


def read_spool(directory: Path, ship: Callable[[], ShipFacts], advance: Advance) -> SpoolFacts:
    """All facts of the spool.

    Args:
        directory: of the spool.
        ship: reads ``ship.db`` now.
        advance: see ``Advance``.

    Raises:
        SpoolMoved: a new file or history was begun meanwhile.
        SpoolError: it cannot be read.
    """
    with SpoolReader(directory) as spool:
        install, before = spool.install(), spool.lineage()
        walk = _walked(directory, spool, ship, advance)
        lineage = spool.lineage()
        if spool.install() != install or lineage.epochs[: len(before.epochs) - 1] != (
            before.epochs[:-1]
        ):
            raise _moved(directory)
        return SpoolFacts(
            install,
            lineage,
            spool.trimmed(),
            tuple(walk.counts[order] for order in sorted(walk.counts)),
            walk.between,
            walk.rows,
            walk.oldest,
            walk.newest,
            walk.vanished,
            walk.vanished_acknowledged,
            tuple(walk.corrupt),
            walk.corrupt_count,
            walk.gap_rows,
            walk.hiding(),
            frozenset(spool.copied_events()),
            spool.honoured_requests(),
            spool.salvage_pending(),
            *_aside(directory),
        )


def _walked(
    directory: Path, spool: SpoolReader, ship: Callable[[], ShipFacts], advance: Advance
) -> "_Walk":
    """Read all rows; again when the collector was thinning them meanwhile."""
    for _ in range(TRIES):
        walk = _Walk(directory, spool, ship())
        walk.run(advance)
        if not walk.thinned_meanwhile():
            return walk
    raise _moved(directory)


class _Walk:
    """One reading of all rows, from the oldest on."""

    def __init__(self, directory: Path, spool: SpoolReader, ship: ShipFacts) -> None:
        self._path = directory / SPOOL_FILE
        self._spool = spool
        self._lineage = spool.lineage()
        progress = ship.progress
        self._done = licensed(self._lineage, progress.acknowledged, spool.trimmed())
        exposed = progress.exposed
        self._left = None if exposed is None else self._lineage.position(*exposed)
        self.gap_rows = tuple(self._read_gaps())
        self._told = Told(self.gap_rows)
        self._absent = [0] * len(self._told.islands)
        self._base = 0
        self.counts = {e.order: EpochCount(e.order, e.epoch, Range(e.first_seq, e.last_seq))
                       for e in self._lineage.epochs}
        self.between: dict[str, int] = {}
        self._current: EpochCount | None = None
        self.rows = self.corrupt_count = 0
        self.corrupt: list[tuple[str, int]] = []
        self.oldest: int | None = None
        self.newest: Position | None = None
        self.vanished, self.vanished_acknowledged = Ranges(), Ranges()

    def run(self, advance: Advance) -> None:
        """Read all rows."""
        done = 0 if self._done is None else self._done.seq
        reached = done
        while rows := self._spool.read_after(self.newest, CHUNK_ROWS):
            if self.oldest is None:
                self.oldest = rows[0].seq
                self._base = min(done, self.oldest - 1)
                self._trimmed(Range(1, self._base))
                reached = self._base
            self._epoch(rows)
            for row in rows:
                if row.seq > reached + 1:
                    self._hole(Range(reached + 1, row.seq - 1))
                self._row(row)
                reached = row.seq
            self.newest = rows[-1].position
            advance(self.rows)
        if self.oldest is None:
            self._trimmed(Range(1, done))
        self._end(reached)

    def hiding(self) -> tuple[tuple[Range, int, int], ...]:
        """Stretches where more is absent than the gap rows count; trimmed ones are left out."""
        found = zip(self._told.islands, self._absent, self._told.counts, strict=True)
        return tuple(
            (island, absent, told)
            for island, absent, told in found
            if island.first > self._base and absent > told
        )

    def thinned_meanwhile(self) -> bool:
        """Whether holes were found whose gap rows came after the reading had begun."""
        if not self.vanished.count and not self.hiding():
            return False
        return tuple(self._read_gaps()) != self.gap_rows

    def _row(self, row: StoredRow) -> None:
        count = self.counts[row.origin.order]
        place = row.position
        if self._done is not None and place <= self._done:
            count.acknowledged += 1
        elif self._left is not None and place <= self._left:
            count.exposed += 1
        else:
            count.waiting += 1
        self.rows += 1
        if not row.intact:
            self.corrupt_count += 1
            if len(self.corrupt) < RANGES_MAX:
                self.corrupt.append((row.origin.epoch, row.seq))

    def _epoch(self, rows: list[StoredRow]) -> None:
        """Take up an epoch, or rows of one, that were stored since the audit began."""
        order, last = rows[0].origin.order, rows[-1].seq
        if order not in self.counts:
            self._lineage = self._spool.lineage()
            for epoch in self._lineage.epochs:
                found = EpochCount(epoch.order, epoch.epoch, Range(epoch.first_seq, epoch.last_seq))
                self.counts.setdefault(epoch.order, found)
        count = self.counts[order]
        if last > count.given.last:
            count.given = Range(count.given.first, last)
        self._current = count

    def _end(self, reached: int) -> None:
        """The newest epoch ends with the last row that was read."""
        if self.newest is not None:
            count = self.counts[self.newest.order]
            count.given = Range(count.given.first, reached)

    def _trimmed(self, gone: Range) -> None:
        for _, count, part in self._by_epoch(gone):
            if count is not None:
                count.trimmed += part.size

    def _hole(self, hole: Range) -> None:
        for piece in self._told.pieces(hole):
            for order, count, part in self._by_epoch(piece.found):
                if piece.reason is not None:
                    self._absent[piece.island] += part.size
                    told = self.between if count is None else count.told
                    told[piece.reason] = told.get(piece.reason, 0) + part.size
                elif count is None:
                    self.vanished.add(part)
                elif self._is_trimmed(order, part):
                    count.trimmed += part.size
                else:
                    count.missing += part.size
                    done = self._done is not None and Position(order, part.last) <= self._done
                    (self.vanished_acknowledged if done else self.vanished).add(part)

    def _is_trimmed(self, order: int, found: Range) -> bool:
        """Whether the rows left since the audit began, as acknowledged rows do."""
        done = licensed(self._spool.lineage(), self._spool.trimmed())
        if done is None or Position(order, found.last) > done:
            return False
        with contextlib.closing(self._connect()) as connection:
            oldest = connection.execute("SELECT min(seq) FROM readings").fetchone()[0]
        return oldest is not None and found.last < oldest

    def _by_epoch(self, found: Range) -> list[tuple[int, EpochCount | None, Range]]:
        """Cut a range at the ends of epochs; a part between epochs belongs to none (order 0)."""
        if found.size <= 0:
            return []
        now = self._current
        if now and now.given.first <= found.first and found.last <= now.given.last:
            return [(now.order, now, found)]
        parts: list[tuple[int, EpochCount | None, Range]] = []
        first = found.first
        for order, count in self.counts.items():
            low, high = max(first, count.given.first), min(found.last, count.given.last)
            if low > high:
                continue
            if low > first:
                parts.append((0, None, Range(first, low - 1)))
            parts.append((order, count, Range(low, high)))
            first = high + 1
        if first <= found.last:
            parts.append((0, None, Range(first, found.last)))
        return parts

    def _read_gaps(self) -> list[GapRow]:
        rows: list[GapRow] = []
        try:
            with contextlib.closing(self._connect()) as connection:
                after = 0
                while found := connection.execute(_GAPS, (after, CHUNK_ROWS)).fetchall():
                    rows += [row for seq, detail in found if (row := _gap(seq, detail))]
                    after = found[-1][0]
        except sqlite3.Error as error:
            raise translate(error, "audit", self._path) from error
        return rows

    def _connect(self) -> sqlite3.Connection:
        return open_reader(self._path)


def _gap(seq: int, detail: str | None) -> GapRow | None:
    """A gap row; one that cannot be read tells of nothing, its checksum is looked at elsewhere."""
    try:
        return gap_row(seq, detail or "")
    except ValueError:
        return None


def _aside(directory: Path) -> tuple[tuple[str, ...], bool]:
    """What was set aside, and whether a setting aside was cut short."""
    root = directory / ASIDE_DIRECTORY
    if not root.is_dir():
        return (), False
    names = sorted(path.name for path in root.iterdir() if path.is_dir())
    return tuple(names), (root / _NOTE).exists()


def _moved(directory: Path) -> SpoolMoved:
    path = str(directory / SPOOL_FILE)
    return SpoolMoved(
        f"{path}: another file or history was begun while it was read",
        op="audit", path=path, hint="run the audit again",
    )
