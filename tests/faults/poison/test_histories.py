"""Histories from a seed: poison of both kinds, lost requests and answers, kills, then healing."""

from random import Random

import pytest

from shipper.protocol.limits import Limits
from tests.faults.poison import mistakes
from tests.faults.poison.live import DOOR, LATE, Live, Mistake
from tests.faults.poison.verdict import Broken, Tally

HISTORIES = 240
QUICK = 40
CONTROLS = 12
_LIMITS = Limits(batch_rows=5, interval_s=2.0, stable_s=15.0)


def history(seed: int, mistake: Mistake | None = None) -> tuple[Tally, int]:
    """Live through one; returns the verdict and the number of kills.

    Raises:
        Broken: a row is lost, doubled or not kept.
    """
    random = Random(seed)
    live = Live(_LIMITS, seed, mistake)
    line = live.transport.line
    line.lost_request, line.lost_reply = random.choice(((0.0, 0.0), (0.05, 0.1), (0.1, 0.3)))
    line.throttled = random.choice((0.0, 0.1))
    kills = epochs = 0
    for _ in range(12):
        qualities = random.choices(("VALID", DOOR, LATE), (12, random.choice((0, 1, 4)), 1), k=9)
        live.store_rows(*qualities[: random.randint(1, 9)])
        if random.random() < 0.6:
            live.mortality.calls_left = random.randint(1, 60)
        if random.random() < 0.1 and epochs < 10:
            epochs += 1
            live.next_epoch(epochs)
        kills += live.live(random.choice((3.0, 20.0, 60.0)))
    line.quiet()
    live.mortality.calls_left = None
    for _ in range(400):
        live.live(60)
        if live.home():
            break
    if not live.home():
        raise Broken(f"seed {seed}: no progress after healing")
    tally = live.verdict()
    if live.model.tally.client_bugs:
        raise Broken(f"seed {seed}: {live.model.tally}")
    return tally, kills


@pytest.mark.parametrize(
    "seeds",
    [range(QUICK), pytest.param(range(QUICK, HISTORIES), marks=pytest.mark.heavy)],
    ids=["quick", "all"],
)
def test_poison_with_kills_and_lost_answers_loses_and_doubles_nothing(seeds: range) -> None:
    """Each row is in the table once, or in a letter; flagged copies only by a lost channel."""
    kills = tombstones = letters = 0
    for seed in seeds:
        tally, killed = history(seed)
        assert tally.twice_flagged == 0, seed
        kills += killed
        tombstones += tally.tombstones
        letters += tally.in_letters
    assert kills > len(seeds)
    assert tombstones > len(seeds)
    assert letters > tombstones


@pytest.mark.parametrize(
    "mistake",
    [
        mistakes.letter_not_kept, mistakes.range_not_kept, mistakes.range_sent_again,
        mistakes.baseline_reset,
    ],
)
def test_histories_find_each_mistake(mistake: Mistake) -> None:
    """The negative control: each is found within a few seeds."""
    found = 0
    for seed in range(CONTROLS):
        try:
            history(seed, mistake)
        except Broken:
            found += 1
    assert found > 0
