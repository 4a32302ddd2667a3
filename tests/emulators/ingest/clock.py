"""The server's clock: wall time that never steps, and the wrong one that it may show."""

import time


class ServerClock:
    """Seconds since 1970, from the wall clock at the start and the monotonic clock since.

    Attributes:
        offset_s: how far the clock that clients see (Date header, sign-in) is ahead.
    """

    def __init__(self) -> None:
        """Start with the machine's time."""
        self.offset_s = 0.0
        self._start_s = time.time() - time.monotonic()

    def now_s(self) -> float:
        """For commits; does not go back."""
        return self._start_s + time.monotonic()

    def shown_s(self) -> float:
        """As clients see it."""
        return self.now_s() + self.offset_s
