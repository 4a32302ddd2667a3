"""All planted mistakes, and how soon the simulation sees each.

``python -m tests.model.simulation_mistakes`` prints the table: name, weather, seed, seconds.
"""

import sys
import time
from typing import Final, NamedTuple

from tests.model.mistakes_of_identity import IDENTITY
from tests.model.mistakes_of_keeping import KEEPING
from tests.model.mistakes_of_opening import OPENING
from tests.model.mistakes_of_sending import SENDING
from tests.model.simulation_history import Simulation
from tests.model.simulation_planting import Mistake

MISTAKES: Final[dict[str, Mistake]] = {
    mistake.name: mistake for mistake in (*SENDING, *OPENING, *IDENTITY, *KEEPING)
}
SEEDS_MAX: Final = 2_000
"""Within so many histories each mistake must be seen."""


class Catch(NamedTuple):
    """How a mistake was seen.

    Attributes:
        seed: of the history that broke.
        why: the promise that it broke.
        seconds: until then.
    """

    seed: int
    why: str
    seconds: float


def catch(mistake: Mistake, seeds: int = SEEDS_MAX) -> Catch | None:
    """Run histories with the mistake until one breaks; ``None``: none did."""
    start_s = time.monotonic()
    for seed in range(seeds):
        try:
            Simulation(seed, mistake=mistake.plant, climate=mistake.climate).run()
        except AssertionError as error:
            return Catch(seed, str(error), time.monotonic() - start_s)
    return None


def table(names: list[str]) -> tuple[str, bool]:
    """The table for people, and whether every mistake was seen."""
    lines, all_seen = [], True
    for name in names:
        mistake = MISTAKES[name]
        caught = catch(mistake)
        all_seen = all_seen and caught is not None
        told = "not seen" if caught is None else f"{caught.seed:5} {caught.seconds:6.2f} s"
        why = "" if caught is None else caught.why[:90]
        lines.append(f"{name:36} {mistake.climate:14} {told}  {why}")
    return "\n".join(lines), all_seen


if __name__ == "__main__":
    printed, seen = table(sys.argv[1:] or sorted(MISTAKES))
    print(printed)
    sys.exit(not seen)
