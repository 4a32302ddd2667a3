"""File systems spoken straight to ``/dev/fuse``: no libfuse, no package; and one of one file.

Of the latter the mount point is itself the file; opening it and asking it by ioctl is all it can
do. Layouts are those of ``linux/fuse.h``, protocol 7.31, which later kernels accept.
"""

import ctypes
import errno
import os
import select
import stat
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Final

DEVICE: Final = Path("/dev/fuse")
_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_MS_NOSUID, _MS_NODEV, _MNT_DETACH = 2, 4, 2
_READ_SIZE: Final = 1 << 16

_IN_HEADER: Final = struct.Struct("<IIQQIIIHH")
_OUT_HEADER: Final = struct.Struct("<IiQ")
_INIT_OUT: Final = struct.Struct("<IIIIHHIIHHI28x")
_ATTR_OUT: Final = struct.Struct("<QII6Q10I")
_OPEN_OUT: Final = struct.Struct("<QII")
_IOCTL_IN: Final = struct.Struct("<QIIQII")
_IOCTL_OUT: Final = struct.Struct("<iIII")
_STATFS_OUT: Final = struct.Struct("<5QIII28x")


class _Opcode(IntEnum):
    """The requests that are answered, or need no answer; all others get ENOSYS."""

    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    OPEN = 14
    STATFS = 17
    RELEASE = 18
    FLUSH = 25
    INIT = 26
    ACCESS = 34
    INTERRUPT = 36
    DESTROY = 38
    IOCTL = 39
    BATCH_FORGET = 42


_SILENT: Final = frozenset((_Opcode.FORGET, _Opcode.INTERRUPT, _Opcode.BATCH_FORGET))
_DIRECT_IO: Final = 1
"""Reads and writes come to us too, and are refused, instead of finding an empty file."""
_MODE: Final = stat.S_IFREG | 0o666


@dataclass(frozen=True, slots=True)
class Ioctl:
    """One ioctl(2) on the file.

    Attributes:
        pid: thread that asks.
        command: number of the request.
        argument: its third argument as it stands, mostly a pointer in the caller's memory.
    """

    pid: int
    command: int
    argument: int


@dataclass(frozen=True, slots=True)
class Request:
    """What the kernel asks.

    Attributes:
        opcode: number of the operation.
        node: what it is about, by the number that the file system gave it; 1: the root.
        pid: thread on whose behalf.
        body: the rest, laid out as the operation wants.
        unique: names the request in its answer.
    """

    opcode: int
    node: int
    pid: int
    body: bytes
    unique: int


class Mount:
    """A file system, mounted.

    Args:
        path: the mount point; made when missing, and then removed at the end.
        directory: whether the mount point is a directory; else it is a regular file.
        name: what the table of mounts calls it.

    Raises:
        OSError: no ``/dev/fuse``, or no right to mount.
    """

    def __init__(self, path: Path, *, directory: bool = False, name: str = "i2c") -> None:
        self.path = path
        self._directory = directory
        _detach_stale(path)
        if os.path.ismount(path):
            raise OSError(errno.EBUSY, "something is mounted here already", str(path))
        self._made = not path.exists()
        if self._made:
            path.mkdir() if directory else path.touch()
        mode = stat.S_IFDIR | 0o777 if directory else _MODE
        self.fd = os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        options = (
            f"fd={self.fd},rootmode={mode:o},user_id={os.getuid()},group_id={os.getgid()},"
            "allow_other"
        )
        try:
            _mount(path, name, options)
        except OSError:
            os.close(self.fd)
            self._remove()
            raise

    def close(self) -> None:
        """Unmount; whoever still waits for an answer gets ECONNABORTED, later calls ENOTCONN."""
        _LIBC.umount2(os.fsencode(self.path), _MNT_DETACH)
        os.close(self.fd)
        self._remove()

    def _remove(self) -> None:
        if self._made and self._directory:
            self.path.rmdir()
        elif self._made:
            self.path.unlink(missing_ok=True)


class Requests:
    """Answers the kernel's requests for a mount, one after the other.

    Args:
        mount: where they come from.
        read_size: room for one request, bytes.
    """

    def __init__(self, mount: Mount, read_size: int = _READ_SIZE) -> None:
        self._mount = mount
        self._read_size = read_size

    def answer(self, request: Request) -> tuple[int, bytes] | None:
        """Error number and answer for one request; what is not known here is ENOSYS.

        ``None``: it is answered later, by ``reply``.
        """
        return errno.ENOSYS, b""

    def serve(self, stop_fd: int) -> None:
        """Answer until ``stop_fd`` can be read or the file was unmounted by somebody else."""
        poll = select.poll()
        poll.register(self._mount.fd, select.POLLIN)
        poll.register(stop_fd, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if stop_fd in ready:
                return
            if not self._serve_one():
                return

    def _serve_one(self) -> bool:
        try:
            request = os.read(self._mount.fd, self._read_size)
        except OSError as error:
            # A request that its caller gave up between poll and read is ENOENT or EAGAIN.
            return error.errno in (errno.ENOENT, errno.EAGAIN, errno.EINTR)
        _, opcode, unique, node, _, _, pid, _, _ = _IN_HEADER.unpack_from(request)
        if opcode not in _SILENT:
            asked = Request(opcode, node, pid, request[_IN_HEADER.size :], unique)
            answer = self.answer(asked)
            if answer is not None:
                self.reply(asked, *answer)
        return True

    def reply(self, request: Request, number: int, body: bytes) -> None:
        """Answer a request; one whose caller was killed, or whose mount is gone, needs none."""
        data = b"" if number else body
        try:
            header = _OUT_HEADER.pack(_OUT_HEADER.size + len(data), -number, request.unique)
            os.write(self._mount.fd, header + data)
        except OSError as error:
            # ENOENT: the caller was killed while it waited; ENODEV: unmounted meanwhile.
            if error.errno not in (errno.ENOENT, errno.ENODEV):
                raise


class OneFile(Requests):
    """A file that answers ioctl(2).

    Args:
        mount: the file.
        ioctl: answers one request: ``None`` is success; an ``OSError`` is handed to the caller.
    """

    def __init__(self, mount: Mount, ioctl: Callable[[Ioctl], None]) -> None:
        super().__init__(mount)
        self._ioctl = ioctl

    def answer(self, request: Request) -> tuple[int, bytes]:
        """See ``Requests``."""
        match request.opcode:
            case _Opcode.INIT:
                return 0, _INIT_OUT.pack(7, 31, 0, 0, 1, 1, 4096, 1, 1, 0, 0)
            case _Opcode.GETATTR | _Opcode.SETATTR:
                return 0, _attributes()
            case _Opcode.OPEN:
                return 0, _OPEN_OUT.pack(1, _DIRECT_IO, 0)
            case _Opcode.STATFS:
                return 0, _STATFS_OUT.pack(0, 0, 0, 1, 0, 512, 255, 512)
            case _Opcode.RELEASE | _Opcode.FLUSH | _Opcode.ACCESS | _Opcode.DESTROY:
                return 0, b""
            case _Opcode.IOCTL:
                return self._answer_ioctl(request.pid, request.body)
        return errno.ENOSYS, b""

    def _answer_ioctl(self, pid: int, body: bytes) -> tuple[int, bytes]:
        _, _, command, argument, _, _ = _IOCTL_IN.unpack_from(body)
        try:
            self._ioctl(Ioctl(pid, command, argument))
        except OSError as error:
            return error.errno or errno.EIO, b""
        return 0, _IOCTL_OUT.pack(0, 0, 0, 0)


def _attributes() -> bytes:
    times = (0, 0, 0)
    owner = (os.getuid(), os.getgid())
    return _ATTR_OUT.pack(1, 0, 0, 1, 0, 0, *times, 0, 0, 0, _MODE, 1, *owner, 0, 4096, 0)


def _mount(path: Path, name: str, options: str) -> None:
    flags = ctypes.c_ulong(_MS_NOSUID | _MS_NODEV)
    if _LIBC.mount(
        name.encode(), os.fsencode(path), f"fuse.{name}".encode(), flags, options.encode()
    ):
        number = ctypes.get_errno()
        raise OSError(number, f"mount(2) of fuse: {os.strerror(number)}", str(path))


def _detach_stale(path: Path) -> None:
    """A server that was killed leaves its mount behind, on which everything is ENOTCONN."""
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ENOTCONN:
            _LIBC.umount2(os.fsencode(path), _MNT_DETACH)
