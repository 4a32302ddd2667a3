"""Thin, and at last drop: making room when the rows that are left were never sent.

Every 2nd row of the oldest stretch goes, then every 2nd of the next; when all is thinned once,
every 2nd of what is left, and so on: a month without network stays a month, only coarser. A pass is
one transaction and tells of itself in one gap row.

Deleting every 2nd row alone frees nothing: SQLite merges a page with its neighbour only when two
thirds of it are empty. So a stretch is deleted whole, and its kept rows are stored again, the same
in every byte: measured, this frees 611 of 673 possible pages, deleting in place frees none.
"""

import json
import sqlite3
from dataclasses import dataclass, field
from typing import Final

from collector.gaps import Gap, GapReason, Merged, gap_row
from collector.spool.store import SpoolStore
from collector.stamp import read_stamp
from common.columns import Scalar
from common.sample import Kind
from common.spool import tables
from common.spool.row import INDEX
from common.spool.schema import INSERT_ROW, SELECT_AFTER

CHUNK_ROWS: Final = 1000
STRIDE_MAX: Final = 256
"""Beyond one row in so many, rows are dropped from the oldest on."""
_STATE_KEY: Final = "thinning"
_FIRST_VALUE: Final = 2
_KIND, _DETAIL, _TAKEN_AT = (_FIRST_VALUE + INDEX[n] for n in ("kind", "detail", "taken_at"))

Raw = tuple[Scalar, ...]


@dataclass(slots=True)
class _Removed:
    """What a pass has removed so far."""

    samples: int = 0
    dropped: bool = False
    first_seq: int | None = None
    last_seq: int | None = None
    from_ns: int | None = None
    to_ns: int | None = None
    gaps: Merged = field(default_factory=Merged)

    def add(self, rows: list[Raw]) -> None:
        """Count rows that go, in order."""
        for row in rows:
            seq, taken_ns = int(row[0] or 0), int(row[_TAKEN_AT] or 0) * 1000
            if row[_KIND] == Kind.GAP:
                self.gaps.add(str(row[_DETAIL]))
            else:
                self.samples += 1
            self.first_seq = seq if self.first_seq is None else min(self.first_seq, seq)
            self.last_seq = seq if self.last_seq is None else max(self.last_seq, seq)
            self.from_ns = taken_ns if self.from_ns is None else min(self.from_ns, taken_ns)
            self.to_ns = taken_ns if self.to_ns is None else max(self.to_ns, taken_ns)

    def gap(self) -> Gap:
        """The one gap row of the pass."""
        reason = GapReason.DROPPED if self.dropped else GapReason.THINNED
        told, more = self.gaps, {}
        if told.rows:
            by_reason = {**told.by_reason}
            by_reason[reason] = (by_reason.get(reason) or 0) + self.samples
            more = {"merged": by_reason, "gap_rows": told.rows}
        # What the dropped gap rows had told may lie before the stretch that is dropped now.
        firsts = [seq for seq in (self.first_seq, told.first_seq) if seq is not None]
        lasts = [seq for seq in (self.last_seq, told.last_seq) if seq is not None]
        return Gap(
            reason,
            self.samples + told.count,
            min(firsts, default=None),
            max(lasts, default=None),
            self.from_ns,
            self.to_ns,
            more,
        )


@dataclass(frozen=True, slots=True)
class Thinned:
    """What a pass did.

    Attributes:
        rows: samples that were removed.
        freed_pages: pages that new rows can use.
        reason: ``thinned`` or ``dropped``.
    """

    rows: int
    freed_pages: int
    reason: GapReason


def thin(store: SpoolStore, after: int, pages: int) -> Thinned | None:
    """One pass over rows that were neither committed nor exposed.

    Args:
        store: the spool; the caller holds the exposure lock.
        after: only rows after this seq.
        pages: free at least so many.

    Returns:
        What was done; ``None``: there was nothing to remove.

    Raises:
        SpoolError: nothing was removed.
    """
    removed = _Removed()
    with store.transaction("thin") as connection:
        goal = _free_pages(connection) + pages
        before = goal - pages
        stride, start = _resume(connection, after)
        newest = tables.last_seq(connection)
        while _free_pages(connection) < goal and stride <= STRIDE_MAX:
            start = _thin_chunk(connection, start, newest, stride, removed)
            if start >= newest:
                stride, start = stride * 2, after
        if _free_pages(connection) < goal:
            removed.dropped = True
            stride, start = 2, after
            _drop(connection, after, newest, goal, removed)
        tables.write_state(connection, _STATE_KEY, json.dumps({"stride": stride, "after": start}))
        freed = _free_pages(connection) - before
        if removed.first_seq is not None:
            store.insert(connection, [gap_row(removed.gap(), read_stamp(store.clock))])
    if removed.first_seq is None:
        return None
    return Thinned(removed.samples, freed, removed.gap().reason)


def _thin_chunk(
    connection: sqlite3.Connection, after: int, newest: int, stride: int, removed: _Removed
) -> int:
    """Thin the next stretch; returns the seq that it reached."""
    rows = [r for r in _chunk(connection, after) if _seq(r) < newest]
    if not rows:
        return newest
    kept = [r for r in rows if r[_KIND] != Kind.SAMPLE or _seq(r) % stride == 0]
    if len(kept) < len(rows):
        gone = [r for r in rows if r[_KIND] == Kind.SAMPLE and _seq(r) % stride != 0]
        removed.add(gone)
        _replace(connection, rows, kept)
    return _seq(rows[-1])


def _drop(
    connection: sqlite3.Connection, after: int, newest: int, goal: int, removed: _Removed
) -> None:
    """Remove the oldest samples, and gap rows, which the new gap row then tells; events stay."""
    while _free_pages(connection) < goal:
        rows = [r for r in _chunk(connection, after) if _seq(r) < newest]
        if not rows:
            return
        gone = [r for r in rows if r[_KIND] in (Kind.SAMPLE, Kind.GAP)]
        removed.add(gone)
        _replace(connection, rows, [r for r in rows if r[_KIND] not in (Kind.SAMPLE, Kind.GAP)])
        after = _seq(rows[-1])


def _replace(connection: sqlite3.Connection, rows: list[Raw], kept: list[Raw]) -> None:
    """Delete a stretch whole, and store the kept rows again, in order, byte for byte."""
    connection.execute(
        "DELETE FROM readings WHERE seq BETWEEN ? AND ?", (_seq(rows[0]), _seq(rows[-1]))
    )
    connection.executemany(INSERT_ROW, kept)


def _chunk(connection: sqlite3.Connection, after: int) -> list[Raw]:
    return connection.execute(SELECT_AFTER, (after, CHUNK_ROWS)).fetchall()


def _seq(row: Raw) -> int:
    seq = row[0]
    assert isinstance(seq, int)
    return seq


def _free_pages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def _resume(connection: sqlite3.Connection, after: int) -> tuple[int, int]:
    """Stride and seq where the last pass ended; anew when all that it had thinned is gone."""
    told = tables.read_state(connection, _STATE_KEY)
    if told is not None:
        state = json.loads(told)
        if state["after"] > after or (state["stride"] > 2 and state["after"] == after):
            return state["stride"], state["after"]
    return 2, after
