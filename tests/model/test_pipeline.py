"""The seeded simulation as a test: no row lost, none twice unless flagged.

And an end to every trouble.

The drain and all of ``shipper.protocol`` are the product's own. The planted mistakes show that the
simulation
has teeth: each is one that a client of this API has really made, or that an attack on the design
    found.
"""

import os

import pytest

from tests.model.simulation import attempt, run_many
from tests.model.simulation_history import Simulation
from tests.model.simulation_mistakes import MISTAKES
from tests.model.simulation_weather import CLIMATES

CAUGHT_IN = {
    "trust_200": "crashes",
    "recut_under_used_token": "network",
    "ignore_lost_channel": "network",
    "compare_seq_only": "lying card",
    "adopt_unexplained_token": "lying card",
    "reset_error_baseline": "poison",
    "ignore_birth_date": "lost channels",
    "go_on_after_exposed": "crashes",
    "keep_no_letter": "poison",
    "trim_without_counters": "poison",
    "rely_on_orders": "lying card",
}
"""The weather that brings each mistake to light soonest."""


def test_five_hundred_histories() -> None:
    """Nothing lost, nothing doubled unflagged, order kept, and every history comes to its end."""
    broken = [(seed, why) for seed, why, _ in map(attempt, range(500)) if why]
    assert broken == [], f"python -m tests.model.simulation --seed {broken[0][0]}"


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_twenty_thousand_histories() -> None:
    """The same on every core, and each kind of trouble happened."""
    broken, total = run_many(0, 20_000, os.cpu_count() or 1)
    assert broken == [], f"python -m tests.model.simulation --seed {broken[0][0]}"
    for trouble in (
        "kills",
        "cuts",
        "channels lost",
        "lost by a card",
        "flagged",
        "tombstones",
        "row errors",
        "replays absorbed",
        "reopened fenced",
        "reopened lost",
        "reopened recreated",
        "reopened refused",
        "reopened retries",
        "reopened stalled",
        "reopened regressed",
        "alarm tail_lost",
        "alarm boots_lost",
        "alarm channel_lost",
        "alarm server_regression",
    ):
        assert total[trouble] > 0, trouble


@pytest.mark.parametrize("climate", CLIMATES)
def test_every_climate_comes_to_its_end(climate: str) -> None:
    """Each kind of weather alone."""
    for seed in range(20):
        counts = Simulation(seed, climate=climate).run()
        assert counts["rows"] > 0


def test_one_seed_is_one_history() -> None:
    """The same seed gives the same requests, copies and kills: a finding can be looked at."""
    runs = [Simulation(7).run() for _ in range(2)]
    assert runs[0] == runs[1]
    assert Simulation(8).run() != runs[0]


def test_every_mistake_is_listed() -> None:
    """A mistake without a weather would never be tried."""
    assert set(CAUGHT_IN) == set(MISTAKES)


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_planted_mistakes_are_caught(name: str) -> None:
    """Negative control: the same simulation with the mistake breaks within 400 histories."""
    for seed in range(400):
        simulation = Simulation(seed, mistake=MISTAKES[name], climate=CAUGHT_IN[name])
        try:
            simulation.run()
        except AssertionError:
            return
    pytest.fail(f"{name} was not seen in 400 histories")
