"""The seeded simulation as a test: no row lost, none twice unless flagged.

And an end to every trouble. The drain and all of ``shipper.protocol`` are the product's own, and so
are the collector's decisions. The planted mistakes show that the simulation has teeth: each is one
that a client of this API has really made, or that an attack on the design found.
"""

import multiprocessing
import os
import time

import pytest

from tests.model.simulation import attempt, run_many
from tests.model.simulation_climates import CLIMATES
from tests.model.simulation_history import Simulation
from tests.model.simulation_mistakes import MISTAKES, catch
from tests.soak import simulated

SEEDS = 400
"""Histories of any weather in ``make test``."""
CRASHES = 100_000
"""Deaths of processes, power cuts and files put back that each CI run lives through."""
STORMY_PIECES = 30
CATCH_S = 60.0
"""Within so long each planted mistake must be seen."""
TROUBLES = (
    "kills",
    "kills of the collector",
    "cuts",
    "restored",
    "channels lost",
    "lost by a card",
    "flagged",
    "tombstones",
    "row errors",
    "replays absorbed",
    "thinned",
    "quarantines",
    "clones",
    "ledgers lost",
    "spools lost",
    "boards swapped",
    "clock steps",
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
    "alarm spool_changed",
    "alarm spool_failed",
)
"""What must have happened in many histories, or they prove nothing."""


def test_four_hundred_histories() -> None:
    """Nothing lost, nothing doubled unflagged, order kept, and every history comes to its end."""
    broken = [(seed, why) for seed, why, _ in map(attempt, range(SEEDS)) if why]
    assert broken == [], f"python -m tests.model.simulation --seed {broken[0][0]}"


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_three_thousand_histories_meet_every_trouble() -> None:
    """The same on every core, and each kind of trouble happened."""
    broken, total = run_many(range(SEEDS, SEEDS + 3000), os.cpu_count() or 1)
    assert broken == [], f"python -m tests.model.simulation --seed {broken[0][0]}"
    assert [trouble for trouble in TROUBLES if not total[trouble]] == []


@pytest.mark.heavy
@pytest.mark.timeout(900)
def test_a_hundred_thousand_crashes() -> None:
    """Storms, in which nearly every step is somebody's last: the count is reached, all is well."""
    crashes, number = 0, 0
    violations: list[str] = []
    with multiprocessing.get_context("fork").Pool(os.cpu_count() or 1) as pool:
        for piece in pool.imap(simulated.work, range(STORMY_PIECES)):
            crashes += piece.counts["crash events"]
            violations += piece.violations
            number += 1
    assert violations == []
    assert number == STORMY_PIECES
    assert crashes >= CRASHES


@pytest.mark.parametrize("climate", CLIMATES)
def test_every_climate_comes_to_its_end(climate: str) -> None:
    """Each kind of weather alone."""
    for seed in range(12):
        counts = Simulation(seed, climate=climate).run()
        assert counts["rows"] > 0


def test_one_seed_is_one_history() -> None:
    """The same seed gives the same requests, copies and kills: a finding can be looked at."""
    runs = [Simulation(7, climate="mixed storm").run() for _ in range(2)]
    assert runs[0] == runs[1]
    assert Simulation(8, climate="mixed storm").run() != runs[0]


def test_mistakes_are_many_and_each_has_a_weather_and_a_reason() -> None:
    """A mistake without a weather would never be tried."""
    assert len(MISTAKES) >= 25
    for mistake in MISTAKES.values():
        assert mistake.climate in CLIMATES
        assert mistake.plant.__doc__


@pytest.mark.parametrize("name", sorted(MISTAKES))
def test_planted_mistakes_are_caught(name: str) -> None:
    """Negative control: the same simulation with the mistake breaks a promise, and soon."""
    begun_s = time.monotonic()
    assert catch(MISTAKES[name]) is not None, f"{name} was not seen"
    assert time.monotonic() - begun_s < CATCH_S


def test_a_drain_without_a_mistake_is_not_caught() -> None:
    """The other control: histories that break without any mistake would catch everything."""
    assert attempt(0, "poison")[1] == ""
