"""Carry the readable rows of a damaged file over, with the keys they had.

While this lasts the shipper sends nothing (rule 6): rows of the new epoch must not overtake the old
ones. It goes in slices, so that sampling goes on, and it ends by itself: the last slice writes the
gap rows of what could not be read, in one transaction with the end. When the new file is damaged
before that, the salvage of its own rows reads the first damaged file as well.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from collector.gaps import Gap, GapReason, gap_row
from collector.spool.salvage_source import Range, Row, Sources
from collector.spool.settle import Happening
from collector.spool.store import SpoolStore
from collector.stamp import read_stamp
from common.sample import Kind
from common.spool import tables
from common.spool.row import INDEX
from common.spool.schema import INSERT_ROW_ONCE, SALVAGE_KEY

CHUNK_ROWS: Final = 1024
SLICE_S: Final = 0.25
TIME_S_MAX: Final = 300.0
STARTS_MAX: Final = 3
BAD_MAX: Final = 1000
GAPS_MAX: Final = 100
"""More unreadable ranges than this are told in that many rows, neighbours together."""

HOLES_APART: Final = 256
"""Holes that are nearer to each other are told together: where every 2nd row was thinned, each
kept row would part two of them."""

_FIRST_VALUE: Final = 2
_KIND, _DETAIL = (_FIRST_VALUE + INDEX[name] for name in ("kind", "detail"))


@dataclass(slots=True)
class Hole:
    """Numbers without a row, and rows that they may lie between.

    A damaged page can lack rows without SQLite saying so; but numbers may also be missing because
    their rows were thinned, which a later gap row tells.
    """

    first: int
    last: int
    count: int

    def told_by(self, ranges: Iterable[Range]) -> bool:
        """Whether a gap row tells of all of it."""
        return any(first <= self.first and self.last <= last for first, last in ranges)

    @property
    def pure(self) -> bool:
        """Whether none of its numbers has a row."""
        return self.count == self.last - self.first + 1

    @property
    def large(self) -> bool:
        """A jump of seq, or a stretch: it is told by itself, so that its numbers stay right."""
        return self.pure and self.count > HOLES_APART

    def without(self, ranges: Iterable[Range]) -> "list[Hole]":
        """What is left of it when whole ranges are taken out; a hole with rows in it stays."""
        left = [self]
        for low, high in ranges:
            left = [part for hole in left for part in _minus(hole, low, high)]
        return left


@dataclass(slots=True)
class Task:
    """The durable state of a salvage.

    Attributes:
        file: the damaged file, relative to the spool directory.
        next: the first seq not looked at yet.
        last: the last one that may be a row of the old file.
        bad: ranges that could not be read.
        starts: how many processes have worked on it.
        holes: numbers for which there was nothing to read.
        told: ranges that the old file's own gap rows tell of.
        whole: those of them in which the gap row counts every number.
        older: further damaged files: the salvage out of them had not ended.
    """

    file: str
    next: int
    last: int
    bad: list[Range]
    starts: int = 0
    holes: list[Hole] = field(default_factory=list)
    told: list[Range] = field(default_factory=list)
    whole: list[Range] = field(default_factory=list)
    older: list[str] = field(default_factory=list)

    @staticmethod
    def read(connection: sqlite3.Connection) -> "Task | None":
        """What is pending; ``None``: nothing."""
        told = tables.read_state(connection, SALVAGE_KEY)
        if told is None:
            return None
        state = json.loads(told)
        return Task(
            state["file"],
            state["next"],
            state["last"],
            [(low, high) for low, high in state.get("bad", [])],
            state.get("starts", 0),
            [Hole(*hole) for hole in state.get("holes", [])],
            [(low, high) for low, high in state.get("told", [])],
            [(low, high) for low, high in state.get("whole", [])],
            state.get("older", []),
        )

    def write(self, connection: sqlite3.Connection) -> None:
        """Store it, inside a transaction."""
        told = {
            "file": self.file,
            "next": self.next,
            "last": self.last,
            "bad": self.bad,
            "starts": self.starts,
            "holes": [(hole.first, hole.last, hole.count) for hole in self.holes],
            "told": self.told,
            "whole": self.whole,
            "older": self.older,
        }
        tables.write_state(connection, SALVAGE_KEY, json.dumps(told))

    def mark_bad(self, low: int, high: int) -> None:
        """Add a range that could not be read, joining it to the one before.

        When there are very many, the last one grows over what lies between.
        """
        if self.bad and (self.bad[-1][1] >= low - 1 or len(self.bad) >= BAD_MAX):
            self.bad[-1] = (self.bad[-1][0], high)
        else:
            self.bad.append((low, high))

    def mark_holes(self, low: int, high: int, rows: Iterable[Row]) -> None:
        """See which numbers of a range came without a row and without an error."""
        seen = [(int(row[0] or 0), int(row[0] or 0)) for row in rows]
        seen += [found for found in self.bad if found[1] >= low]
        for first, last in [*sorted(seen), (high + 1, high + 1)]:
            if first > low:
                self._mark_hole(low, min(first - 1, high))
            low = max(low, last + 1)

    def _mark_hole(self, low: int, high: int) -> None:
        newest, found = self.holes[-1] if self.holes else None, Hole(low, high, high - low + 1)
        near = newest and low - newest.last <= HOLES_APART and not (newest.large or found.large)
        if newest and (near or len(self.holes) >= BAD_MAX):
            newest.last, newest.count = high, newest.count + found.count
        else:
            self.holes.append(found)

    def note_gaps(self, rows: Iterable[Row]) -> None:
        """Remember what gap rows among the rows tell of."""
        for row in rows:
            if row[_KIND] == Kind.GAP:
                told = json.loads(str(row[_DETAIL]))
                first, last = told.get("first_seq"), told.get("last_seq")
                if first is not None and last is not None:
                    self.told.append((first, last))
                    if told.get("count") == last - first + 1:
                        self.whole.append((first, last))

    def missing(self) -> list[Hole]:
        """All that is to be told, in order."""
        bad = [Hole(first, last, last - first + 1) for first, last in self.bad]
        untold = [hole for hole in self.holes if not hole.told_by(self.told)]
        holes = [part for hole in untold for part in hole.without(self.whole)]
        return sorted(bad + holes, key=lambda hole: hole.first)


class Salvage:
    """Works on a pending salvage whenever it is asked to.

    Args:
        store: the new spool.
        time_s_max: longest time that one process spends on it, monotonic seconds.
    """

    def __init__(self, store: SpoolStore, time_s_max: float = TIME_S_MAX) -> None:
        self._store = store
        self._time_s_max = time_s_max
        self._since_s: float | None = None

    def step(self) -> bool:
        """Work for one slice; returns whether a salvage is still pending.

        Raises:
            SpoolError: the new spool cannot be written; nothing of the slice counts.
        """
        store = self._store
        with store.reading("salvage") as connection:
            task = Task.read(connection)
        if task is None:
            self._since_s = None
            return False
        if self._since_s is None:
            self._since_s = store.clock.monotonic_s()
            task.starts += 1
        late = store.clock.monotonic_s() - self._since_s > self._time_s_max
        source = None if late or task.starts > STARTS_MAX else self._source(task)
        if source is None:
            self._end(task)
            return False
        with contextlib.closing(source):
            self._work(task, source)
        if task.next > task.last:
            self._end(task)
            return False
        return True

    def _source(self, task: Task) -> Sources | None:
        directory = self._store.options.directory
        paths = [directory / name for name in (task.file, *task.older)]
        return Sources.open(paths, self._store.means.open_reader)

    def _work(self, task: Task, source: Sources) -> None:
        """Carry chunks over until the slice is used up; one transaction a chunk."""
        clock = self._store.clock
        deadline_s = clock.monotonic_s() + SLICE_S
        with self._store.reading("salvage") as connection:
            epochs = {n: o.epoch for n, o in tables.read_origins(connection).items()}
        while task.next <= task.last:
            low = source.next_key(task.next, task.last)
            high = min(low + CHUNK_ROWS - 1, task.last)
            rows, bad = source.read(low, high, epochs) if low <= task.last else ([], [])
            for first, last in bad:
                task.mark_bad(first, last)
            # A hole at the end of the chunk may go on: it is marked with the row behind it.
            high = max(
                [int(row[0] or 0) for row in rows[-1:]] + [last for _, last in bad[-1:]],
                default=high if low <= task.last else task.last,
            )
            task.mark_holes(task.next, high, rows)
            task.note_gaps(rows)
            task.next = high + 1
            with self._store.transaction("salvage") as connection:
                connection.executemany(INSERT_ROW_ONCE, rows)
                task.write(connection)
            if clock.monotonic_s() >= deadline_s:
                return

    def _end(self, task: Task) -> None:
        """Tell what was not carried over, and let the shipper go on, in one transaction."""
        if task.next <= task.last:
            task.mark_bad(task.next, task.last)
        missing = _joined(task.missing())
        gaps = [Gap(GapReason.QUARANTINE, hole.count, hole.first, hole.last) for hole in missing]
        now = read_stamp(self._store.clock)
        with self._store.transaction("salvage") as connection:
            self._store.insert(connection, [gap_row(gap, now) for gap in gaps])
            tables.write_state(connection, SALVAGE_KEY, None)
        lost = sum(hole.count for hole in missing)
        self._store.tell(
            Happening("salvage_ended", {"lost_rows_max": lost, "file": task.file}, alarm=lost > 0)
        )


def _minus(hole: Hole, low: int, high: int) -> list[Hole]:
    """A hole without a range that is told of as a whole."""
    if not hole.pure or high < hole.first or hole.last < low:
        return [hole]
    parts = [(hole.first, low - 1), (high + 1, hole.last)]
    return [Hole(first, last, last - first + 1) for first, last in parts if first <= last]


def _joined(holes: list[Hole]) -> list[Hole]:
    """At most ``GAPS_MAX`` of them: the last one reaches from where it begins to the very end."""
    if len(holes) <= GAPS_MAX:
        return holes
    rest = holes[GAPS_MAX - 1 :]
    end = max(hole.last for hole in rest)
    return [*holes[: GAPS_MAX - 1], Hole(rest[0].first, end, sum(hole.count for hole in rest))]
