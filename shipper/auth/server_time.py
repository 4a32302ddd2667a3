"""What time it is for the server, learnt from its ``Date`` headers.

A Raspberry Pi without a battery-backed clock may be years wrong, and a token whose ``iat`` is off
by more than a minute is refused. So the server's time is kept as its distance to this boot's
uptime, which never steps; the wall clock serves only until the first answer.
"""

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from common.clock import Clock

_SECOND_NS: Final = 1_000_000_000


class ServerTime:
    """The server's clock as far as it is known."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._boot_s: float | None = None

    def learn(self, date: str | None, age: str | None = None) -> None:
        """Take the ``Date`` header of an answer that came over verified TLS.

        Args:
            date: the header; ``None`` or nonsense teaches nothing.
            age: the ``Age`` header; an answer out of a cache teaches nothing.
        """
        if date is None or (age or "0").strip() != "0":
            return
        try:
            server = parsedate_to_datetime(date)
            server_s = (server if server.tzinfo else server.replace(tzinfo=UTC)).timestamp()
        except (ValueError, TypeError, IndexError, OverflowError):
            return
        self._boot_s = server_s - self._clock.boottime_ns() / _SECOND_NS

    def now_s(self) -> float:
        """Seconds since 1970 by the server's clock, or by ours until it has told its own."""
        if self._boot_s is None:
            return self._clock.realtime_ns() / _SECOND_NS
        return self._boot_s + self._clock.boottime_ns() / _SECOND_NS

    def skew_s(self) -> float:
        """How far our wall clock is behind the server's, seconds; 0 until it is known."""
        return self.now_s() - self._clock.realtime_ns() / _SECOND_NS
