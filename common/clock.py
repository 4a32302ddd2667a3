"""Time: the one place that reads clocks and sleeps.

Schedules and ages use ``monotonic_s`` or ``boottime_ns`` only; ``realtime_ns`` is data, because a
Raspberry Pi without a battery-backed clock boots with a wrong one and is stepped later.
"""

import ctypes
import threading
import time
from pathlib import Path
from typing import Protocol

BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
_TIME_ERROR = 5


class Clock(Protocol):
    """What the product may know of time."""

    def realtime_ns(self) -> int:
        """Wall clock, nanoseconds since 1970 UTC; may step, may be years wrong."""

    def boottime_ns(self) -> int:
        """Nanoseconds since this boot, counting suspend (CLOCK_BOOTTIME); never steps."""

    def monotonic_s(self) -> float:
        """Seconds on the monotonic clock; only differences mean something."""

    def boot_id(self) -> str:
        """The kernel's random id of this boot, 32 lower-case hex digits."""

    def synchronised(self) -> bool:
        """Whether the kernel says that the wall clock is disciplined by a time source."""

    def sleep(self, seconds: float) -> bool:
        """Wait; ends early when a stop was asked for. Returns True when stopping."""

    @property
    def stopping(self) -> bool:
        """Whether a stop was asked for."""


class _Timex(ctypes.Structure):
    """``struct timex`` of adjtimex(2); only its size matters here (208 bytes on 64-bit Linux)."""

    _fields_ = (("modes", ctypes.c_uint), ("rest", ctypes.c_char * 508))


def kernel_synchronised() -> bool:
    """Ask adjtimex(2) for the clock state; any refusal counts as not synchronised."""
    libc = ctypes.CDLL(None, use_errno=True)
    state: int = libc.adjtimex(ctypes.byref(_Timex()))
    return 0 <= state < _TIME_ERROR


def pause(seconds: float) -> None:
    """Wait a few milliseconds inside one bus transfer; a stop does not cut it short."""
    time.sleep(seconds)


class SystemClock:
    """The machine's clocks; ``stop`` is the event that a signal sets and every sleep watches."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self._stop = stop or threading.Event()
        self._boot_id = BOOT_ID_FILE.read_text().strip().replace("-", "")

    def realtime_ns(self) -> int:
        """See ``Clock``."""
        return time.time_ns()

    def boottime_ns(self) -> int:
        """See ``Clock``."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def monotonic_s(self) -> float:
        """See ``Clock``."""
        return time.monotonic()

    def boot_id(self) -> str:
        """See ``Clock``."""
        return self._boot_id

    def synchronised(self) -> bool:
        """See ``Clock``."""
        return kernel_synchronised()

    def sleep(self, seconds: float) -> bool:
        """See ``Clock``."""
        return self._stop.wait(max(0.0, seconds))

    @property
    def stopping(self) -> bool:
        """See ``Clock``."""
        return self._stop.is_set()
