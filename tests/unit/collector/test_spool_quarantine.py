"""Damage: proven twice, set aside whole, salvaged with its keys, and told (rules 6 and 7)."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from collector.spool import quarantine
from collector.spool.decide import SEQ_JUMP
from collector.spool.salvage import Salvage
from collector.spool.store import SpoolStore
from collector.spool.upkeep import Upkeep
from common.errors import SpoolError
from common.ship_state import Acknowledgement
from common.spool.row import row_crc
from tests.tools.spools import (
    Device,
    damage,
    drain,
    forget_clean_stop,
    killed,
    leaf_pages,
    sample,
    samples,
    value,
    wait_until,
)

ROWS = 3000


def test_rule_06_salvaged_rows_keep_their_keys_and_the_rest_is_told(tmp_path: Path) -> None:
    """Three pages destroyed: all other rows come back as they were, gap rows tell the rest."""
    device = Device(tmp_path)
    install, epoch = killed(device)
    leaves = leaf_pages(device.directory / "spool.db")
    damage(device.directory / "spool.db", range(leaves[20], leaves[20] + 3))
    with device.start() as store:
        assert store.install.install_id == install
        assert store.epoch != epoch
        assert store.lineage().ancestors(store.epoch) == (epoch,)
        first = store.append(samples(ROWS, 1))
        assert first.start > ROWS + SEQ_JUMP
        upkeep = Upkeep(store)
        wait_until(lambda: not upkeep.run().salvaging)
        rows = drain(device.reader())
    back = {row.seq: row.values for row in rows if row.seq <= ROWS}
    assert len(back) > ROWS - 150
    assert all(values == sample(seq - 1) for seq, values in back.items())
    assert {row.origin.epoch for row in rows if row.seq <= ROWS} == {epoch}
    told = sum(
        int(str(value(row, "detail")).split('"count":')[1].split(",")[0])
        for row in rows
        if '"reason":"quarantine"' in str(value(row, "detail"))
    )
    assert len(back) + told == ROWS


def test_rule_06_nothing_is_shipped_while_salvage_is_pending(tmp_path: Path) -> None:
    """The reader says so from the first moment of the new epoch until the gap rows are there."""
    device = Device(tmp_path)
    killed(device)
    damage(device.directory / "spool.db", range(20, 22))
    with device.start() as store:
        assert device.reader().salvage_pending()
        upkeep = Upkeep(store)
        wait_until(lambda: not upkeep.run().salvaging)
        assert not device.reader().salvage_pending()


def test_rule_06_the_jump_is_told_with_the_epoch_record(tmp_path: Path) -> None:
    """No moment exists in which the new epoch has no gap row for the jump."""
    device = Device(tmp_path)
    killed(device)
    damage(device.directory / "spool.db", range(20, 22))
    with device.start() as store:
        copy = device.copy(tmp_path / "cut")
        gaps = [row for row in drain(device.reader()) if value(row, "kind") == "gap"]
        assert f'"first_seq":{ROWS + 1},"last_seq":{ROWS + SEQ_JUMP}' in str(
            value(gaps[0], "detail")
        )
        assert store.last_seq == gaps[0].seq
    with copy.start() as store:
        assert store.lineage().newest is not None


def test_rule_06_salvage_ends_by_a_time_limit_and_says_what_it_left(tmp_path: Path) -> None:
    """Time up: one transaction tells the whole rest, and shipping goes on."""
    device = Device(tmp_path)
    killed(device)
    damage(device.directory / "spool.db", range(20, 22))
    with device.start() as store:
        salvage = Salvage(store, time_s_max=-1.0)
        assert not salvage.step()
        assert not device.reader().salvage_pending()
        details = [str(value(row, "detail")) for row in drain(device.reader())]
        assert any(f'"last_seq":{ROWS},' in d and "quarantine" in d for d in details)


def test_rule_06_a_salvage_goes_on_after_a_power_cut(tmp_path: Path) -> None:
    """Cut in the middle, salvage resumes, and every row is there once."""
    device = Device(tmp_path)
    killed(device)
    damage(device.directory / "spool.db", range(30, 31))
    with device.start() as store:
        with store.transaction("test") as connection:
            connection.execute(
                "UPDATE state SET value = json_set(value, '$.next', 1) WHERE key = 'salvage'"
            )
        cut = device.copy(tmp_path / "cut")
    cut.reboot()
    with cut.start() as store:
        upkeep = Upkeep(store)
        wait_until(lambda: not upkeep.run().salvaging)
        rows = [row.seq for row in drain(cut.reader()) if row.seq <= ROWS]
        assert len(rows) == len(set(rows)) > ROWS - 100


def test_rule_06_the_jump_is_past_every_number_known(tmp_path: Path) -> None:
    """The shipper's exposed seq counts, although the damaged spool itself no longer shows it."""
    device = Device(tmp_path)
    _, epoch = killed(device, 200)
    with device.start() as store, device.ledger() as ledger:
        ledger.settle(store.install, 0)
        ledger.expose(epoch, 5_000)
    device.reboot()
    path = device.directory / "spool.db"
    path.write_bytes(b"\0" * path.stat().st_size)
    with device.start() as store:
        assert store.last_seq > 5_000 + SEQ_JUMP


def test_a_bit_flipped_in_a_value_is_left_to_the_shipper_but_not_salvaged(tmp_path: Path) -> None:
    """integrity_check does not see it; the row's checksum does, in reader and salvage alike."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 5))
        with store.reading("test") as connection:
            connection.execute("UPDATE readings SET cpu_percent = 1.5 WHERE seq = 3")
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert [row.intact for row in drain(device.reader())] == [True, True, False, True, True]


def test_an_error_of_the_device_is_nodamage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the device cannot write, the spool stays where it is and the start fails with 74."""
    device = Device(tmp_path)
    killed(device)
    damage(device.directory / "spool.db", range(20, 22))

    def broken(directory: Path) -> None:
        raise SpoolError("read-only", op="probe", path=str(directory))

    monkeypatch.setattr(quarantine, "probe_device", broken)
    with pytest.raises(SpoolError) as failed:
        device.start()
    assert failed.value.exit_code == 74
    assert (device.directory / "spool.db").exists()
    assert not (device.directory / "aside").exists()


def test_damage_that_does_not_reproduce_is_nodamage(tmp_path: Path) -> None:
    """SQLITE_CORRUPT once, and fine after reopening: the file goes on."""
    device = Device(tmp_path)
    install, _ = killed(device)
    real, calls = device.means.open_writer, []

    def flaky(path: Path) -> sqlite3.Connection:
        calls.append(path)
        if len(calls) == 1:
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorname = "SQLITE_CORRUPT"
            raise error
        return real(path)

    device.means = replace(device.means, open_writer=flaky)
    with device.start() as store:
        assert store.install.install_id == install
        assert store.last_seq == ROWS
    assert not (device.directory / "aside").exists()


def test_a_clean_stop_of_a_large_spool_needs_no_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """quick_check reads the whole file; it is spared after a clean stop and run after a kill."""
    monkeypatch.setattr(quarantine, "ALWAYS_CHECKED_BYTES", 0)
    device = Device(tmp_path)
    checks: list[str] = []
    real = device.means.open_writer

    def spying(path: Path) -> sqlite3.Connection:
        connection = real(path)
        connection.set_trace_callback(
            lambda sql: checks.append(sql) if "quick_check" in sql else None
        )
        return connection

    device.means = replace(device.means, open_writer=spying)
    device.start().close()
    device.start().close()
    assert checks == []
    killed(device, 10)
    checks.clear()
    device.start().close()
    assert len(checks) == 1


def _store_with_row(store: SpoolStore) -> int:
    store.append([sample(0)])
    return row_crc(store.epoch, 1, sample(0))


def test_an_acknowledged_row_is_not_salvaged_again(tmp_path: Path) -> None:
    """Rows that the server has need no salvage; the watermark of the damaged file still counts."""
    device = Device(tmp_path)
    with device.start() as store:
        assert _store_with_row(store)
        store.append(samples(1, ROWS - 1))
        with device.ledger() as ledger:
            ledger.settle(store.install, 0)
            acknowledgement = Acknowledgement("t", store.epoch, 2_000)
            ledger.acknowledge(acknowledgement, rows_inserted=2_000, rows_error=0)
        Upkeep(store).run()
        with device.reader() as reader:
            assert reader.trimmed() == acknowledgement
    forget_clean_stop(device)
    leaves = leaf_pages(device.directory / "spool.db")
    damage(device.directory / "spool.db", range(leaves[-5], leaves[-5] + 1))
    device.reboot()
    with device.start() as store:
        upkeep = Upkeep(store)
        wait_until(lambda: not upkeep.run().salvaging)
        assert device.reader().trimmed() == acknowledgement
        rows = [row for row in drain(device.reader()) if row.seq <= ROWS]
        assert all(row.intact for row in rows)
        assert 900 < len(rows) < 1_000
        assert rows[0].seq == 2_001
