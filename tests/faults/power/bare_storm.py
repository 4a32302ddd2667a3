"""Hundreds of real power cuts under the product's storing code.

    unshare -m --propagation private python -m tests.faults.power.bare_storm CUTS SEED [relaxed]

Prints one JSON object: what was promised, and what of it was missing after a cut.
"""

import json
import os
import shutil
import signal
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from common.database import open_writer
from tests.faults.power.disk import Boots, Disk, workspace
from tests.faults.power.relaxed import open_relaxed
from tests.faults.power.witness import Inventory, Witness, inventory
from tests.faults.power.writer import fork_writer

FIRST_ROW_LIMIT_S: Final = 30.0
LIFE_S: Final = (0.0, 0.12)


@dataclass(slots=True)
class Outcome:
    """What a storm saw.

    Attributes:
        cuts: how many there were.
        rows: rows that were seen before a cut.
        lost: of these, rows missing or changed after it.
        cuts_with_loss: after how many cuts a row was missing.
        acknowledgements_lost: cuts after which ``ship.db`` knew less than was seen before.
        holes: unexplained numbers that are missing in seq.
        told_as_lost: gap rows that tell of rows lost by a cut.
        unsound: cuts after which a file did not pass ``integrity_check``.
        epochs: distinct epochs in the promised rows.
    """

    cuts: int = 0
    rows: int = 0
    lost: int = 0
    cuts_with_loss: int = 0
    acknowledgements_lost: int = 0
    holes: int = 0
    told_as_lost: int = 0
    unsound: int = 0
    epochs: int = 0
    seconds: float = 0.0
    examples: list[str] = field(default_factory=list)


class Storm:
    """One disk and its cuts.

    Args:
        root: an existing directory on memory.
        seed: of the moments of the cuts.
        relaxed: whether the writer makes the mistake.
    """

    def __init__(self, root: Path, seed: int, *, relaxed: bool) -> None:
        self._disk, self._boots = Disk(root), Boots(root)
        self._runtime = root / "run"
        self._random, self._seed = Random(seed), seed
        self._opener = open_relaxed if relaxed else open_writer
        self._witness = Witness(self._disk.path / "spool")
        self.outcome = Outcome()

    def run(self, cuts: int) -> Outcome:
        """Cut so many times."""
        began_s = time.monotonic()
        self._disk.make()
        try:
            for _ in range(cuts):
                self._life()
                self._judge(inventory(self._disk.path / "spool"))
        finally:
            self._disk.unmount()
        self.outcome.cuts = self._disk.cuts
        self.outcome.seconds = time.monotonic() - began_s
        return self.outcome

    def _life(self) -> None:
        """One boot: write for a while, be watched, and lose the power."""
        self._runtime.mkdir()
        directory = self._disk.path / "spool"
        seed = self._seed * 1_000_000 + self._disk.cuts
        child = fork_writer(directory, self._runtime, seed, self._opener)
        try:
            before = self._witness.look()
            limit_s = time.monotonic() + FIRST_ROW_LIMIT_S
            while self._witness.look() <= before:
                assert time.monotonic() < limit_s, "the writer stores nothing"
                assert os.waitpid(child, os.WNOHANG) == (0, 0), "the writer ended by itself"
            end_s = time.monotonic() + self._random.uniform(*LIFE_S)
            while time.monotonic() < end_s:
                self._witness.look()
            self._witness.look()
            self._disk.cut()
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            self._witness.close()
        self._disk.return_power()
        shutil.rmtree(self._runtime)
        self._boots.next()

    def _judge(self, found: Inventory) -> None:
        """Hold what was promised against what is there."""
        out, covered = self.outcome, max(found.acknowledged, found.trimmed)
        promised = self._witness.promised
        lost = [
            key for key, crc in promised.items()
            if found.rows.get(key) != crc and (key in found.rows or key[1] > covered)
        ]
        out.rows += len(promised)
        out.epochs += len({epoch for epoch, _ in promised})
        out.lost += len(lost)
        out.cuts_with_loss += bool(lost)
        out.examples += [f"cut {self._disk.cuts}: {key}" for key in lost[: 10 - len(out.examples)]]
        out.acknowledgements_lost += found.acknowledged < self._witness.acknowledged
        out.holes += len(found.holes)
        out.told_as_lost += found.reasons.count("lost_by_cut")
        out.unsound += any(word != "ok" for word in found.integrity)
        self._witness.promised.clear()
        self._witness.acknowledged = found.acknowledged


def main(words: list[str]) -> int:
    """Run one storm; prints its outcome."""
    cuts, seed, relaxed = int(words[0]), int(words[1]), "relaxed" in words[2:]
    with workspace() as root:
        print(json.dumps(asdict(Storm(root, seed, relaxed=relaxed).run(cuts))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
