"""Many damaged files, one after the other, and the sum of what became of them."""

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.faults.disk import damages
from tests.faults.disk.damages import Hit
from tests.faults.disk.recovery import Outcome, recover
from tests.faults.disk.scene import Scene, Shore
from tests.faults.disk.verdict import Verdict, judge
from tests.tools.spools import Device

PLACES: Final = {
    "spool.db": damages.SPOOL_PLACES,
    "ship.db": damages.SHIP_PLACES,
    "spool.db-wal": damages.WAL_PLACES,
}


@dataclass(frozen=True, slots=True)
class Trial:
    """One damaged disk.

    Attributes:
        seed: of the damage and of the ids that are made after it.
        hit: the damage; ``None``: it was done by hand.
        form: how the spool was left: ``clean`` or ``killed``.
        reboot: whether the next start is in a new boot.
    """

    seed: int
    hit: Hit | None
    form: str
    reboot: bool

    @property
    def forgets(self) -> bool:
        """Whether the newest rows, and every word about them, may be gone together.

        Frames of the log that do not fit are the end of the log, by SQLite's own rule; within one
        boot the runtime directory still knows how many there were.
        """
        return self.reboot and self.hit is not None and self.hit.file == "spool.db-wal"


@dataclass(slots=True)
class Tally:
    """The figures of a run.

    Attributes:
        counts: files, quarantined, rows by what became of them.
        broken: what was wrong, by trial.
    """

    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def add(self, trial: Trial, outcome: Outcome, verdict: Verdict) -> None:
        """Count one trial."""
        moved = len(outcome.aside)
        self.counts.update(
            files=1,
            quarantined=int(outcome.quarantined),
            set_aside=moved,
            refused=int(outcome.refused is not None),
            arrived=verdict.arrived,
            salvaged=verdict.arrived if outcome.quarantined else 0,
            told=verdict.told,
            tombstones=verdict.tombstones,
            beyond=verdict.beyond,
            forgotten=verdict.forgotten,
            renamed=verdict.renamed,
        )
        self.broken += [f"{trial}: {finding}" for finding in verdict.findings[:2]]

    @property
    def line(self) -> str:
        """The figures, for the log of the test run."""
        return " · ".join(f"{name} {count}" for name, count in self.counts.items())


Act = Callable[[Device, Shore], Outcome]
"""What is done with a damaged disk; ``recover``, or a mistaken one."""


def drawn(file: str, seeds: Iterable[int]) -> Iterator[Trial]:
    """Trials that hit one file: every place and manner in turn, the rest by the seed."""
    places, manners = PLACES[file], tuple(damages.MANNERS)
    for seed in seeds:
        random = Random(f"{file} {seed}")
        place = places[seed % len(places)]
        manner = manners[seed // len(places) % len(manners)]
        form = "killed" if file.endswith("-wal") else random.choice(("clean", "killed"))
        yield Trial(seed, Hit(file, place, manner), form, random.random() < 0.5)


def run(scene: Scene, root: Path, trials: Iterable[Trial], act: Act = recover) -> Tally:
    """Damage, recover, judge."""
    tally = Tally()
    for trial in trials:
        place = root / "trial"
        device = scene.device(place, trial.form, trial.seed, reboot=trial.reboot)
        assert trial.hit is not None
        damages.apply(device.directory / trial.hit.file, trial.hit, Random(trial.seed))
        outcome = act(device, Shore(device, scene.model))
        tally.add(trial, outcome, judge(scene, outcome, forgets=trial.forgets))
        shutil.rmtree(place)
    return tally
