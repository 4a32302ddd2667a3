"""Setting a file aside is repeatable: a cut at any step loses nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from collector.spool import quarantine
from collector.spool.upkeep import Upkeep
from tests.tools.spools import Device, damage, drain, killed, leaf_pages, samples, wait_until

ROWS = 3000


@pytest.mark.parametrize("step", range(4))
def test_setting_aside_may_be_cut_short_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Whichever step the power goes at, the next start salvages every readable row."""
    device = Device(tmp_path)
    killed(device)
    leaves = leaf_pages(device.directory / "spool.db")
    damage(device.directory / "spool.db", range(leaves[20], leaves[20] + 1))
    names = ["note", "_unlink", "finish", "make_place"]
    real: Callable[..., object] = getattr(quarantine, names[step])

    def cut(*arguments: object) -> object:
        if names[step] == "note":
            real(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(quarantine, names[step], cut)
    with pytest.raises(KeyboardInterrupt):
        device.start()
    monkeypatch.undo()
    device.reboot()
    with device.start() as store:
        upkeep = Upkeep(store)
        wait_until(lambda: not upkeep.run().salvaging)
        seqs = [row.seq for row in drain(device.reader()) if row.seq <= ROWS]
        assert len(seqs) == len(set(seqs)) > ROWS - 100
    assert not (device.directory / "aside" / "unfinished.json").exists()


def test_a_file_whose_log_was_removed_is_damage_or_a_regression(tmp_path: Path) -> None:
    """Without its -wal the file may have lost its tables; the install goes on all the same."""
    device = Device(tmp_path)
    store = device.start()
    store.append(samples(0, 10))
    with device.ledger() as ledger:
        ledger.settle(store.install, 0)
        ledger.expose(store.epoch, 10)
    install = store.install
    cut = device.copy(tmp_path / "cut")
    store.close()
    for name in ("spool.db-wal", "spool.db-shm"):
        (cut.directory / name).unlink()
    with cut.start() as again:
        assert again.install == install
        again.append(samples(10, 1))
        assert again.last_seq > 10
