"""Waits between tries."""

import random

from shipper.backoff import QUICK_MAX_S, delays
from shipper.protocol.limits import Limits

LIMITS = Limits()


def test_quick_waits_have_full_jitter_and_a_cap() -> None:
    """Uniform between nothing and a cap that doubles to a minute, so that a fleet spreads."""
    random.seed(1)
    quick = delays(LIMITS).quick
    for failure, cap_s in ((1, 1), (2, 2), (5, 16), (7, 60), (1000, 60)):
        drawn = [quick(failure) for _ in range(2000)]
        assert all(0 <= seconds <= cap_s <= QUICK_MAX_S for seconds in drawn)
        assert min(drawn) < 0.05 * cap_s
        assert max(drawn) > 0.95 * cap_s
        assert 0.45 * cap_s < sum(drawn) / len(drawn) < 0.55 * cap_s


def test_slow_waits_are_longer_than_any_commit_takes() -> None:
    """Another writer's rows can commit meanwhile: 15 s at least, 15 min at most."""
    random.seed(1)
    slow = delays(LIMITS).slow
    drawn = [[slow(failure) for _ in range(200)] for failure in (1, 2, 3, 20, 10_000)]
    assert all(15 <= seconds <= 20 for seconds in drawn[0])
    assert all(30 <= seconds <= 35 for seconds in drawn[1])
    assert all(900 <= seconds <= 905 for seconds in drawn[3] + drawn[4])
    assert len(set(drawn[0])) > 100
