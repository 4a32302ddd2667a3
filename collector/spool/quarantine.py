"""When a file counts as damaged, and how it is set aside."""

import contextlib
import errno
import json
import os
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from collector.spool.facts import read_facts, stopped_cleanly
from common.database import Opener, SpoolCorrupt, error_name, translate, user_version
from common.errors import SpoolError
from common.spool.prepare import sync_directory
from common.spool.schema import ASIDE_DIRECTORY, SPOOL_VERSION

ALWAYS_CHECKED_BYTES: Final = 32 * 1024 * 1024
"""A file up to this size is checked at every start; it takes about a second. A larger one, which
a long time without network leaves, only after a stop that was not clean."""
_PROBE_FILE: Final = ".probe"
_PROBE_BYTES: Final = 4096
_NOTE_FILE: Final = "unfinished.json"
COMPANIONS: Final = ("", "-wal", "-shm")
SALVAGED: Final = frozenset({"quarantine", "replaced"})
"""Reasons after which the readable rows are carried over: the install goes on."""


def is_damaged(path: Path, opener: Opener, *, suspect: bool) -> bool:
    """Whether a file is reproducibly corrupt.

    SQLITE_CORRUPT alone is not enough: on a dying device reads fail that succeed after a remount.
    So the file is opened anew and checked again, and the device must be able to write.

    Args:
        path: the spool.
        opener: opens it for its owner.
        suspect: check it also after a clean stop, because an error was seen.

    Raises:
        SpoolError: the device itself fails; nothing is set aside.
    """
    if not path.exists() or not path.stat().st_size:
        return False
    if not _looks_bad(path, opener, suspect=suspect):
        return False
    probe_device(path.parent)
    return _looks_bad(path, opener, suspect=True)


def _looks_bad(path: Path, opener: Opener, *, suspect: bool) -> bool:
    try:
        with contextlib.closing(opener(path)) as connection:
            large = path.stat().st_size > ALWAYS_CHECKED_BYTES
            if large and not suspect and stopped_cleanly(connection):
                return False
            if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                return True
            # It does not see a name in the schema, or an id, in which a bit has flipped.
            version = user_version(connection)
            if version == SPOOL_VERSION:
                read_facts(connection, path)
            return version == 0 and _has_tables(connection)
    except sqlite3.Error as error:
        translated = translate(error, "quick_check", path)
        if isinstance(translated, SpoolCorrupt) or error_name(error) == "SQLITE_ERROR":
            return True
        raise translated from error
    except (ValueError, TypeError, OverflowError):
        return True


def _has_tables(connection: sqlite3.Connection) -> bool:
    """Whether the file has tables; they come with their version, in one transaction."""
    return connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is not None


def probe_device(directory: Path) -> None:
    """Write and fsync a small file, as proof that the device works.

    Raises:
        SpoolError: it does not; the fault is the device's, not the spool's.
    """
    probe = directory / _PROBE_FILE
    try:
        descriptor = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
        try:
            os.write(descriptor, os.urandom(_PROBE_BYTES))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        probe.unlink()
    except OSError as error:
        raise SpoolError(
            f"{probe}: the device cannot be written: {error.strerror}",
            op="probe",
            path=str(probe),
            hint="look at the kernel log; a worn card becomes read-only: replace it",
        ) from error


@dataclass(frozen=True, slots=True)
class Aside:
    """A database that was set aside, until the new one is settled.

    Attributes:
        path: where it is now.
        reason: why.
    """

    path: Path
    reason: str

    @property
    def salvage(self) -> bool:
        """Whether its rows belong to the install that goes on."""
        return self.reason in SALVAGED


def set_aside(path: Path, reason: str, realtime_ns: int) -> Aside:
    """Move a database and its companions to ``aside/<utc>-<reason>/``.

    They are linked there first, then a note is made, and only then their old names go: whenever the
    power goes, the next start finds the old file or the note (``unfinished``), and a database is
    never without its write-ahead log, which holds its newest rows.

    Raises:
        SpoolError: it cannot be moved.
    """
    try:
        place = make_place(path.parent, reason, realtime_ns)
        for companion in COMPANIONS:
            source = path.with_name(path.name + companion)
            if source.exists():
                os.link(source, place / source.name)
        sync_directory(place)
        aside = Aside(place / path.name, reason)
        note(aside)
        _unlink(path)
    except OSError as error:
        raise SpoolError(
            f"{path}: cannot be set aside: {error.strerror}",
            op="set_aside",
            path=str(path),
            hint=f"make {path.parent} writable for the user of the services",
        ) from error
    return aside


def make_place(directory: Path, reason: str, realtime_ns: int) -> Path:
    """A new, empty directory for what is set aside now.

    Raises:
        OSError: it cannot be made.
    """
    root = directory / ASIDE_DIRECTORY
    root.mkdir(mode=0o750, exist_ok=True)
    # Else a power cut might keep the removal of the old names, and not the directory.
    sync_directory(directory)
    try:
        stamp = f"{datetime.fromtimestamp(realtime_ns // 10**9, UTC):%Y%m%dT%H%M%SZ}"
    except (ValueError, OverflowError, OSError):
        stamp = "undated"
    for number in range(1000):
        place = root / (f"{stamp}-{reason}" + (f".{number}" if number else ""))
        try:
            place.mkdir(mode=0o750)
        except FileExistsError:
            continue
        sync_directory(root)
        return place
    raise FileExistsError(errno.EEXIST, f"1000 directories of {stamp}-{reason}")


def note(aside: Aside) -> None:
    """Note durably that a new spool is to be settled in this one's place.

    Raises:
        OSError: the note cannot be written.
    """
    root = aside.path.parent.parent
    fresh = root / f"{_NOTE_FILE}.new"
    with fresh.open("w") as file:
        json.dump({"path": str(aside.path.relative_to(root)), "reason": aside.reason}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(root / _NOTE_FILE)
    sync_directory(root)


def unfinished(path: Path) -> Aside | None:
    """What was being set aside when a start was cut short; its old names are gone afterwards.

    Args:
        path: the spool.
    """
    root = path.parent / ASIDE_DIRECTORY
    try:
        told = json.loads((root / _NOTE_FILE).read_bytes())
        aside = Aside(root / told["path"], told["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with contextlib.suppress(FileNotFoundError):
        if path.samefile(aside.path):
            _unlink(path)
    return aside


def finish(path: Path) -> None:
    """Forget the note: the new spool is settled."""
    (path.parent / ASIDE_DIRECTORY / _NOTE_FILE).unlink(missing_ok=True)


def _unlink(path: Path) -> None:
    """Remove the names of a database that is linked elsewhere; SQLite deletes a log without one."""
    for companion in COMPANIONS:
        path.with_name(path.name + companion).unlink(missing_ok=True)
    sync_directory(path.parent)
