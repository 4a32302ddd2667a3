"""The spool's directory and disk: how much is there, and the ballast."""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Final

from collector.spool.budget import Usage
from common.spool.prepare import sync_directory
from common.spool.schema import ASIDE_DIRECTORY, BALLAST_FILE, SPOOL_FILE

_NOT_OTHER: Final = frozenset(
    {SPOOL_FILE, f"{SPOOL_FILE}-wal", f"{SPOOL_FILE}-shm", BALLAST_FILE, ASIDE_DIRECTORY}
)


def usage(connection: sqlite3.Connection, directory: Path) -> Usage:
    """Measure; costs one look at each name in the directory.

    Raises:
        OSError: the directory cannot be read.
        sqlite3.Error: the file cannot be read.
    """
    other = 0
    with os.scandir(directory) as entries:
        for entry in entries:
            if entry.name not in _NOT_OTHER:
                with contextlib.suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    other += found.st_blocks * 512 if entry.is_file(follow_symlinks=False) else 0
    disk = os.statvfs(directory)
    return Usage(
        int(connection.execute("PRAGMA page_count").fetchone()[0]),
        int(connection.execute("PRAGMA freelist_count").fetchone()[0]),
        other,
        disk.f_bavail * disk.f_frsize,
    )


class Ballast:
    """A file without content that holds room on the disk.

    On a full disk the write-ahead log can take all that is left, and then neither a checkpoint nor
    a delete finds room. Giving up the ballast gets both going again.

    Args:
        directory: the spool directory.
        size: bytes.
    """

    def __init__(self, directory: Path, size: int) -> None:
        self._path = directory / BALLAST_FILE
        self._size = size

    @property
    def present(self) -> bool:
        """Whether there is ballast to give up."""
        return self._path.exists()

    def give_up(self) -> bool:
        """Free its room; returns whether there was any."""
        try:
            self._path.unlink()
            sync_directory(self._path.parent)
        except OSError:
            return False
        return True

    def take(self) -> bool:
        """Make it again; returns whether that worked. A half-made one is removed."""
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o640)
            try:
                os.posix_fallocate(descriptor, 0, self._size)
            finally:
                os.close(descriptor)
        except OSError:
            with contextlib.suppress(OSError):
                self._path.unlink(missing_ok=True)
            return False
        return True
