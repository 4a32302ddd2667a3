"""A clock that tests move: it jumps on sleep, steps, drifts, and is synchronised when told so.

Time passes only by ``sleep``, ``pause`` and ``advance``. ``at`` plans something for a later moment,
which then happens in the middle of whatever sleep passes over it.
"""

import heapq
import math
from collections.abc import Callable
from typing import Final

_NS: Final = 1_000_000_000
START_REALTIME_NS: Final = 1_792_000_000 * _NS
"""2026-10-14T17:46:40Z."""


class ManualClock:
    """See ``common.clock.Clock``.

    Args:
        realtime_ns: wall clock at the beginning.
        uptime_s: seconds since boot at the beginning; the monotonic clock starts there too.
        boot_id: of the boot.
        synchronised: what the kernel says.
        drift_ppm: how much faster the wall clock runs than the monotonic one.
    """

    def __init__(
        self,
        *,
        realtime_ns: int = START_REALTIME_NS,
        uptime_s: float = 100.0,
        boot_id: str = "b0" * 16,
        synchronised: bool = True,
        drift_ppm: float = 0.0,
    ) -> None:
        self.slept: list[float] = []
        self.drift_ppm = drift_ppm
        self._realtime_ns = realtime_ns
        self._uptime_ns = round(uptime_s * _NS)
        self._suspended_ns = 0
        self._boot_id = boot_id
        self._synchronised = synchronised
        self._stopping = False
        self._planned: list[tuple[int, int, Callable[[], None]]] = []
        self._plans = 0

    def realtime_ns(self) -> int:
        """See ``Clock``."""
        return self._realtime_ns

    def boottime_ns(self) -> int:
        """See ``Clock``."""
        return self._uptime_ns + self._suspended_ns

    def monotonic_s(self) -> float:
        """See ``Clock``."""
        return self._uptime_ns / _NS

    def boot_id(self) -> str:
        """See ``Clock``."""
        return self._boot_id

    def synchronised(self) -> bool:
        """See ``Clock``."""
        return self._synchronised

    def sleep(self, seconds: float) -> bool:
        """See ``Clock``; jumps, and ends early at a planned ``stop``."""
        self.slept.append(seconds)
        self._pass(max(0.0, seconds), until_stopped=True)
        return self._stopping

    @property
    def stopping(self) -> bool:
        """See ``Clock``."""
        return self._stopping

    def pause(self, seconds: float) -> None:
        """Let time pass inside a bus transfer, and the microsecond that waking up costs at least.

        A stop does not cut it short.
        """
        self._pass(seconds + 1e-6, until_stopped=False)

    def advance(self, seconds: float) -> None:
        """Let time pass without anybody sleeping."""
        self._pass(seconds, until_stopped=False)

    def at(self, in_s: float, action: Callable[[], None]) -> None:
        """Plan an action for this many seconds from now."""
        due_ns = self._uptime_ns + round(in_s * _NS)
        self._plans += 1
        heapq.heappush(self._planned, (due_ns, self._plans, action))

    def step(self, seconds: float) -> None:
        """Set the wall clock by this much."""
        self._realtime_ns += round(seconds * _NS)

    def suspend(self, seconds: float) -> None:
        """The machine sleeps: boottime and wall clock go on, the monotonic clock does not."""
        self._suspended_ns += round(seconds * _NS)
        self._realtime_ns += round(seconds * _NS)

    def synchronise(self, by_s: float = 0.0) -> None:
        """A time source arrives: the clock is set, and the kernel says so."""
        self.step(by_s)
        self._synchronised = True

    def lose_synchronisation(self) -> None:
        """The time source is gone for so long that the kernel says so."""
        self._synchronised = False

    def stop(self) -> None:
        """Ask for a stop, as a signal does."""
        self._stopping = True

    def _pass(self, seconds: float, *, until_stopped: bool) -> None:
        """Move on, doing what is planned on the way; the shortest wait is a nanosecond."""
        end_ns = self._uptime_ns + math.ceil(seconds * _NS)
        while self._planned and self._planned[0][0] <= end_ns:
            due_ns, _, action = heapq.heappop(self._planned)
            self._move_to(max(due_ns, self._uptime_ns))
            action()
            if until_stopped and self._stopping:
                return
        if not (until_stopped and self._stopping):
            self._move_to(end_ns)

    def _move_to(self, uptime_ns: int) -> None:
        passed_ns = uptime_ns - self._uptime_ns
        self._uptime_ns = uptime_ns
        self._realtime_ns += passed_ns + round(passed_ns * self.drift_ppm / 1_000_000)
