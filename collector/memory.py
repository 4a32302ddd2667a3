"""Gives memory back that only the start needed."""

import contextlib
import ctypes
import gc


def release() -> None:
    """Collect garbage, and return free heap pages to the system (glibc's malloc_trim(3)).

    Imports leave about 1 MiB of holes that would stay resident for the life of the process. Other
    C libraries have no such call, and then nothing happens.
    """
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
