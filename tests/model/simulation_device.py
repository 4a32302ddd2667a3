"""The rest of a simulated device: its clock, and those who watch."""

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import Final

BASE_NS: Final = 1_700_000_000_000_000_000


class SimClock:
    """A clock that only the simulation moves.

    Attributes:
        now_s: the monotonic clock.
        booted_s: when the running boot began, on it.
        ahead_ns: what the wall clock is ahead of the true time.
    """

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.booted_s = 0.0
        self.ahead_ns = 0
        self.boot = ""
        self.synced = True
        self.stopping = False

    def realtime_ns(self) -> int:
        """See ``Clock``."""
        return int(self.now_s * 1e9) + BASE_NS + self.ahead_ns

    def boottime_ns(self) -> int:
        """See ``Clock``."""
        return int((self.now_s - self.booted_s) * 1e9)

    def monotonic_s(self) -> float:
        """See ``Clock``."""
        return self.now_s

    def boot_id(self) -> str:
        """See ``Clock``."""
        return self.boot

    def synchronised(self) -> bool:
        """See ``Clock``."""
        return self.synced

    def sleep(self, seconds: float) -> bool:
        """See ``Clock``."""
        self.now_s += seconds
        return False


@dataclass(slots=True)
class Watcher:
    """``Observer``: counts."""

    counts: Counter[str] = field(default_factory=Counter)

    def requested(self, operation: str, code: str) -> None:
        """See ``Observer``."""
        self.counts["requests"] += 1

    def accepted(self, rows: int) -> None:
        """See ``Observer``."""

    def committed(self, rows: int) -> None:
        """See ``Observer``."""

    def reopened(self, cause: str) -> None:
        """See ``Observer``."""
        self.counts[f"reopened {cause}"] += 1

    def state(self, name: str, reason: str) -> None:
        """See ``Observer``."""

    def alarm(self, kind: str, message: str) -> None:
        """See ``Observer``."""
        self.counts[f"alarm {kind}"] += 1


class NoLock(contextlib.AbstractContextManager[None]):
    """The exposure lock of a device that never thins."""

    def __exit__(self, *_: object) -> None:
        return None
