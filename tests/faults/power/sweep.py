"""All points of some scenarios, in a process with one thread, which may fork.

    python -m tests.faults.power.sweep kill|recover|refuse NAME…

Prints one JSON object: the tally.
"""

import json
import sys
from dataclasses import asdict
from typing import Final

from tests.faults.power.disk import workspace
from tests.faults.power.points import Enumeration, Tally

RECOVERY_EVERY: Final = 6
REFUSALS: Final = (
    ("EIO", False, 10), ("EIO", True, 12), ("ENOSPC", False, 12), ("ENOSPC", True, 12),
)
"""Error, whether it lasts, and at one point of how many."""


def sweep(how: str, names: list[str]) -> Tally:
    """Do it to each scenario."""
    tally = Tally()
    for name in names:
        with workspace() as root:
            made = Enumeration(name, root, tally)
            if how == "kill":
                made.kill_each()
            elif how == "recover":
                made.kill_recovery(RECOVERY_EVERY)
            else:
                for error, lasting, every in REFUSALS:
                    made.refuse(error, every, lasting=lasting)
    return tally


if __name__ == "__main__":
    print(json.dumps(asdict(sweep(sys.argv[1], sys.argv[2:]))))
