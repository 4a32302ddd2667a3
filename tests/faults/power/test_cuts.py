"""Power cuts on a real ext4: what another process could see, or the server has, is never lost.

The negative controls open the files with ``synchronous=NORMAL``: the same storms then lose rows.
"""

from typing import Final

import pytest

from tests.faults.power.crew import gather
from tests.faults.power.disk import why_no_cut

BARE_CUTS: Final = 230
"""Cuts of each of the two storms over the storing code alone."""
SERVICE_CUTS: Final = 44
CONTROL_CUTS: Final = 15
SERVICE_CONTROL_CUTS: Final = 4

_REASON: Final = why_no_cut()

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(300),
    pytest.mark.skipif(_REASON is not None, reason=f"no power cuts: {_REASON}"),
]


def test_cuts_under_the_storing_code_lose_nothing() -> None:
    """No row, no acknowledgement and no number is lost in hundreds of cuts, and no file is hurt."""
    storms = gather(
        ("bare_storm", str(BARE_CUTS), "1"), ("bare_storm", str(BARE_CUTS), "2"), cuts=True
    )
    print(storms)
    for storm in storms:
        assert storm["cuts"] == BARE_CUTS
        assert storm["rows"] > 50 * BARE_CUTS
        assert storm["lost"] == 0, storm["examples"]
        assert storm["acknowledgements_lost"] == 0
        assert storm["holes"] == 0
        assert storm["told_as_lost"] == 0
        assert storm["unsound"] == 0
        assert storm["epochs"] >= BARE_CUTS


def test_cuts_under_relaxed_commits_are_seen_to_lose() -> None:
    """Negative control: with ``synchronous=NORMAL`` rows that were visible are gone."""
    (storm,) = gather(("bare_storm", str(CONTROL_CUTS), "1", "relaxed"), cuts=True)
    print(storm)
    assert storm["lost"] > CONTROL_CUTS
    assert storm["cuts_with_loss"] > CONTROL_CUTS / 2


def test_cuts_under_both_services_lose_and_double_nothing() -> None:
    """Both real services, on a new boot after each cut: every promised row is committed once."""
    (storm,) = gather(("service_storm", str(SERVICE_CUTS), "1"), cuts=True)
    print(storm)
    assert storm["findings"] == []
    assert (storm["lost_in_cuts"], storm["not_delivered"], storm["duplicated"]) == (0, 0, 0)
    assert (storm["unsound"], storm["told_as_lost"]) == (0, 0)
    assert storm["cuts"] == SERVICE_CUTS
    assert storm["committed"] >= storm["promised"] > 2 * SERVICE_CUTS
    assert storm["epochs"] == SERVICE_CUTS + 1, "each boot has an epoch of its own"
    assert storm["boots_told"] >= SERVICE_CUTS * 0.9, "ticks lost with the memory are told"
    assert storm["in_memory_max"] <= 5
    assert storm["surprises"] == []
    assert storm["stopped"] == [0, 0]
    assert storm["cuts_under_shipping"] >= SERVICE_CUTS / 4, "shipping goes on between the cuts"
    assert min(storm["shutdowns"], storm["before_acknowledging"], storm["after_exposing"]) > 0


def test_cuts_under_a_relaxed_collector_are_seen_to_lose() -> None:
    """Negative control: the same storm over a collector with ``synchronous=NORMAL``."""
    (storm,) = gather(("service_storm", str(SERVICE_CONTROL_CUTS), "1", "relaxed"), cuts=True)
    print(storm)
    assert storm["lost_in_cuts"] > 0
