"""Where a simulated process may end, what others do meanwhile, and the lock between two of them."""

import contextlib
from collections.abc import Callable

from common.errors import LockHeld, SpoolError


class Killed(BaseException):
    """The process ends here; nothing of it goes on, not even its error handling."""


class Mortality:
    """Counts down the port calls of one process to its death.

    Attributes:
        calls_left: so many more calls, and it dies; ``None``: it lives.
        meanwhile: what another process does between two calls; ``None``: nothing.
        fails: asked at each access to a file whether the card fails; ``None``: it never does.
    """

    def __init__(self) -> None:
        self.calls_left: int | None = None
        self.meanwhile: Callable[[], None] | None = None
        self.fails: Callable[[], bool] | None = None

    def tick(self) -> None:
        """One more place where the process may die, or be overtaken."""
        if self.calls_left is not None:
            self.calls_left -= 1
            if self.calls_left <= 0:
                raise Killed
        if self.meanwhile is not None:
            self.meanwhile()

    def touch(self, op: str) -> None:
        """The same, at a file: it may fail as well.

        Raises:
            SpoolError: the card failed this once.
        """
        self.tick()
        if self.fails is not None and self.fails():
            raise SpoolError("simulated: disk I/O error", op=op, path="simulated")


class SimLock(contextlib.AbstractContextManager[None]):
    """The exposure lock: the shipper enters it, the collector only tries it (rule 20).

    Args:
        mortality: the shipper's.
    """

    def __init__(self, mortality: Mortality) -> None:
        self._mortality = mortality
        self.holder = ""

    def __enter__(self) -> None:
        self._mortality.tick()
        if self.holder:
            raise LockHeld(f"simulated: held by {self.holder}")
        self.holder = "shipper"

    def __exit__(self, *_: object) -> None:
        # Also when killed: the kernel lets go of the locks of a process that ended.
        self.holder = ""

    def try_acquire(self) -> bool:
        """Take it for the collector, if it is free."""
        if self.holder:
            return False
        self.holder = "collector"
        return True

    def release(self) -> None:
        """The collector gives it back, or is dead."""
        if self.holder == "collector":
            self.holder = ""
