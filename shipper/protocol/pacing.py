"""When the next request may leave, and why not sooner: every wait of the protocol is decided here.

Seconds come in from outside (``now_s`` on a monotonic clock, delays drawn by ``shipper.backoff``),
so the same events at the same times always lead to the same waits.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from shipper.protocol.events import (
    ChannelLost,
    Event,
    Misconfigured,
    Moved,
    Throttled,
    Unauthorized,
    Unresolved,
    Unsent,
)
from shipper.protocol.limits import Limits
from shipper.protocol.window import Window

WISH_JITTER: Final = 0.1
"""A wish is exceeded by at most this share of it, or a second."""

COUNTERS_LAG: Final = "counters lag"
"""The reason while nothing new is sent because the server's counters are behind its token."""


@dataclass(frozen=True, slots=True)
class Delays:
    """Draws waits; each takes the number of the failure, from 1.

    Attributes:
        quick: for what may be over in a moment (network, 5xx, throttling, reopening): up to a
            minute.
        slow: for what needs a person or another writer to go away: from ``holdoff_s`` up to
            ``slow_s``.
    """

    quick: Callable[[int], float]
    slow: Callable[[int], float]


class Pacing:
    """The counters behind every wait; one object for the life of the drain."""

    def __init__(self, limits: Limits, delays: Delays) -> None:
        self._limits = limits
        self._delays = delays
        self.not_before_s = 0.0
        self.reason = ""
        self.failures = 0
        self.denials = 0
        self.faults = 0
        self.reopens = 0
        self.fences = 0
        self.stalls = 0
        self.unclean = 0
        self.slow_start = True
        self._append_s = 0.0
        self._poll_s = 0.0
        self._progress_s = 0.0
        self._unsettled_s: float | None = None

    def wait_s(self, now_s: float) -> float:
        """Seconds until any request may leave; 0: at once."""
        return max(0.0, self.not_before_s - now_s)

    def sent(self, now_s: float) -> None:
        """A request left."""
        self._hold(now_s + self._limits.spacing_s, "")

    def answered(self) -> None:
        """A fitting answer came: the network and the server work."""
        self.failures = self.denials = 0
        self.reason = ""

    def awaits(self, reason: str) -> None:
        """A fitting answer came, and yet nothing may be sent; the reason is for people."""
        self.answered()
        self.reason = reason

    def failed(self, event: Event, now_s: float) -> None:
        """A request came to nothing, or to something only time or a person can mend."""
        match event:
            case Throttled(code, wish):
                self._quick(code, wish, now_s)
            case Unresolved(kind, wish):
                self._quick(kind, wish, now_s)
            case Unsent(kind, wish):
                self._quick(kind, wish, now_s)
            case Unauthorized(code):
                # The first one only asks for a new token; the transport gets it.
                self.denials += 1
                if self.denials > 1:
                    self._hold(now_s + self._delays.slow(self.denials - 1), code)
            case Misconfigured(code):
                self.faulted(code, now_s)
            case Moved():
                self.reopened("moved", now_s)
            case ChannelLost(code, fenced):
                self._fenced(code, now_s) if fenced else self.reopened(code, now_s)
            case _:
                pass

    def faulted(self, reason: str, now_s: float) -> None:
        """Only a person can mend it: slow retry, for ever."""
        self.faults += 1
        self._hold(now_s + self._delays.slow(self.faults), reason)

    def reopened(self, cause: str, now_s: float) -> None:
        """A session ended.

        The first open comes at once, later ones without a commit between wait.
        """
        self.reopens += 1
        if self.reopens > 1:
            self._hold(now_s + self._delays.quick(self.reopens - 1), cause)

    def opened(self, now_s: float) -> None:
        """A session begins: slow start, and a first look at the status soon (rule 13)."""
        self.slow_start = True
        self._poll_s = now_s + self._limits.poll_s
        self._progress_s = now_s
        self._unsettled_s = None

    def appended(self, window: Window, now_s: float) -> None:
        """A batch was accepted."""
        if window.uncommitted == 1:
            self._progress_s = now_s
            self._poll_s = min(self._poll_s, now_s + self._limits.poll_s)

    def polled(self, *, waiting: bool, now_s: float) -> None:
        """A status was asked for; the next one comes soon while anything waits for it."""
        cadence = self._limits.poll_s if waiting else self._limits.poll_idle_s
        self._poll_s = now_s + cadence

    def progressed(self, now_s: float) -> None:
        """The committed token moved: what was wrong before is over."""
        self._progress_s = now_s
        self.reopens = self.fences = self.stalls = self.faults = 0

    def settled(self, *, clean: bool, proven: bool, now_s: float) -> None:
        """Rows were acknowledged; a row error means slow start again.

        And pauses that grow (rule 13).

        Args:
            clean: no row error came with them.
            proven: a batch of this session was among them; only that ends the slow start.
            now_s: the time.
        """
        if not clean:
            self.slow_start = True
            self.unclean += 1
            self._append_s = now_s + min(2.0 ** min(self.unclean, 20), self._limits.slow_s)
        elif proven:
            self.slow_start = False
            self.unclean = 0

    def weighed(self, *, unsettled: bool, now_s: float) -> None:
        """The counters were held against what was sent.

        Args:
            unsettled: whether committed rows still wait for theirs.
            now_s: the time.
        """
        if not unsettled:
            self._unsettled_s = None
        elif self._unsettled_s is None:
            self._unsettled_s = now_s
        if self.counters_lag(now_s):
            self.awaits(COUNTERS_LAG)

    def counters_lag(self, now_s: float) -> bool:
        """Whether committed rows wait so long that nothing new may move the token on (rule 14)."""
        since_s = self._unsettled_s
        return since_s is not None and now_s - since_s >= self._limits.counters_wait_s

    def hold_appends(self, seconds: float, now_s: float) -> None:
        """No append for so long; polls go on."""
        self._append_s = max(self._append_s, now_s + seconds)

    def table_fault(self, now_s: float) -> None:
        """The table refuses whatever it is sent: slow retry of appends."""
        self.faults += 1
        self.reason = "table_fault"
        self.hold_appends(self._delays.slow(self.faults), now_s)

    def poll_due_s(self, now_s: float) -> float:
        """Seconds until the next status poll; 0: now."""
        return max(0.0, self._poll_s - now_s)

    def append_wait_s(self, window: Window, now_s: float) -> float | None:
        """Seconds until a new batch may be sent; 0: now; ``None``: not before a status."""
        if self.counters_lag(now_s):
            return None
        if self.slow_start and window.batches:
            return None
        if window.batches and window.spool_bytes >= self._limits.window_bytes:
            return None
        return max(0.0, self._append_s - now_s)

    def stalled(self, window: Window, now_s: float) -> bool:
        """Whether accepted rows wait too long for a commit (rule 12)."""
        return window.uncommitted > 0 and now_s - self._progress_s >= self._limits.stall_s

    def commit_stall(self, now_s: float) -> bool:
        """A session was given up for that; True when it is time for an alarm and a slow retry."""
        self.stalls += 1
        if self.stalls < self._limits.stalls_max:
            return False
        self._hold(now_s + self._delays.slow(self.stalls), "commit_stall")
        return True

    def _quick(self, reason: str, wish_s: float | None, now_s: float) -> None:
        self.failures += 1
        slow_s = self._limits.slow_s
        if wish_s is None:
            wait_s = min(self._delays.quick(self.failures), slow_s)
        else:
            # The server's wish wins; the jitter on top keeps a fleet, to all of which it said the
            # same, from coming back in one instant.
            wish_s = min(wish_s, slow_s)
            share = min(self._delays.quick(1), 1.0)
            wait_s = wish_s + share * max(1.0, wish_s * WISH_JITTER)
        self._hold(now_s + wait_s, reason)

    def _fenced(self, code: str, now_s: float) -> None:
        """The first time may be an old session of ours; a second one is another writer (§7.2)."""
        self.fences += 1
        if self.fences == 1:
            self.reopened(code, now_s)
            return
        self._hold(now_s + self._delays.slow(self.fences - 1), code)

    def _hold(self, until_s: float, reason: str) -> None:
        self.not_before_s = max(self.not_before_s, until_s)
        if reason:
            self.reason = reason
