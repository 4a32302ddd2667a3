"""What goes wrong in a run, and when: one list that follows from one seed.

Pure: ``schedule`` only plans. The bench does the deeds.
"""

from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final

QUIET_START: Final = 0.08
"""Share of the run before the first kill, so that both services have come up once."""

QUIET_END: Final = 0.12
"""Share of the run after the last deed, so that the last kill is followed by a full restart."""

CUT_SHARE: Final = 0.12
"""Share of the run that the network is away: connections are refused, running ones are reset."""

FREEZE_SHARE: Final = 0.05
"""Share of the run that the server is silent: connections are taken, and nothing is answered."""

LOST_REPLY_EVERY_S: Final = 20.0
"""About how often the server does what it was asked and its answers never arrive."""

LOST_REPLIES: Final = (1, 4)
"""Fewest and most answers lost in a row; after a few the shipper opens its channel again."""


class Deed(StrEnum):
    """What is done to the world."""

    KILL_COLLECTOR = "kill collector"
    KILL_SHIPPER = "kill shipper"
    CUT = "cut the network"
    MEND = "mend the network"
    FREEZE = "silence the server"
    THAW = "wake the server"
    LOSE_REPLIES = "lose replies"


@dataclass(frozen=True, slots=True, order=True)
class Act:
    """One deed at one time.

    Attributes:
        at_s: seconds after the start of the run.
        deed: what is done.
        count: how many replies are lost; 0 for other deeds.
    """

    at_s: float
    deed: Deed
    count: int = 0


def schedule(seed: int, seconds: float, kills: int) -> tuple[Act, ...]:
    """Plan a run: kills spread over it, a cut, a silence (never both at once), some lost replies.

    Each kill falls at a random place of its own slice of the run, so that they neither bunch nor
    keep a beat that the services' own intervals could hide in.

    Args:
        seed: same seed, same plan.
        seconds: length of the run.
        kills: SIGKILLs over both services.
    """
    random = Random(seed)
    first, last = seconds * QUIET_START, seconds * (1 - QUIET_END)
    away_s, silent_s = seconds * CUT_SHARE, seconds * FREEZE_SHARE
    middle = (first + last) / 2
    cut_s = random.uniform(first, middle - away_s)
    freeze_s = random.uniform(middle, last - silent_s)
    if random.random() < 0.5:
        cut_s, freeze_s = cut_s + middle - first, freeze_s - middle + first
    acts = [
        Act(cut_s, Deed.CUT), Act(cut_s + away_s, Deed.MEND),
        Act(freeze_s, Deed.FREEZE), Act(freeze_s + silent_s, Deed.THAW),
    ]
    victims = [(Deed.KILL_COLLECTOR, Deed.KILL_SHIPPER)[number % 2] for number in range(kills)]
    random.shuffle(victims)
    for number, victim in enumerate(victims):
        slice_s = (last - first) / kills
        acts.append(Act(first + slice_s * (number + random.random()), victim))
    acts.extend(
        Act(random.uniform(first, last), Deed.LOSE_REPLIES, random.randint(*LOST_REPLIES))
        for _ in range(max(1, round(seconds / LOST_REPLY_EVERY_S)))
    )
    return tuple(sorted(acts))
