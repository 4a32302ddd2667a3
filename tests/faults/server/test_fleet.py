"""A thousand devices after one outage: jitter spreads them; without it they come at once."""

import random
from collections import Counter
from collections.abc import Callable
from statistics import mean

from shipper.backoff import delays
from shipper.protocol.events import Throttled, Unsent
from shipper.protocol.limits import Limits
from shipper.protocol.pacing import Delays, Pacing

DEVICES = 1000
OUTAGE_S = 3600.0
LIMITS = Limits()


def arrivals(event: Unsent | Throttled, waits: Callable[[], Delays]) -> list[float]:
    """When each device comes back after the outage, seconds after its end.

    All of them fail for the first time in the same instant, as when their network goes away.
    """
    random.seed(20_26)
    found = []
    for _ in range(DEVICES):
        pacing, now_s = Pacing(LIMITS, waits()), 0.0
        while now_s < OUTAGE_S:
            pacing.failed(event, now_s)
            now_s = pacing.not_before_s
        found.append(now_s - OUTAGE_S)
    return found


def busiest_second(times: list[float]) -> int:
    """Most devices within one second."""
    return max(Counter(int(at_s) for at_s in times).values())


def test_a_fleet_comes_back_spread_over_a_minute() -> None:
    """No second sees more than a twentieth of them; all are back within the longest wait."""
    found = arrivals(Unsent("dns"), lambda: delays(LIMITS))
    assert busiest_second(found) < DEVICES / 20
    assert 10 < mean(found) < 40
    assert max(found) <= 60


def test_a_common_wish_does_not_bring_them_back_in_one_instant() -> None:
    """Retry-After is the same for all: up to a tenth of it is put on top, also of an absurd one."""
    for wish_s in (900.0, 1e9):
        found = arrivals(Throttled("390701", wish_s), lambda: delays(LIMITS))
        assert busiest_second(found) < DEVICES / 20


def test_without_jitter_they_all_come_in_one_second() -> None:
    """The negative control: the same count finds a fleet that doubles its waits in step."""
    in_step = Delays(lambda n: min(2.0**n, 60.0), lambda n: 15.0)
    assert busiest_second(arrivals(Unsent("dns"), lambda: in_step)) == DEVICES
