"""Locks between processes, as files that are locked with flock(2) and never deleted.

The kernel releases such a lock when its holder ends, however it ends, so nothing is left to clean
up after ``kill -9``; and since the file stays, two processes can never lock two files of one name.
"""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from common.clock import pause
from common.errors import LockHeld, PermissionRefused, SpoolError

_POLL_S: Final = 0.01


class FileLock:
    """One lock; it belongs to this object, also against other objects of the same process.

    Args:
        path: the lock file, made when missing, with mode 0640.
        timeout_s: how long ``with lock:`` waits for another holder, seconds.
    """

    def __init__(self, path: Path, timeout_s: float = 0.0) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._fd: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._fd is not None

    def acquire(self, timeout_s: float = 0.0) -> None:
        """Take the lock.

        Args:
            timeout_s: how long to wait for another holder, seconds.

        Raises:
            LockHeld: another process, whose number the message tells, has it.
            PermissionRefused: the file may not be opened.
            SpoolError: the file cannot be made.
        """
        deadline_s = time.monotonic() + timeout_s
        while not self.try_acquire():
            if time.monotonic() >= deadline_s:
                raise LockHeld(
                    f"{self.path} is locked by {holder(self.path)}",
                    hint="only one process of this kind may work on one spool; stop the other one",
                )
            pause(_POLL_S)

    def try_acquire(self) -> bool:
        """Take the lock if it is free; never waits. Returns whether it is ours now.

        Raises:
            RuntimeError: this object holds it already.
            PermissionRefused: the file may not be opened.
            SpoolError: the file cannot be made.
        """
        if self._fd is not None:
            raise RuntimeError(f"{self.path} is already held by this object")
        fd = self._open()
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except OSError as error:
            os.close(fd)
            raise self._failed(error) from error
        if not _same_file(fd, self.path):
            # Somebody replaced the file between open and flock: this lock would guard nothing.
            os.close(fd)
            return False
        self._fd = fd
        return True

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._fd is not None:
            # Not by close alone: a child that is just being started has a copy until its exec.
            fcntl.flock(self._fd, fcntl.LOCK_UN)
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        self.acquire(self._timeout_s)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except PermissionError as error:
            raise PermissionRefused(
                f"{self.path}: may not be opened by user {os.geteuid()}",
                hint="give the directory to the user that the service runs as",
            ) from error
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> SpoolError:
        return SpoolError(
            f"{self.path}: cannot be locked: {error.strerror}",
            op="lock",
            path=str(self.path),
            hint=f"check that {self.path.parent} exists and is on a local file system",
        )


def holder(path: Path) -> str:
    """Who holds the lock, for messages: "process 123", or "another process" when /proc hides it."""
    try:
        inode = str(path.stat().st_ino)
        lines = Path("/proc/locks").read_text().splitlines()
    except OSError:
        return "another process"
    for line in lines:
        # 1: FLOCK  ADVISORY  WRITE 4711 b3:02:131089 0 EOF
        words = line.split()
        if len(words) > 5 and words[1] == "FLOCK" and words[5].rpartition(":")[2] == inode:
            return f"process {words[4]}"
    return "another process"


def _same_file(fd: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except FileNotFoundError:
        return False
