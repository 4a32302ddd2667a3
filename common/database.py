"""How both services open an SQLite file, and what its errors mean to them.

Every file has one writer process; the other process reads it with ``mode=ro``. The settings below
are measured choices, not defaults: WAL with ``synchronous=FULL`` means that what another process
can see would survive a power cut; ``secure_delete`` (on in Debian's build) writes every deleted
page a second time; a checkpoint without truncation keeps the write-ahead log at its steady size,
because an fdatasync into a growing file costs a journal commit of ext4 each time.
"""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

from common.errors import ExitCode, SpoolError

PAGE_BYTES: Final = 4096
CHECKPOINT_PAGES: Final = 400
WAL_BYTES_KEPT: Final = 4 * 1024 * 1024
BUSY_TIMEOUT_S: Final = 5.0
CACHE_KIB: Final = 512
READ_CACHE_KIB: Final = 512

Opener: TypeAlias = Callable[[Path], sqlite3.Connection]
"""Opens one file; tests put a faulty one in its place."""


class SpoolAbsent(SpoolError):
    """The file is not there yet: its owner has not made it. Waiting helps."""


class SpoolFull(SpoolError):
    """The budget of the file, or the disk, has no room; nothing of the transaction was kept."""


class SpoolCorrupt(SpoolError):
    """SQLite says that the file is damaged, or that it is no database."""


class SpoolReplaced(SpoolError):
    """The path no longer names the file that is open: it was deleted, renamed or restored."""


class SpoolBusy(SpoolError):
    """Another process holds the file's lock for longer than the timeout; nothing was changed."""


class SpoolForbidden(SpoolError):
    """The file is there, but this user may not read or write it (exit status 77)."""

    exit_code = ExitCode.NOPERM


class SpoolNewer(SpoolError):
    """A newer version of the product made the file; it is left as it is (exit status 78)."""

    exit_code = ExitCode.CONFIG


_KINDS: Final[dict[str, type[SpoolError]]] = {
    "SQLITE_FULL": SpoolFull,
    "SQLITE_CORRUPT": SpoolCorrupt,
    "SQLITE_NOTADB": SpoolCorrupt,
    "SQLITE_BUSY": SpoolBusy,
    "SQLITE_LOCKED": SpoolBusy,
}
_HINTS: Final = {
    SpoolForbidden: "give the file to the user that the services run as",
    SpoolBusy: "close other programs that have the file open for writing",
    SpoolFull: "free space on the card, or raise [spool] cap_bytes",
    SpoolCorrupt: "the collector sets a reproducibly damaged file aside by itself",
}


def open_writer(path: Path) -> sqlite3.Connection:
    """Open a file for its one writer; transactions are explicit, ``BEGIN IMMEDIATE`` only.

    Args:
        path: the file; it is not created here (``common.spool.migrate`` does that).

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "secure_delete=OFF",
            f"wal_autocheckpoint={CHECKPOINT_PAGES}",
            f"journal_size_limit={WAL_BYTES_KEPT}",
            f"cache_size=-{CACHE_KIB}",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except UnicodeDecodeError as error:
        connection.close()
        raise damaged("its schema is no text") from error
    except BaseException:
        connection.close()
        raise
    connection.text_factory = _text
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """Open another process's file for reading only.

    Raises:
        sqlite3.Error: it cannot be opened.
    """
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    try:
        connection.execute(f"PRAGMA cache_size=-{READ_CACHE_KIB}")
        connection.execute("PRAGMA query_only=ON")
    except UnicodeDecodeError as error:
        connection.close()
        raise damaged("its schema is no text") from error
    except BaseException:
        connection.close()
        raise
    connection.text_factory = _text
    return connection


def _text(found: bytes) -> str:
    """A text of the file; one that a flipped bit made invalid is left to its row's checksum.

    Left to itself, Python refuses the whole answer, with every row that is sound.
    """
    return found.decode(errors="replace")


def damaged(what: str) -> sqlite3.DatabaseError:
    """What SQLite would say, had it looked: for damage that only its caller can see."""
    error = sqlite3.DatabaseError(f"database disk image is malformed: {what}")
    error.sqlite_errorname = "SQLITE_CORRUPT"
    return error


def user_version(connection: sqlite3.Connection) -> int:
    """The version of the tables in a file; 0: none were made yet."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def refuse_newer(connection: sqlite3.Connection, supported: int, path: Path) -> int:
    """The file's version, unless this program is too old for it.

    Raises:
        SpoolNewer: the version is greater than ``supported``.
    """
    found = user_version(connection)
    if found > supported:
        raise SpoolNewer(
            f"{path}: made by a newer version: tables of version {found}, at most {supported} "
            "is known here; the file was not touched",
            op="open",
            path=str(path),
            hint="install the newer version again, or move the file away",
        )
    return found


def error_name(error: sqlite3.Error) -> str:
    """SQLite's name of an error, such as ``SQLITE_IOERR_FSYNC``; without one, the class name."""
    return getattr(error, "sqlite_errorname", None) or type(error).__name__


def translate(error: sqlite3.Error, op: str, path: Path) -> SpoolError:
    """The product's error for one of SQLite's, told apart by what helps against it."""
    name = error_name(error)
    primary = "_".join(name.split("_")[:2])
    kind = _KINDS.get(primary, SpoolError)
    if primary in ("SQLITE_CANTOPEN", "SQLITE_READONLY", "SQLITE_PERM"):
        kind = _unopened(path)
    return kind(
        f"{path}: {op}: {error} ({name})",
        op=op,
        path=str(path),
        hint=_HINTS.get(kind, "look at the kernel log for errors of the card or the file system"),
    )


def _unopened(path: Path) -> type[SpoolError]:
    """Why a file cannot be opened; a file system that is read-only is the device's fault."""
    try:
        if not path.exists():
            return SpoolAbsent
        read_only = bool(os.statvfs(path).f_flag & os.ST_RDONLY)
        allowed = os.access(path, os.R_OK) and (read_only or os.access(path, os.W_OK))
    except OSError:
        return SpoolError
    return SpoolError if allowed else SpoolForbidden


class OpenFile:
    """The file behind an open connection, so that each commit can see that the path still names it.

    SQLite goes on writing into a file that was deleted or renamed under it. The descriptor is found
    in ``/proc/self/fd`` and never closed or opened here: closing any descriptor of a database drops
    every lock that this process holds on it (fcntl(2)).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        named = path.stat()
        self.device, self.inode = named.st_dev, named.st_ino
        self._descriptor = _descriptor_of(named)
        self._wal_inode = _inode(self._wal)

    def check(self) -> None:
        """Compare device, inode and link count of the open file with the path's.

        Raises:
            SpoolReplaced: they differ, or the path is gone.
        """
        expected = (self.device, self.inode)
        try:
            named = self._path.stat()
        except FileNotFoundError:
            raise self._replaced("was deleted or renamed while it was open") from None
        if (named.st_dev, named.st_ino) != expected:
            raise self._replaced("was replaced by another file while it was open")
        if self._descriptor is not None:
            held = os.fstat(self._descriptor)
            if (held.st_dev, held.st_ino) != expected or held.st_nlink == 0:
                raise self._replaced("is no longer the file that is open")
        if self._wal_inode is None:
            self._wal_inode = _inode(self._wal)
        elif _inode(self._wal) != self._wal_inode:
            raise self._replaced("lost its write-ahead log while it was open")

    def _replaced(self, what: str) -> SpoolReplaced:
        return SpoolReplaced(
            f"{self._path}: {what}",
            op="append",
            path=str(self._path),
            hint="leave the spool directory to the services; copy files with the backup command",
        )


def _inode(path: Path) -> int | None:
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def _descriptor_of(named: os.stat_result) -> int | None:
    """This process's newest descriptor of the file; ``None`` where /proc is missing."""
    found: int | None = None
    try:
        numbers = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    except OSError:
        return None
    for number in sorted(numbers):
        try:
            held = os.fstat(number)
        except OSError:
            continue
        if (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino):
            found = number
    return found
