"""The seeded simulation as a proof that goes on for hours: mostly storms, and every other weather.

A crash event is the death of a process, a power cut, or a file put back.
"""

from collections import Counter
from typing import Final

from tests.model.simulation import attempt
from tests.soak.section import Piece

SEEDS: Final = 40
"""Histories of one piece."""
_DENSE: Final = ("storm", "lying storm", "mixed storm")
_SUMMED: Final = (
    "kills",
    "kills of the collector",
    "cuts",
    "restored",
    "histories",
    "rows",
    "requests",
    "faults",
    "duplicates flagged",
    "thinned",
    "quarantines",
    "clones",
    "replays absorbed",
    "channels lost",
    "tombstones",
    "ledgers lost",
    "spools lost",
)


def climate_of(seed: int) -> str | None:
    """The weather of a seed: two of three are storms; ``None``: it is drawn."""
    return None if seed % 3 == 0 else _DENSE[seed // 3 % 3]


def work(number: int) -> Piece:
    """The histories of one stretch of seeds."""
    counts: Counter[str] = Counter()
    violations = []
    for seed in range(number * SEEDS, (number + 1) * SEEDS):
        climate = climate_of(seed)
        _, why, happened = attempt(seed, climate)
        counts.update({name: happened[name] for name in _SUMMED})
        counts["crash events"] += happened["kills"] + happened["cuts"] + happened["restored"]
        if why:
            chosen = f' --climate "{climate}"' if climate else ""
            violations.append(f"python -m tests.model.simulation --seed {seed}{chosen}: {why}")
    return Piece(counts, tuple(violations))
