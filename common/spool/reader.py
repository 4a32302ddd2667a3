"""The shipper's view of the spool: read-only, in short statements, flat in memory.

No cursor stays open between two calls: an open one would keep the collector's write-ahead log from
being reset. Nothing here counts rows; a backlog of a million rows costs the same as one of ten.
"""

import sqlite3
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

from common.columns import Scalar
from common.database import Opener, SpoolAbsent, damaged, open_reader, refuse_newer, translate
from common.identity import Install, Lineage, Position
from common.ship_state import Acknowledgement
from common.spool import tables
from common.spool.row import INDEX, Origin, StoredRow
from common.spool.schema import SALVAGE_KEY, SELECT_AFTER, SPOOL_FILE, SPOOL_VERSION

_T = TypeVar("_T")
_TAKEN_AT, _BOOTTIME = INDEX["taken_at"], INDEX["boottime_ns"]


@dataclass(frozen=True, slots=True)
class Backlog:
    """Rows behind a position.

    Attributes:
        rows: how many, from the numbers alone; thinned ranges count as if they were there.
        oldest_boot_id: boot of the oldest of them; ``None``: there is none.
        oldest_boottime_ns: uptime when it was taken, in that boot.
        oldest_taken_at: wall clock when it was taken, UTC, µs, as stored.
    """

    rows: int
    oldest_boot_id: str | None = None
    oldest_boottime_ns: int | None = None
    oldest_taken_at: int | None = None


class SpoolReader:
    """Reads ``spool.db`` with ``mode=ro``; follows the path when a new file is started."""

    def __init__(self, directory: Path, opener: Opener = open_reader) -> None:
        self._path = directory / SPOOL_FILE
        self._opener = opener
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._origins: dict[int, Origin] = {}
        self._starts: list[tuple[int, int]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        if self._connection is not None:
            self._connection.close()
        self._connection, self._file = None, None
        self._origins, self._starts = {}, []

    def install(self) -> Install:
        """The install that the spool belongs to.

        Raises:
            SpoolAbsent: the collector has not settled it yet.
        """
        found = self._read("install", tables.read_install)
        if found is None:
            raise self._absent("has no install yet")
        return found

    def lineage(self) -> Lineage:
        """All epochs, oldest first."""
        return self._read("lineage", tables.read_lineage)

    def newest(self) -> Position | None:
        """Position of the newest stored row; ``None``: the spool has none."""

        def read(connection: sqlite3.Connection) -> Position | None:
            row = connection.execute(
                "SELECT origin, seq FROM readings ORDER BY seq DESC LIMIT 1"
            ).fetchone()
            return None if row is None else Position(self._origin(connection, *row).order, row[1])

        return self._read("newest", read)

    def read_after(self, position: Position | None, rows_max: int) -> list[StoredRow]:
        """The next rows of one epoch.

        Args:
            position: rows after it are wanted; ``None``: from the oldest. A seq beyond the end of
                its epoch means that end: the next epoch's rows are never skipped over.
            rows_max: at most so many.

        Returns:
            Rows in order, all of one epoch; empty when there are none.
        """

        def read(connection: sqlite3.Connection) -> list[StoredRow]:
            after = _clamped(connection, position)
            found = connection.execute(SELECT_AFTER, (after, rows_max)).fetchall()
            return self._rows(connection, found)

        return self._read("read_after", read)

    def count_between(self, after: Position | None, through: Position) -> int:
        """How many rows are stored after one position and up to another.

        Counts them one by one, so it is for the rows in flight, never for a whole backlog.
        """

        def read(connection: sqlite3.Connection) -> int:
            first, last = _clamped(connection, after), _clamped(connection, through)
            found = connection.execute(
                "SELECT count(*) FROM readings WHERE seq > ? AND seq <= ?", (first, last)
            ).fetchone()
            return int(found[0])

        return self._read("count_between", read)

    def backlog(self, after: Position | None) -> Backlog:
        """How much lies behind a position; costs one row and the list of epochs."""

        def read(connection: sqlite3.Connection) -> Backlog:
            start = _clamped(connection, after)
            oldest = self._rows(connection, connection.execute(SELECT_AFTER, (start, 1)).fetchall())
            if not oldest:
                return Backlog(0)
            row, rows = oldest[0], 0
            for epoch in tables.read_lineage(connection).epochs:
                rows += max(0, epoch.last_seq - max(epoch.first_seq, row.seq) + 1)
            return Backlog(
                rows,
                row.origin.boot_id,
                _whole(row.values[_BOOTTIME]),
                _whole(row.values[_TAKEN_AT]),
            )

        return self._read("backlog", read)

    def boot_offset_ns(self, boot_id: str) -> int | None:
        """Wall clock minus uptime of that boot, once its clock was synchronised; else ``None``."""
        return self._read("boot_offset", lambda c: tables.read_boot_offset(c, boot_id))

    def trimmed(self) -> Acknowledgement | None:
        """The acknowledgement that the last trim used; ``None``: nothing was trimmed."""
        return self._read("trimmed", tables.read_trimmed)

    def salvage_pending(self) -> bool:
        """Whether rows of a damaged file are still being carried over: send nothing until then."""
        return self._read("salvage", lambda c: tables.read_state(c, SALVAGE_KEY)) is not None

    def copied_events(self) -> dict[str, Position]:
        """Ids of the shipper's events that are rows now, with their positions."""

        def read(connection: sqlite3.Connection) -> dict[str, Position]:
            epochs = tables.read_lineage(connection).epochs
            found = connection.execute("SELECT id, seq FROM events").fetchall()
            return {
                event: Position(e.order, seq)
                for event, seq in found
                for e in epochs
                if e.first_seq <= seq <= e.last_seq
            }

        return self._read("copied_events", read)

    def honoured_requests(self) -> frozenset[str]:
        """Ids of the shipper's requests that already led to an epoch."""
        return self._read("honoured_requests", tables.read_honoured)

    def _rows(
        self, connection: sqlite3.Connection, found: list[tuple[Scalar, ...]]
    ) -> list[StoredRow]:
        """Stored rows of the first one's epoch, in the order found."""
        rows: list[StoredRow] = []
        epoch: str | None = None
        before = 0
        for raw in found:
            seq = raw[0]
            if not isinstance(seq, int) or seq <= before:
                raise damaged(f"row {seq!r} follows row {before}")
            before = seq
            origin = self._origin(connection, raw[1], seq)
            if epoch is None:
                epoch = origin.epoch
            elif origin.epoch != epoch:
                break
            rows.append(StoredRow(origin, seq, raw[2:-1], raw[-1]))  # type: ignore[arg-type]
        return rows

    def _origin(self, connection: sqlite3.Connection, number: Scalar, seq: int) -> Origin:
        """The origin of a row: the one that it names, if that is of the epoch that holds its seq.

        The row's checksum does not cover the number of its origin. Where a bit flipped in it, the
        first origin of the right epoch stands in, and the checksum then fits.
        """
        found = self._origins.get(number)  # type: ignore[arg-type]
        if found is None:
            self._origins = tables.read_origins(connection)
            self._starts = tables.read_starts(connection)
            found = self._origins.get(number)  # type: ignore[arg-type]
        at = bisect_right(self._starts, seq, key=lambda start: start[0]) - 1
        order = self._starts[at][1] if at >= 0 else None
        if found is None or found.order != order:
            found = next((o for o in self._origins.values() if o.order == order), None)
        if found is None:
            raise damaged(f"no epoch holds row {seq}")
        return found

    def _read(self, op: str, read: Callable[[sqlite3.Connection], _T]) -> _T:
        try:
            return read(self._open())
        except sqlite3.Error as error:
            self.close()
            raise translate(error, op, self._path) from error
        except (ValueError, TypeError, OverflowError) as error:
            # SQLite does not check the types of what it reads.
            self.close()
            raise translate(damaged(str(error)), op, self._path) from error

    def _open(self) -> sqlite3.Connection:
        """The connection to the file that the path names now."""
        try:
            named = self._path.stat()
        except FileNotFoundError:
            self.close()
            raise self._absent("is not there yet") from None
        if self._connection is not None and self._file == (named.st_dev, named.st_ino):
            return self._connection
        self.close()
        connection = self._opener(self._path)
        try:
            if refuse_newer(connection, SPOOL_VERSION, self._path) == 0:
                raise self._absent("has no tables yet")
        except BaseException:
            connection.close()
            raise
        self._connection, self._file = connection, (named.st_dev, named.st_ino)
        return connection

    def _absent(self, what: str) -> SpoolAbsent:
        return SpoolAbsent(
            f"{self._path}: {what}",
            op="open",
            path=str(self._path),
            hint="start thermal-collector: it makes the spool at its first start",
        )


def _clamped(connection: sqlite3.Connection, position: Position | None) -> int:
    """The seq to read after: the position's, but never before or beyond its own epoch."""
    if position is None:
        return 0
    seq = position.seq
    for order, first_seq in connection.execute(
        "SELECT ord, first_seq FROM epochs WHERE ord >= ? ORDER BY ord LIMIT 2", (position.order,)
    ).fetchall():
        if order == position.order:
            seq = max(seq, first_seq - 1)
        else:
            seq = min(seq, first_seq - 1)
            break
    return seq


def _whole(value: Scalar) -> int:
    return int(value or 0)
