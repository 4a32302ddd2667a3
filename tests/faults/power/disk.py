"""A real ext4 on a loop device, and its power cut.

``EXT4_IOC_SHUTDOWN`` with ``NOLOGFLUSH`` (fs/ext4/ioctl.c, since Linux 4.11) stops a file system as
if the power had gone: what was not flushed is lost, and the next mount replays the journal. A mount
that another mount namespace still holds would come back as it was, still shut down; so everything
runs in a private namespace (``inside``), and a remount is checked for the word ``shutdown``.
"""

import ctypes
import fcntl
import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_SHUTDOWN: Final = 0x8004587D
_NO_LOG_FLUSH: Final = 2
_UNMOUNT_LIMIT_S: Final = 10.0
_BYTES: Final = 64 * 1024 * 1024
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_TOOLS: Final = ("unshare", "mkfs.ext4", "mount", "umount")
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_MS_BIND: Final = 4096

INSIDE: Final = ("unshare", "--mount", "--propagation", "private")
"""Runs a command in a mount namespace of its own; its mounts end with it."""


MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it


@contextmanager
def workspace() -> Iterator[Path]:
    """A directory on memory, where the machine has one, removed at the end."""
    memory = MEMORY if os.access(MEMORY, os.W_OK) else None
    root = Path(tempfile.mkdtemp(prefix="thermal-power-", dir=memory))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def why_no_cut() -> str | None:
    """Why no power can be cut here; ``None`` when it can."""
    if os.geteuid() != 0:
        return "mounting a file system wants root"
    missing = [name for name in _TOOLS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} is not installed"
    if not Path("/dev/loop-control").exists():
        return "there is no loop device"
    if "ext4" not in Path("/proc/filesystems").read_text():
        return "the kernel has no ext4"
    tried = subprocess.run([*INSIDE, "true"], capture_output=True, check=False)
    return None if tried.returncode == 0 else tried.stderr.decode().strip()


class Disk:
    """One disk; only used inside a private mount namespace.

    Args:
        root: an existing directory, best on memory, for the image and the mount point.

    Attributes:
        path: where it is mounted.
        cuts: how often its power was cut.
    """

    def __init__(self, root: Path) -> None:
        self._image = root / "image"
        self.path = root / "mounted"
        self.cuts = 0

    def make(self) -> None:
        """Make the file system and mount it."""
        with self._image.open("wb") as file:
            file.truncate(_BYTES)
        _run("mkfs.ext4", "-q", "-F", self._image)
        self.path.mkdir()
        self.mount()

    def mount(self) -> None:
        """Mount it, replaying its journal, and see that it really is a new mount that works.

        Raises:
            AssertionError: it is still the one that was shut down.
        """
        _run("mount", "-o", "loop,noatime", self._image, self.path)
        assert "shutdown" not in self._options(), "another namespace holds the disk that was cut"
        probe = self.path / ".mounted"
        with probe.open("w") as file:
            file.write(str(self.cuts))
            file.flush()
            os.fsync(file.fileno())
        probe.unlink()

    def cut(self) -> None:
        """Take the power away; whoever has files open on it gets EIO from now on."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.ioctl(descriptor, _SHUTDOWN, struct.pack("I", _NO_LOG_FLUSH))
        finally:
            os.close(descriptor)
        self.cuts += 1

    def return_power(self) -> None:
        """Unmount and mount anew after a cut; every process that used it has ended.

        Raises:
            AssertionError: it was not cut, or the cut did not take.
        """
        assert "shutdown" in self._options(), "the power was not cut"
        self.unmount()
        self.mount()

    def unmount(self) -> None:
        """Unmount; waits for the last descriptors of killed processes."""
        end_s = time.monotonic() + _UNMOUNT_LIMIT_S
        while True:
            done = subprocess.run(["umount", self.path], capture_output=True, check=False)
            if done.returncode == 0:
                return
            if time.monotonic() > end_s:
                raise AssertionError(done.stderr.decode())
            time.sleep(0.01)

    def _options(self) -> Sequence[str]:
        """The options of its mount, as the kernel tells them."""
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
        return [m[3] for m in mounts if m[1] == str(self.path)][-1].split(",")


class Boots:
    """Boot ids that a test gives: a file bound over the kernel's, in the private namespace.

    Args:
        root: an existing directory for the file.
    """

    def __init__(self, root: Path) -> None:
        self._file = root / "boot-id"
        self._number = 0
        self.next()
        done = _LIBC.mount(str(self._file).encode(), str(_BOOT_ID).encode(), None, _MS_BIND, None)
        if done != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(_BOOT_ID))
        assert _BOOT_ID.read_text() == self._file.read_text()

    def next(self) -> None:
        """The machine has booted anew."""
        self._number += 1
        self._file.write_text(f"{self._number:08x}-0000-4000-8000-{os.urandom(6).hex()}\n")


def _run(*words: str | Path) -> None:
    """One tool to its end.

    Raises:
        AssertionError: it failed; the message is its own.
    """
    done = subprocess.run([str(w) for w in words], capture_output=True, check=False)
    assert done.returncode == 0, f"{words[0]}: {done.stderr.decode()}"
