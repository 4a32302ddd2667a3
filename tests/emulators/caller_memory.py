"""Memory of another process, read and written where it lies (process_vm_readv(2), Linux only).

This is what a driver in the kernel would do with ``copy_from_user``: the pointers of an ioctl
mean something in the caller's address space only.
"""

import ctypes
import os
from typing import Final

_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class _Area(ctypes.Structure):
    """``struct iovec``."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class CallerMemory:
    """The memory of one process.

    Args:
        pid: process or thread id, as the kernel gives it with a request.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def read(self, address: int, length: int) -> bytes:
        """Copy bytes from there.

        Raises:
            OSError: the process is gone, the memory is not its own, or we may not look into it.
        """
        buffer = ctypes.create_string_buffer(length)
        self._move(_LIBC.process_vm_readv, buffer, address, length)
        return buffer.raw

    def write(self, address: int, data: bytes) -> None:
        """Copy bytes to there; raises like ``read``."""
        buffer = ctypes.create_string_buffer(data, len(data))
        self._move(_LIBC.process_vm_writev, buffer, address, len(data))

    def _move(
        self,
        call: "ctypes._NamedFuncPointer",
        buffer: "ctypes.Array[ctypes.c_char]",
        address: int,
        length: int,
    ) -> None:
        if not length:
            return
        here = _Area(ctypes.cast(buffer, ctypes.c_void_p), length)
        there = _Area(address, length)
        moved = call(self._pid, ctypes.byref(here), 1, ctypes.byref(there), 1, ctypes.c_ulong(0))
        if moved != length:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
