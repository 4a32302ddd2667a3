"""Two to four faults of the menu at once, with kills of the shipper in between, by seeds."""

from pathlib import Path

import pytest

from tests.faults.server.bench import Setting, bench
from tests.faults.server.verdict import heal_and_judge
from tests.faults.server.weather import live_through, weather
from tests.model.simulation_books import Broken

SEEDS = 320
BLOCK = 40


@pytest.mark.heavy
@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_faults_together_lose_and_double_nothing(room: Path, ca_file: Path, first: int) -> None:
    """Whatever a seed draws: after healing everything comes home, once, in order."""
    kills = struck = 0
    for seed in range(first, first + BLOCK):
        drawn, place = weather(seed), room / str(seed)
        place.mkdir()
        with bench(place, ca_file, Setting(sample_s=8.0, seed=seed)) as device:
            try:
                live_through(device, drawn)
                heal_and_judge(device, flagged=drawn.flagged)
            except Exception as error:
                raise Broken(f"seed {seed}, {drawn}") from error
            kills += device.kills
            struck += sum(device.exchange.hits.values())
    assert kills >= BLOCK // 2
    assert struck >= BLOCK * 4


def test_a_seed_is_a_history() -> None:
    """The same seed draws the same history, another one another."""
    assert weather(3) == weather(3) != weather(4)
