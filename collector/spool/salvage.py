"""Carry the readable rows of a damaged file over, with the keys they had.

While this lasts the shipper sends nothing (rule 6): rows of the new epoch must not overtake the old
ones. It goes in slices, so that sampling goes on, and it ends by itself: the last slice writes the
gap rows of what could not be read, in one transaction with the end.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from collector.gaps import Gap, GapReason, gap_row
from collector.spool.settle import Happening
from collector.spool.store import SpoolStore
from collector.stamp import read_stamp
from common.columns import Scalar
from common.spool import tables
from common.spool.row import row_crc
from common.spool.schema import INSERT_ROW_ONCE, SALVAGE_KEY, SELECT_RANGE

CHUNK_ROWS: Final = 1024
SLICE_S: Final = 0.25
TIME_S_MAX: Final = 300.0
STARTS_MAX: Final = 3
BAD_MAX: Final = 1000
GAPS_MAX: Final = 100
"""More unreadable ranges than this are told in that many rows, neighbours together."""

Range = tuple[int, int]


@dataclass(slots=True)
class Task:
    """The durable state of a salvage.

    Attributes:
        file: the damaged file, relative to the spool directory.
        next: the first seq not looked at yet.
        last: the last one that may be a row of the old file.
        bad: ranges that could not be read.
        starts: how many processes have worked on it.
    """

    file: str
    next: int
    last: int
    bad: list[Range]
    starts: int = 0

    @staticmethod
    def read(connection: sqlite3.Connection) -> "Task | None":
        """What is pending; ``None``: nothing."""
        told = tables.read_state(connection, SALVAGE_KEY)
        if told is None:
            return None
        state = json.loads(told)
        bad = [(int(low), int(high)) for low, high in state.get("bad", [])]
        return Task(state["file"], state["next"], state["last"], bad, state.get("starts", 0))

    def write(self, connection: sqlite3.Connection) -> None:
        """Store it, inside a transaction."""
        told = {
            "file": self.file,
            "next": self.next,
            "last": self.last,
            "bad": self.bad,
            "starts": self.starts,
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

    def _source(self, task: Task) -> sqlite3.Connection | None:
        try:
            return self._store.means.open_reader(self._store.options.directory / task.file)
        except sqlite3.Error:
            return None

    def _work(self, task: Task, source: sqlite3.Connection) -> None:
        """Carry chunks over until the slice is used up; one transaction a chunk."""
        clock = self._store.clock
        deadline_s = clock.monotonic_s() + SLICE_S
        with self._store.reading("salvage") as connection:
            epochs = {n: o.epoch for n, o in tables.read_origins(connection).items()}
        while task.next <= task.last:
            low = _next_key(source, task.next, task.last)
            high = min(low + CHUNK_ROWS - 1, task.last)
            rows = list(_readable(source, low, high, epochs, task)) if low <= task.last else []
            task.next = high + 1 if low <= task.last else task.last + 1
            with self._store.transaction("salvage") as connection:
                connection.executemany(INSERT_ROW_ONCE, rows)
                task.write(connection)
            if clock.monotonic_s() >= deadline_s:
                return

    def _end(self, task: Task) -> None:
        """Tell what was not carried over, and let the shipper go on, in one transaction."""
        if task.next <= task.last:
            task.mark_bad(task.next, task.last)
        bad = _joined(task.bad)
        gaps = [Gap(GapReason.QUARANTINE, high - low + 1, low, high) for low, high in bad]
        now = read_stamp(self._store.clock)
        with self._store.transaction("salvage") as connection:
            self._store.insert(connection, [gap_row(gap, now) for gap in gaps])
            tables.write_state(connection, SALVAGE_KEY, None)
        lost = sum(high - low + 1 for low, high in bad)
        self._store.tell(
            Happening("salvage_ended", {"lost_rows_max": lost, "file": task.file}, alarm=lost > 0)
        )


def _readable(
    source: sqlite3.Connection, low: int, high: int, epochs: dict[int, str], task: Task
) -> Iterator[tuple[Scalar, ...]]:
    """Rows of a key range that can be read and whose checksum fits; the rest is marked bad."""
    try:
        rows = source.execute(SELECT_RANGE, (low, high)).fetchall()
    except (sqlite3.Error, OverflowError):
        if low == high:
            task.mark_bad(low, high)
            return
        middle = (low + high) // 2
        yield from _readable(source, low, middle, epochs, task)
        yield from _readable(source, middle + 1, high, epochs, task)
        return
    for row in rows:
        epoch = epochs.get(row[1])
        if epoch is None or row_crc(epoch, row[0], row[2:-1]) != row[-1]:
            task.mark_bad(row[0], row[0])
        else:
            yield row


def _next_key(source: sqlite3.Connection, low: int, last: int) -> int:
    """The next key that exists, to leap over holes; ``low`` itself where that cannot be read."""
    try:
        row = source.execute(
            "SELECT seq FROM readings WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT 1", (low, last)
        ).fetchone()
    except sqlite3.Error:
        return low
    return last + 1 if row is None else int(row[0])


def _joined(ranges: list[Range]) -> list[Range]:
    """At most ``GAPS_MAX`` ranges: the last one reaches from where it begins to the very end."""
    if len(ranges) <= GAPS_MAX:
        return ranges
    return [*ranges[: GAPS_MAX - 1], (ranges[GAPS_MAX - 1][0], ranges[-1][1])]
