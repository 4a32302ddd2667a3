"""A bit flips in the row of ``ship.db`` that licenses trimming: no row that nobody has may go.

SQLite finds nothing wrong with such a file. Each trial runs both services over it until all is
home, and the verdict asks for every row.
"""

import shutil
from pathlib import Path
from typing import Final

import pytest

from common import ship_progress
from common.database import SpoolCorrupt
from common.identity import Hardware, Install
from common.ship_progress import StoredProgress
from common.ship_state import Acknowledgement, ShipState, ShipStateUnreadable, read_ship_state
from shipper.ledger import Ledger
from tests.faults.disk.pages import cell_columns
from tests.faults.disk.recovery import recover
from tests.faults.disk.scene import Scene, Shore
from tests.faults.disk.trials import Tally, Trial
from tests.faults.disk.verdict import judge
from tests.tools.spools import opened, prepare_quickly

COLUMNS: Final = StoredProgress._fields
EPOCH_BITS_STEP: Final = 17
"""Of an epoch's 128 bits each so-many-th is flipped in a whole trial."""


def _places(path: Path, column: str) -> range:
    """The bytes of a column of progress."""
    return cell_columns(path, "progress")[1 + COLUMNS.index(column)]


def _flip(path: Path, at: int, bit: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1 << bit
    path.write_bytes(data)


def _run(scene: Scene, root: Path, column: str, step: int) -> Tally:
    """One whole trial for each bit of a column, or for each so-many-th."""
    tally = Tally()
    ship = scene.root / "clean" / "spool" / "ship.db"
    bits = [(at, bit) for at in _places(ship, column) for bit in range(8)]
    for number, (at, bit) in enumerate(bits[::step]):
        device = scene.device(root / "trial", "clean", number, reboot=number % 2 == 1)
        _flip(device.directory / "ship.db", at, bit)
        outcome = recover(device, Shore(device, scene.model))
        trial = Trial(number, None, "clean", number % 2 == 1)
        tally.add(trial, outcome, judge(scene, outcome))
        assert outcome.refused is None
        shutil.rmtree(root / "trial")
    return tally


@pytest.mark.parametrize(
    ("column", "step"), [("acknowledged_seq", 1), ("acknowledged_epoch", EPOCH_BITS_STEP)]
)
def test_a_flipped_acknowledgement_trims_nothing_unsent(
    scene: Scene, fast: Path, column: str, step: int
) -> None:
    """The file is set aside, the server is asked, and every row arrives."""
    tally = _run(scene, fast, column, step)
    assert tally.broken == []
    assert tally.counts["set_aside"] == tally.counts["files"] >= 8
    assert tally.counts["told"] == tally.counts["beyond"] == 0


def test_negative_control_without_the_check_rows_are_lost(
    scene: Scene, fast: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as in version 1, a greater seq is a licence for rows that were never sent."""
    monkeypatch.setattr(ship_progress, "CRC_VERSION", 9)
    tally = _run(scene, fast, "acknowledged_seq", 1)
    assert any("lost" in finding for finding in tally.broken), tally.line


def _sound(scene: Scene) -> ShipState:
    state = read_ship_state(scene.root / "clean" / "spool")
    assert state is not None
    return state


def test_any_bit_of_the_row_is_seen_or_harmless(scene: Scene, fast: Path) -> None:
    """Header, key, values and the checksum itself: never another place than was written."""
    truth, path = _sound(scene), fast / "ship.db"
    shutil.copyfile(scene.root / "clean" / "spool" / "ship.db", path)
    whole = cell_columns(path, "progress")[0]
    seen = 0
    for at in whole:
        for bit in range(8):
            _flip(path, at, bit)
            try:
                state = read_ship_state(fast)
                assert state is not None
                assert state.acknowledged in (None, truth.acknowledged)
            except ShipStateUnreadable:
                seen += 1
            _flip(path, at, bit)
    assert seen > 0.9 * 8 * len(whole)
    assert read_ship_state(fast) == truth


def test_a_bit_that_flips_under_a_running_shipper_is_seen(scene: Scene, fast: Path) -> None:
    """Its next read or write refuses, and settling anew sets the file aside."""
    path = fast / "ship.db"
    shutil.copyfile(scene.root / "clean" / "spool" / "ship.db", path)
    truth = _sound(scene)
    assert isinstance(truth.acknowledged, Acknowledgement)
    ledger = opened(Ledger(fast, prepared=prepare_quickly))
    assert ledger.progress().acknowledged == truth.acknowledged
    ledger.close()
    _flip(path, _places(path, "acknowledged_seq")[-1], 4)
    with pytest.raises(SpoolCorrupt):
        ledger.expose(truth.acknowledged.epoch, truth.acknowledged.seq + 1)
    with pytest.raises(SpoolCorrupt):
        ledger.progress()
    assert truth.install_id is not None
    ledger.settle(Install(truth.install_id, Hardware("board-1", "card-1")), 0)
    assert ledger.progress().acknowledged is None
    assert [p.name for p in (fast / "aside").iterdir()] == ["19700101T000000Z-ship-damaged"]
