"""See to it that a file has this version's tables; sqlite-utils stays out of the service."""

import os
import sqlite3
from pathlib import Path
from typing import Final

from common.database import error_name, open_reader, refuse_newer, translate, user_version
from common.errors import PermissionRefused, SpoolError, ThermalError

_MIGRATE_TIMEOUT_S: Final = 300.0


def prepare(path: Path, kind: str, supported: int) -> None:
    """Make the file's tables, or migrate them, in a child process; or nothing when they fit.

    Args:
        path: ``spool.db`` or ``ship.db``.
        kind: ``spool`` or ``ship``.
        supported: the version that this program knows.

    Raises:
        SpoolNewer: the file is of a newer version; it was not touched.
        SpoolCorrupt: it is no database, or a damaged one.
        SpoolError: it cannot be made, read or written.
    """
    if version_of(path, supported) < supported:
        # Imported only for a new file or version: a running service need not hold it.
        from common.children import run_module

        try:
            drop_stray_log(path)
            run_module("common.spool.migrate", args=(str(path), kind), timeout_s=_MIGRATE_TIMEOUT_S)
            sync_directory(path.parent)
        except (ThermalError, OSError) as error:
            raise SpoolError(
                f"{path}: its tables cannot be made: {error}",
                op="migrate",
                path=str(path),
                hint=getattr(error, "hint", None) or "look for a full or failing disk",
            ) from error


def drop_stray_log(path: Path) -> None:
    """Remove a write-ahead log whose database is gone: replayed into a new one it would mix them.

    SQLite leaves it behind when the database was deleted under an open connection.

    Raises:
        OSError: it cannot be removed.
    """
    if not path.exists() or path.stat().st_size == 0:
        for companion in ("-wal", "-shm"):
            path.with_name(path.name + companion).unlink(missing_ok=True)


def version_of(path: Path, supported: int) -> int:
    """The version of a file's tables; 0 when it is missing or empty. For the file's owner.

    Opens it read-only, and for writing where only that can roll an interrupted change back.

    Raises:
        SpoolNewer: it is greater than ``supported``.
        SpoolError: the file cannot be read.
    """
    try:
        if not path.exists() or path.stat().st_size == 0:
            return 0
        connection = open_rolled_back(path)
        try:
            return refuse_newer(connection, supported, path)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise translate(error, "open", path) from error


def open_rolled_back(path: Path) -> sqlite3.Connection:
    """A reader's connection for the file's owner, after undoing what a power cut left half done.

    The first page of a new file is written with a rollback journal, before it has a write-ahead
    log. A cut in that moment leaves a journal that a reader may not apply.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    try:
        return _checked(open_reader(path))
    except sqlite3.OperationalError as error:
        if error_name(error) != "SQLITE_READONLY_ROLLBACK":
            raise
    for_writing = f"{path.absolute().as_uri()}?mode=rw"
    _checked(sqlite3.connect(for_writing, uri=True)).close()
    return open_reader(path)


def _checked(connection: sqlite3.Connection) -> sqlite3.Connection:
    """The connection, once it has read the file; closed when it cannot."""
    try:
        user_version(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def make_directory(directory: Path) -> None:
    """Make the spool directory if it is missing; its parent must exist.

    Raises:
        PermissionRefused: this user may not write there.
        SpoolError: it cannot be made.
    """
    try:
        if not directory.is_dir():
            directory.mkdir(mode=0o750, exist_ok=True)
            sync_directory(directory.parent)
    except OSError as error:
        raise SpoolError(
            f"{directory}: cannot be made: {error.strerror}",
            op="open",
            path=str(directory),
            hint="make it, or set [spool] directory to a directory on a local disk",
        ) from error
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        raise PermissionRefused(
            f"{directory}: user {os.geteuid()} may not read and write here",
            hint="give the directory to the user that the service runs as",
        )


def sync_directory(directory: Path) -> None:
    """Make names that were created or renamed in it survive a power cut.

    Raises:
        OSError: the disk refuses.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
