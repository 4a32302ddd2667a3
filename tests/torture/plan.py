"""Who is killed when: one list that follows from one seed. Pure."""

from random import Random
from typing import Final

from tests.demo.chaos import Act, Deed

KILL_EVERY_S: Final = (2.0, 5.0)
UNAVAILABLE: Final = 0.15
LOST_REPLIES: Final = 0.10
MENU: Final = f"unavailable:p={UNAVAILABLE};drop_reply:p={LOST_REPLIES}"
"""503 before the request is carried out; connection reset after it was. At every endpoint."""


def kills(seed: int, seconds: float) -> list[Act]:
    """A SIGKILL of either process every 2 to 5 s.

    Args:
        seed: same seed, same plan.
        seconds: length of the run.
    """
    random = Random(seed)
    acts, at_s = [], random.uniform(*KILL_EVERY_S)
    while at_s < seconds:
        acts.append(Act(at_s, random.choice((Deed.KILL_COLLECTOR, Deed.KILL_SHIPPER))))
        at_s += random.uniform(*KILL_EVERY_S)
    return acts
