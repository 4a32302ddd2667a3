"""Install, epoch and seq at every start: rules 1, 3 and 5 with their counter-examples."""

import shutil
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from collector.spool import decide as deciding
from collector.spool.position import POSITION_FILE
from common.errors import LockHeld
from common.identity import Hardware
from common.ship_state import Acknowledgement
from tests.tools.spools import Device, drain, samples, value


def _kinds(device: Device) -> list[object]:
    return [value(row, "kind") for row in drain(device.reader())]


def test_the_first_start_makes_install_and_epoch(tmp_path: Path) -> None:
    """Both are random; the first row has seq 1."""
    device = Device(tmp_path)
    with device.start() as store:
        assert store.append(samples(0, 2)) == range(1, 3)
        assert store.install.channel.startswith("TH_")
        assert store.install.install_id == store.install.install_id.upper()
        assert len(store.epoch) == 16
        assert [h.name for h in store.happenings()] == ["new_install", "new_epoch"]


def test_rule_01_a_start_settles_identity_without_any_sensor(tmp_path: Path) -> None:
    """A clone without sensors still gets its new install; nothing here asks for a sensor."""
    device = Device(tmp_path)
    with device.start() as store:
        original = store.install
    device.hardware = Hardware("board-2", "card-2")
    with device.start() as store:
        assert store.install.install_id != original.install_id
        assert device.reader().install() == store.install


def test_two_collectors_are_refused(tmp_path: Path) -> None:
    """The second one ends with 75 and names the first; the file is left alone."""
    device = Device(tmp_path)
    with device.start() as store, pytest.raises(LockHeld) as refused:
        device.start()
    assert refused.value.exit_code == 75
    assert store.last_seq == 0


def test_rule_05_a_restart_in_the_same_boot_goes_on_in_its_epoch(tmp_path: Path) -> None:
    """With the runtime record equal to the file, nothing new is made and seq goes on."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 3))
        epoch = store.epoch
    with device.start() as store:
        assert store.epoch == epoch
        assert store.append(samples(3, 1)) == range(4, 5)


def test_rule_05_a_reboot_makes_a_new_epoch_with_its_parent(tmp_path: Path) -> None:
    """The boot id is compared at every start."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 3))
        first = store.epoch
    device.reboot()
    with device.start() as store:
        assert store.epoch != first
        assert store.append(samples(3, 1)) == range(4, 5)
        newest = store.lineage().newest
        assert newest is not None
        assert newest.parent == first


def test_rule_05_a_restart_after_reboot_makes_no_second_epoch(tmp_path: Path) -> None:
    """Restarted before its first row, the collector compares the stored boot id again."""
    device = Device(tmp_path)
    device.start().close()
    device.reboot()
    with device.start() as store:
        epoch = store.epoch
    with device.start() as store:
        assert store.epoch == epoch


def test_rule_05_an_epoch_without_rows_is_never_a_parent(tmp_path: Path) -> None:
    """Boots that stored nothing do not use up the token's four ancestors."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 1))
        first = store.epoch
    for _ in range(6):
        device.reboot()
        device.start().close()
    device.reboot()
    with device.start() as store:
        store.append(samples(1, 1))
        assert store.lineage().ancestors(store.epoch) == (first,)


def _restore_without_reboot(tmp_path: Path, *, keep_record: bool) -> list[object]:
    """Stop, put an older copy back, start in the same boot; returns the keys used twice."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 5))
    backup = tmp_path / "backup"
    shutil.copytree(device.directory, backup)
    with device.start() as store:
        store.append(samples(5, 5))
        with device.reader() as reader:
            sent = {(row.origin.epoch, row.seq): row.values for row in drain(reader)}
    target = device.directory / "spool.db"
    assert not (device.directory / "spool.db-wal").exists()
    target.write_bytes((backup / "spool.db").read_bytes())
    if not keep_record:
        (device.runtime / POSITION_FILE).unlink()
    with device.start() as store:
        store.append(samples(10, 5))
        after = {(row.origin.epoch, row.seq): row.values for row in drain(device.reader())}
    return [key for key, values in after.items() if sent.get(key, values) != values]


@pytest.mark.parametrize("keep_record", [True, False])
def test_rule_05_a_restore_without_reboot_never_reuses_a_key(
    tmp_path: Path, *, keep_record: bool
) -> None:
    """An older copy put back within one boot, inode kept: the position differs: new epoch."""
    assert _restore_without_reboot(tmp_path, keep_record=keep_record) == []


def test_rule_05_negative_control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the comparison of positions, the restore gives five rows the keys of other rows."""

    def boot_only(found: deciding.Found, matched: object) -> str | None:
        newest = found.spool.lineage.newest
        return None if newest and newest.boot_id == found.boot_id else "boot"

    def last_only(found: deciding.Found, install: object) -> int:
        return found.spool.last_seq

    monkeypatch.setattr(deciding, "_epoch_reason", boot_only)
    monkeypatch.setattr(deciding, "_greatest_known", last_only)
    assert len(_restore_without_reboot(tmp_path, keep_record=True)) == 5


def test_rule_05_no_runtime_directory_makes_a_new_epoch_each_time(tmp_path: Path) -> None:
    """Where nothing proves that the spool was not restored, it is treated as if it had been."""
    device = Device(tmp_path)
    device.start().close()
    shutil.rmtree(device.runtime)
    with device.start() as store:
        assert len(store.lineage().epochs) == 2


def test_a_card_moved_to_another_board_keeps_its_install(tmp_path: Path) -> None:
    """Same card, other board: same install, new epoch, and the new board is remembered."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 2))
        install, epoch = store.install, store.epoch
    device.hardware = Hardware("board-2", "card-1")
    with device.start() as store:
        assert store.install.install_id == install.install_id
        assert store.install.hardware == device.hardware
        assert store.epoch != epoch
        epoch = store.epoch
    with device.start() as store:
        assert store.epoch == epoch


@pytest.mark.parametrize("board", ["board-1", "board-2"])
def test_rule_03_another_card_means_a_new_install_with_a_new_spool(
    tmp_path: Path, board: str
) -> None:
    """A restored or cloned card starts at seq 1 in a new file; inherited rows are not sent."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 7))
        old = store.install
    device.hardware = Hardware(board, "card-2")
    with device.start() as store:
        assert store.install.install_id != old.install_id
        assert store.last_row() is not None
        rows = drain(device.reader())
        assert [(row.seq, value(row, "kind")) for row in rows] == [(1, "gap")]
        assert f'"install_id":"{old.install_id}"' in str(value(rows[0], "detail"))
        assert '"count":7' in str(value(rows[0], "detail"))
    aside = list((device.directory / "aside").glob("*/spool.db"))
    assert len(aside) == 1


def test_rule_03_equal_random_bytes_on_other_hardware_make_other_installs(tmp_path: Path) -> None:
    """Boards of one image may draw the same: board and card are mixed in, the high half is drawn.

    Negative: the same hardware and the same bytes are the same id, so only the serials differ.
    """
    made = []
    for number, (board, card) in enumerate(
        [("b-1", "c-1"), ("b-2", "c-1"), ("b-1", "c-2"), ("b-1c", "-1"), ("b-1", "c-1")]
    ):
        device = Device(tmp_path / str(number), seed=9)
        device.hardware = Hardware(board, card)
        with device.start() as store:
            made.append(store.install.install_id)
    assert len(set(made)) == 4
    assert made[0] == made[4]
    drawn = Random(9).randbytes(8)
    assert {one[:8] for one in made} == {drawn[:4].hex().upper()}
    assert all(len(one) == 16 and one == one.upper() for one in made)


def test_rule_03_absent_serial_numbers_are_values_like_any_other(tmp_path: Path) -> None:
    """Hardware without serial numbers is the same hardware at the next start."""
    device = Device(tmp_path)
    device.hardware = Hardware("absent", "absent")
    with device.start() as store:
        install = store.install
    with device.start() as store:
        assert store.install == install
    device.hardware = Hardware("absent", "card-1")
    with device.start() as store:
        assert store.install != install


def test_the_install_survives_the_loss_of_the_spool(tmp_path: Path) -> None:
    """Install and serials stand in both files: without spool.db the install goes on, far ahead."""
    device = Device(tmp_path)
    with device.start() as store, device.ledger() as ledger:
        store.append(samples(0, 10))
        ledger.settle(store.install, 0)
        ledger.expose(store.epoch, 8)
        acknowledgement = Acknowledgement("token", store.epoch, 4)
        ledger.acknowledge(acknowledgement, rows_inserted=4, rows_error=0)
        install, lost = store.install, store.epoch
    for name in ("spool.db", "spool.db-wal"):
        (device.directory / name).unlink(missing_ok=True)
    device.reboot()
    with device.start() as store:
        assert store.install == install
        assert store.lineage().ancestors(store.epoch) == (lost,)
        position = store.lineage().position(lost, 8)
        assert position is not None
        rows = drain(device.reader())
        assert rows[0].seq > 1_000_000
        assert [value(row, "kind") for row in rows] == ["gap", "gap"]


def test_both_files_gone_is_a_new_install(tmp_path: Path) -> None:
    """A card that was flashed anew gets a new install by itself."""
    device = Device(tmp_path)
    with device.start() as store:
        install = store.install
    shutil.rmtree(device.directory)
    with device.start() as store:
        assert store.install.install_id != install.install_id
        assert store.append(samples(0, 1)) == range(1, 2)


def test_a_foreign_shipper_file_says_nothing(tmp_path: Path) -> None:
    """Numbers of another install's ship.db neither move seq nor license anything."""
    device = Device(tmp_path)
    with device.start() as store, device.ledger() as ledger:
        foreign = replace(store.install, install_id="F" * 16)
        ledger.settle(foreign, 0)
        ledger.expose("ee" * 8, 500)
    with device.start() as store:
        assert store.append(samples(0, 1)) == range(1, 2)
        assert _kinds(device) == ["sample"]


def test_the_last_tick_before_the_start_is_known(tmp_path: Path) -> None:
    """What was not stored can be counted from the newest sample and how the run ended."""
    device = Device(tmp_path)
    with device.start() as store:
        assert store.last_row() is None
        store.append(samples(0, 3))
        store.store_boot_offset(77)
        boot = device.clock.boot_id()
    device.reboot()
    with device.start() as store:
        last = store.last_row()
        assert last is not None
        assert (last.boot_id, last.boottime_ns, last.offset_ns) == (boot, 110_000_000_000, 77)
        assert last.clean
    killed = device.copy(tmp_path / "killed")
    with device.start() as store:
        dirty = device.copy(tmp_path / "dirty")
    for copy, clean in ((killed, True), (dirty, False)):
        with copy.start() as store:
            found = store.last_row()
            assert found is not None
            assert found.clean is clean
