"""Setting a file aside is repeatable: a cut at any step loses nothing."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.spool import quarantine
from collector.spool.upkeep import Upkeep
from common.database import SpoolCorrupt
from tests.tools.spools import Device, damage, drain, killed, leaf_pages, samples, wait_until

ROWS = 3000


def test_damage_found_while_running_does_not_stop_sampling(tmp_path: Path) -> None:
    """A read finds the damage; the next rows go into a new file, the old ones are salvaged."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, ROWS))
        install = store.install
        with store.reading("test") as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            connection.execute("PRAGMA shrink_memory").fetchall()
        path = device.directory / "spool.db"
        page = leaf_pages(path)[10]
        # By another process: closing the file here would drop this process's locks on it.
        command = ["dd", "if=/dev/zero", f"of={path}", "bs=4096", f"seek={page}", "count=1"]
        subprocess.run([*command, "conv=notrunc", "status=none"], check=True)
        with pytest.raises(SpoolCorrupt), store.reading("test") as connection:
            connection.execute("SELECT sum(crc) FROM readings").fetchone()
        store.append(samples(ROWS, 1))
        assert store.install == install
        assert any(h.name == "spool_set_aside" and h.alarm for h in store.happenings())
        upkeep = Upkeep(store)
        wait_until(lambda: not upkeep.run().salvaging)
        seqs = [row.seq for row in drain(device.reader()) if row.seq <= ROWS]
        assert ROWS - 50 < len(seqs) < ROWS


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
