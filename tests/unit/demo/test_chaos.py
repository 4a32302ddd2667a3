"""The plan of a demo run."""

import pytest

from tests.demo.chaos import Deed, schedule


def test_same_seed_same_plan() -> None:
    """One seed gives one plan, another seed another."""
    assert schedule(7, 60, 6) == schedule(7, 60, 6)
    assert schedule(7, 60, 6) != schedule(8, 60, 6)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kills", [0, 1, 6, 30])
def test_a_plan_holds_what_was_asked_for(seed: int, kills: int) -> None:
    """Kills of both services in equal parts, a cut and a silence apart that end, all in time."""
    acts = schedule(seed, 60, kills)
    deeds = [act.deed for act in acts]
    collector, shipper = deeds.count(Deed.KILL_COLLECTOR), deeds.count(Deed.KILL_SHIPPER)
    assert collector + shipper == kills
    assert collector - shipper in (0, 1)
    assert deeds.count(Deed.CUT) == deeds.count(Deed.FREEZE) == 1
    network = [deed for deed in deeds if deed in (Deed.CUT, Deed.MEND, Deed.FREEZE, Deed.THAW)]
    assert network.index(Deed.MEND) == network.index(Deed.CUT) + 1
    assert network.index(Deed.THAW) == network.index(Deed.FREEZE) + 1
    assert deeds.count(Deed.LOSE_REPLIES) == 3
    assert all(4 < act.at_s < 54 for act in acts)
    assert list(acts) == sorted(acts)
