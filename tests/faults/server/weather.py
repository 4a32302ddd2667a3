"""Two to four faults at once, with kills in between: what a seed makes of the menu."""

from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.emulators.ingest.faults import FaultError
from tests.faults.server.bench import Bench
from tests.faults.server.cases import CASES

ROUNDS: Final = (1, 3)
"""Fewest and most times that a new mixture is put on before everything is healed."""
ROUND_S: Final = (60.0, 240.0)
KILLS_MAX: Final = 3
_HARD: Final = (0.1, 0.3, 0.7)


@dataclass(frozen=True, slots=True)
class Weather:
    """What one history has to live through.

    Attributes:
        rounds: the faults of each round and how long it lasts, seconds.
        kills: requests until each kill, and whether it falls after the request was carried out.
        flagged: whether some fault makes the server forget.
    """

    rounds: tuple[tuple[tuple[str, ...], float], ...]
    kills: tuple[tuple[int, bool], ...]
    flagged: bool


def weather(seed: int) -> Weather:
    """Draw a history; the same seed always gives the same."""
    random = Random(seed)
    rounds, names = [], set()
    for _ in range(random.randint(*ROUNDS)):
        chosen = random.sample(sorted(CASES), random.randint(2, 4))
        names |= set(chosen)
        specs = tuple(_spec(random, name) for name in chosen)
        rounds.append((specs, random.uniform(*ROUND_S)))
    kills = tuple(
        (random.randint(1, 40), random.random() < 0.5)
        for _ in range(random.randint(0, KILLS_MAX))
    )
    return Weather(tuple(rounds), kills, any(CASES[name].flagged for name in names))


def _spec(random: Random, name: str) -> str:
    """One fault: a few times, or with a chance for as long as the round lasts."""
    case = CASES[name]
    endpoint = random.choice(case.endpoints)
    if not endpoint:
        return case.spec(name, "")
    if random.random() < 0.5:
        return case.spec(name, endpoint, random.randint(1, 5))
    return f"{case.spec(name, endpoint)},p={random.choice(_HARD)}"


def live_through(bench: Bench, drawn: Weather) -> None:
    """Play a history, up to where it is to be healed."""
    kills = list(drawn.kills)
    bench.run(20)
    for specs, seconds in drawn.rounds:
        bench.heal()
        for spec in specs:
            with suppress(FaultError):  # Nothing is there that it could happen to.
                bench.add(spec)
        end_s = bench.clock.monotonic_s() + seconds
        while (left_s := end_s - bench.clock.monotonic_s()) > 0:
            if kills and bench.line.dies_in is None:
                bench.line.dies_in = kills.pop()
            bench.run(min(left_s, 30.0))
