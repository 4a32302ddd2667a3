"""``ship.db`` as a file: opened for its one writer, checked, and set aside when it must go."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from common.database import Opener, OpenFile, SpoolCorrupt, error_name, translate, user_version
from common.errors import SpoolError
from common.ship_progress import read_stored_progress
from common.ship_state import SHIP_FILE, SHIP_VERSION
from common.spool.prepare import make_directory, open_rolled_back, sync_directory
from common.spool.schema import ASIDE_DIRECTORY

MAX_PAGES: Final = 16_384
"""Budget of the file: 64 MiB, nearly all of it for dead letters."""
_COMPANIONS: Final = ("", "-wal", "-shm")

Prepare: TypeAlias = Callable[[Path, str, int], None]
"""``common.spool.prepare.prepare``, or its like."""


class ShipFile:
    """The shipper's file; after any failure the next call opens it anew.

    Args:
        directory: the spool directory.
        opener: opens the file for its writer.
        prepared: makes the tables.
    """

    def __init__(self, directory: Path, opener: Opener, prepared: Prepare) -> None:
        make_directory(directory)
        self.path = directory / SHIP_FILE
        self._opener, self._prepare = opener, prepared
        self._connection: sqlite3.Connection | None = None
        self._open_file: OpenFile | None = None

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection, self._open_file = None, None

    @contextlib.contextmanager
    def reading(self, op: str) -> Iterator[sqlite3.Connection]:
        """The connection, for reading; SQLite's errors become the product's."""
        try:
            yield self._open()
        except sqlite3.Error as error:
            self.close()
            raise translate(error, op, self.path) from error
        except SpoolError:
            self.close()
            raise

    @contextlib.contextmanager
    def transaction(self, op: str) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE … COMMIT (FULL).

        Raises:
            SpoolError: it is not known to be durable.
        """
        try:
            connection = self._open()
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
            if self._open_file is not None:
                self._open_file.check()
        except sqlite3.Error as error:
            self.close()
            raise translate(error, op, self.path) from error
        except BaseException:
            self.close()
            raise

    def is_sound(self) -> bool:
        """Whether it passes ``integrity_check``, and its progress the checksum of its own.

        The file is small, so it is checked at every start.

        A failure is seen twice, with two connections, before it counts. No file is sound too.

        Raises:
            SpoolError: it cannot be read for another reason than damage.
        """
        self.close()
        if not self.path.exists() or not self.path.stat().st_size:
            return True
        return self._passes() or self._passes()

    def set_aside(self, reason: str, realtime_ns: int) -> Path:
        """Move it and its companions to ``aside/<utc>-ship-<reason>/``; returns its new path.

        Raises:
            SpoolError: it cannot be moved.
        """
        self.close()
        try:
            place = _make_place(self.path.parent, f"ship-{reason}", realtime_ns)
            for companion in _COMPANIONS:
                source = self.path.with_name(self.path.name + companion)
                if source.exists():
                    os.link(source, place / source.name)
            sync_directory(place)
            # SQLite deletes a log that it finds without a database, so the database goes first.
            for companion in _COMPANIONS:
                self.path.with_name(self.path.name + companion).unlink(missing_ok=True)
            sync_directory(self.path.parent)
        except OSError as error:
            raise SpoolError(
                f"{self.path}: cannot be set aside: {error.strerror}",
                op="set_aside",
                path=str(self.path),
                hint=f"make {self.path.parent} writable for the user of the services",
            ) from error
        return place / self.path.name

    def _open(self) -> sqlite3.Connection:
        if self._connection is not None and self._open_file is not None:
            self._open_file.check()
            return self._connection
        self._prepare(self.path, "ship", SHIP_VERSION)
        connection = self._opener(self.path)
        connection.execute(f"PRAGMA max_page_count={MAX_PAGES}").fetchall()
        self._connection, self._open_file = connection, OpenFile(self.path)
        return connection

    def _passes(self) -> bool:
        try:
            with contextlib.closing(open_rolled_back(self.path)) as connection:
                if connection.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
                    return False
                # It does not see a bit that flipped in a value.
                if 0 < user_version(connection) <= SHIP_VERSION:
                    read_stored_progress(connection)
                return True
        except sqlite3.Error as error:
            translated = translate(error, "integrity_check", self.path)
            if isinstance(translated, SpoolCorrupt) or error_name(error) == "SQLITE_ERROR":
                return False
            raise translated from error


def _make_place(directory: Path, what: str, realtime_ns: int) -> Path:
    """A new directory under ``aside``."""
    root = directory / ASIDE_DIRECTORY
    root.mkdir(mode=0o750, exist_ok=True)
    # Else a power cut might keep the removal of the old names, and not the directory.
    sync_directory(directory)
    try:
        stamp = f"{datetime.fromtimestamp(realtime_ns // 10**9, UTC):%Y%m%dT%H%M%SZ}"
    except (ValueError, OverflowError, OSError):
        stamp = "undated"
    place, number = root / f"{stamp}-{what}", 0
    while place.exists():
        number += 1
        place = root / f"{stamp}-{what}.{number}"
    place.mkdir(mode=0o750)
    sync_directory(root)
    return place
