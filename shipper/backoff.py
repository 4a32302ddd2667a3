"""How long to wait before the next try: tenacity's schedules, with full jitter.

Full jitter (uniform between 0 and a growing cap) keeps a fleet that lost its network together from
coming back together. A ``Retry-After`` of the server wins over all of this; see
``shipper.protocol.pacing``.
"""

from typing import Final

from tenacity import RetryCallState
from tenacity.wait import wait_base, wait_exponential, wait_random, wait_random_exponential

from shipper.protocol.limits import Limits
from shipper.protocol.pacing import Delays

QUICK_BASE_S: Final = 1.0
QUICK_MAX_S: Final = 60.0


class Backoff:
    """One schedule of tenacity's, asked by the number of the failure.

    Args:
        schedule: any of tenacity's wait objects.
    """

    def __init__(self, schedule: wait_base) -> None:
        self._schedule = schedule
        self._state = RetryCallState(retry_object=None, fn=None, args=(), kwargs={})  # type: ignore[arg-type]

    def __call__(self, failure: int) -> float:
        """Seconds to wait after the n-th failure in a row, from 1."""
        # Beyond this the cap holds anyway, and 2**n would grow for as long as an outage lasts.
        self._state.attempt_number = min(failure, 32)
        return float(self._schedule(self._state))


def delays(limits: Limits) -> Delays:
    """The two schedules of the protocol.

    The slow one is never shorter than ``limits.holdoff_s``: two writers that fence each other would
    discard each other's rows for ever if either came back before the other's could be committed.
    """
    quick = wait_random_exponential(multiplier=QUICK_BASE_S, max=QUICK_MAX_S)
    slow = wait_exponential(multiplier=limits.holdoff_s, max=limits.slow_s) + wait_random(
        0, limits.holdoff_s / 3
    )
    return Delays(Backoff(quick), Backoff(slow))
