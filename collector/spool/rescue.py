"""When the file is taken away under the open connection: copy what only the open file still has."""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

from collector.spool import quarantine
from common.errors import SpoolError
from common.spool.prepare import sync_directory

REASON: Final = "replaced"
TRIES: Final = 3
"""After so many failures the collector goes on without the copy."""
_BACKUP_PAGES: Final = 1024


def rescue(connection: sqlite3.Connection, path: Path, realtime_ns: int, last_seq: int) -> None:
    """Copy the open file to ``aside/`` and note that its rows are to be carried over.

    What lies at the path now, such as an older copy, is set aside too: the open file has all of its
    rows and more.

    Args:
        connection: open on the file that no longer has its name.
        path: where it was.
        realtime_ns: names the directory.
        last_seq: the greatest seq that was reported as stored; rows after it were reported as not
            stored, will be given again, and are left out.

    Raises:
        SpoolError: there is no room, or the device fails.
    """
    try:
        place = quarantine.make_place(path.parent, REASON, realtime_ns)
        copy = place / path.name
        with contextlib.closing(sqlite3.connect(copy)) as target:
            connection.backup(target, pages=_BACKUP_PAGES)
            for table in ("readings", "events"):
                target.execute(f"DELETE FROM {table} WHERE seq > ?", (last_seq,))  # noqa: S608
            target.commit()
        _sync(copy)
        sync_directory(place)
        if path.exists():
            quarantine.set_aside(path, REASON, realtime_ns)
        quarantine.note(quarantine.Aside(copy, REASON))
    except (OSError, sqlite3.Error) as error:
        raise SpoolError(
            f"{path}: was taken away, and the open file cannot be copied: {error}",
            op="rescue",
            path=str(path),
            hint="free space on the card; the collector tries again",
        ) from error


def _sync(path: Path) -> None:
    """fsync a file that no connection of this process has open any more."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
