"""How to open without throwing away what is on its way (rule 11).

Ask not to discard first. On 409 watch the committed token until it has stood still for 15 s, 120 s
at most, and only then insist. Reopening at once on a bad link discards each time what was about to
be committed.
"""

from enum import Enum, auto

from shipper.protocol.limits import Limits


class Approach(Enum):
    """What the next request towards an open session is."""

    ASK = auto()
    """Open, unless rows would be discarded."""
    WATCH = auto()
    """Poll the status."""
    INSIST = auto()
    """Open, and discard what never came to a commit."""


class OpenPlan:
    """One plan per session to be opened; ``reset`` when it is."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._since_s: float | None = None
        self._stable_since_s: float | None = None
        self._token: str | None = None
        self._insist = False

    @property
    def insisting(self) -> bool:
        """Whether the wait for what is on its way is over."""
        return self._insist

    def approach(self, now_s: float) -> Approach:
        """What to do next."""
        if self._since_s is None:
            return Approach.ASK
        stable = self._stable_since_s
        settled = stable is not None and now_s - stable >= self._limits.stable_s
        # Once insisting, always insisting: an answer that was lost changes nothing about what was
        # found.
        self._insist = (
            self._insist or settled or now_s - self._since_s >= self._limits.uncommitted_wait_s
        )
        return Approach.INSIST if self._insist else Approach.WATCH

    def uncommitted(self, now_s: float) -> None:
        """An open was answered with 409: rows are on their way."""
        if self._since_s is None:
            self._since_s = now_s

    def watched(self, token: str | None, now_s: float) -> None:
        """A poll gave the committed token."""
        if self._stable_since_s is None or token != self._token:
            self._token, self._stable_since_s = token, now_s

    def lost(self) -> None:
        """A poll said that the channel is lost or gone: nothing of it can commit any more."""
        self._insist = True

    def reset(self) -> None:
        """The session is open."""
        self._since_s = self._stable_since_s = self._token = None
        self._insist = False
