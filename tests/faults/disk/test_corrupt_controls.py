"""Negative controls: a planted mistake in salvage, checksum, epoch or token meets the same verdict.

Each is run over the same damaged files as the product; one that the verdict lets pass would mean
that it could not have seen the mistake there either.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from collector.spool import decide, quarantine, salvage, settle
from collector.spool.decide import Found, Plan
from common.spool.reader import SpoolReader
from common.spool.row import Origin
from shipper.gate import Gate
from shipper.protocol.payload import RowEncoder
from tests.faults.disk.damages import Hit
from tests.faults.disk.scene import Scene
from tests.faults.disk.trials import Tally, Trial, drawn, run

Mistake = Callable[[pytest.MonkeyPatch], None]

LEAVES = [
    Trial(seed, Hit("spool.db", "leaf", manner), "killed", seed % 2 == 0)
    for seed, manner in enumerate(["zero", "noise", "half", "sector", "flip many", "swap"] * 4)
]
FLIPS = [Trial(seed, Hit("spool.db", "leaf", "flip"), "clean", True) for seed in range(40)]
CLEAN = [
    Trial(seed, Hit("spool.db", place, manner), "clean", True)
    for seed, (place, manner) in enumerate(
        [(p, m) for p in ("leaf", "interior") for m in ("half", "swap", "sector", "zero")] * 2
    )
]


def _salvage_without_gap_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(salvage, "_joined", lambda holes: [])


def _salvage_blind_to_holes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(salvage.Task, "mark_holes", lambda *_: None)


def _salvage_and_shipper_without_checksum(patch: pytest.MonkeyPatch) -> None:
    made = RowEncoder.__init__
    patch.setattr(RowEncoder, "__init__", lambda self, crc: made(self, None))


def _same_numbers_after_a_quarantine(patch: pytest.MonkeyPatch) -> None:
    """The new file begins where the damaged one seems to end, in the epoch it had."""

    def decided(found: Found) -> Plan:
        plan = decide.decide(found)
        if plan.aside != "quarantine" or not found.spool.lineage.epochs:
            return plan
        first = found.spool.last_seq - 5
        return replace(plan, epoch_reason=None, next_seq=first, gaps=(), salvage=False)

    patch.setattr(settle, "deciding", _Namespace(decide=decided, new_install=decide.new_install))


def _clean_stop_is_proof(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(quarantine, "ALWAYS_CHECKED_BYTES", 0)
    patch.setattr(quarantine, "stopped_cleanly", lambda _: True)


def _nobody_tells_the_collector(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(quarantine, "ALWAYS_CHECKED_BYTES", 0)
    patch.setattr(Gate, "failed", lambda *_: None)


def _origin_is_taken_at_its_word(patch: pytest.MonkeyPatch) -> None:
    def origin(self: SpoolReader, connection: object, number: int, seq: int) -> Origin:
        return self._origins[number]

    patch.setattr(SpoolReader, "_origin", origin)


class _Namespace:
    """A module with some of its functions replaced."""

    def __init__(self, **functions: object) -> None:
        self.__dict__.update(functions)


MISTAKES: dict[str, tuple[Mistake, list[Trial]]] = {
    "salvage without gap rows": (_salvage_without_gap_rows, LEAVES),
    "salvage blind to holes": (_salvage_blind_to_holes, LEAVES),
    "no checksum": (_salvage_and_shipper_without_checksum, FLIPS),
    "same numbers after a quarantine": (_same_numbers_after_a_quarantine, LEAVES),
    "a clean stop is proof": (_clean_stop_is_proof, CLEAN),
    "nobody tells the collector": (_nobody_tells_the_collector, CLEAN),
    "an origin is taken at its word": (
        _origin_is_taken_at_its_word,
        list(drawn("spool.db", range(10))),
    ),
}


@pytest.mark.heavy
@pytest.mark.parametrize("name", MISTAKES)
def test_a_planted_mistake_is_caught(
    scene: Scene, fast: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """With the mistake the verdict objects; without it, over the same files, it does not."""
    mistake, trials = MISTAKES[name]
    mistake(monkeypatch)
    tally: Tally = run(scene, fast / "mistaken", trials)
    assert tally.broken, tally.line
    monkeypatch.undo()
    assert not run(scene, fast / "right", trials).broken
