"""Storing: all or nothing, never twice, never into a file that is gone."""

import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from collector.spool import rescue
from collector.spool.doubt import Doubt
from collector.spool.upkeep import Upkeep
from common.database import SpoolBusy, SpoolFull, SpoolReplaced, open_writer
from common.errors import SpoolError
from tests.tools.spools import Device, drain, sample, samples, value, wait_until


class Faulty(sqlite3.Connection):
    """A connection whose COMMIT does something else first, when armed."""

    armed: Callable[["Faulty"], None] | None = None

    def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
        """Like the real one."""
        if sql == "COMMIT" and Faulty.armed is not None:
            act, Faulty.armed = Faulty.armed, None
            act(self)
        return super().execute(sql, *arguments)  # type: ignore[arg-type]


def _faulty(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, factory=Faulty
    )
    connection.execute("PRAGMA journal_mode=WAL").fetchall()
    connection.execute("PRAGMA synchronous=FULL")
    return connection


def _fails(name: str, *, committed: bool) -> Callable[[Faulty], None]:
    """A COMMIT that reports an error, after it took place or instead."""

    def act(connection: Faulty) -> None:
        if committed:
            sqlite3.Connection.execute(connection, "COMMIT")
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = name
        raise error

    return act


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """A device whose commits can be made to fail."""
    made = Device(tmp_path)
    made.means = replace(made.means, open_writer=_faulty)
    return made


@pytest.mark.parametrize("committed", [True, False])
def test_a_failed_fsync_is_resolved_and_no_row_is_lost_or_doubled(
    device: Device, *, committed: bool
) -> None:
    """After SQLITE_IOERR_FSYNC the file is reopened and looked at; rows may be given again."""
    with device.start() as store:
        store.append(samples(0, 3))
        epoch = store.epoch
        Faulty.armed = _fails("SQLITE_IOERR_FSYNC", committed=committed)
        with pytest.raises(SpoolError, match="SQLITE_IOERR_FSYNC"):
            store.append(samples(3, 2))
        store.append(samples(3, 3))
        rows = [r for r in drain(device.reader()) if value(r, "kind") == "sample"]
        assert [r.values for r in rows] == samples(0, 6)
        assert store.epoch != epoch or not committed
        assert all(r.intact for r in rows)


def test_negative_control_a_plain_retry_doubles_the_rows(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without finding out, a commit that took place and reported an error stores its rows twice."""
    monkeypatch.setattr(Doubt, "fresh", lambda self, rows: list(rows))
    with device.start() as store:
        Faulty.armed = _fails("SQLITE_IOERR_FSYNC", committed=True)
        with pytest.raises(SpoolError):
            store.append(samples(0, 2))
        store.append(samples(0, 2))
        stored = [r.values for r in drain(device.reader()) if value(r, "kind") == "sample"]
        assert len(stored) == 4


def test_a_full_file_refuses_and_keeps_what_it_has(tmp_path: Path) -> None:
    """SQLITE_FULL is the error of these rows alone; afterwards the store goes on."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 10))
        with store.reading("test") as connection:
            connection.execute("PRAGMA max_page_count=1").fetchall()
        with pytest.raises(SpoolFull) as full:
            store.append(samples(10, 5000))
        assert full.value.op == "append"
        assert full.value.hint
        assert store.last_seq == 10
        with store.reading("test") as connection:
            connection.execute("PRAGMA max_page_count=100000").fetchall()
        assert store.append(samples(10, 5)) == range(11, 16)


def test_a_deleted_spool_is_noticed_and_its_rows_are_rescued(tmp_path: Path) -> None:
    """SQLite would go on writing into the deleted file; here no stored row is gone."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 5))
        install = store.install
        (device.directory / "spool.db").unlink()
        with pytest.raises(SpoolReplaced, match="deleted or renamed"):
            store.append(samples(5, 1))
        store.append(samples(5, 1))
        upkeep = Upkeep(store)
        wait_until(lambda: not upkeep.run().salvaging)
        assert store.install == install
        rows = [r for r in drain(device.reader()) if value(r, "kind") == "sample"]
        assert [r.values for r in rows] == samples(0, 6)
        assert [r.seq for r in rows[:5]] == [1, 2, 3, 4, 5]


def test_a_spool_restored_under_the_open_file_loses_nothing(tmp_path: Path) -> None:
    """An older copy moved over the live file is set aside; the open file's rows go on."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 3))
        copy = device.directory / "copy"
        with store.reading("test") as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        shutil.copy(device.directory / "spool.db", copy)
        store.append(samples(3, 3))
        copy.replace(device.directory / "spool.db")
        with pytest.raises(SpoolReplaced, match="replaced"):
            store.append(samples(6, 1))
        store.append(samples(6, 1))
        upkeep = Upkeep(store)
        wait_until(lambda: not upkeep.run().salvaging)
        rows = [r for r in drain(device.reader()) if value(r, "kind") == "sample"]
        assert [r.values for r in rows] == samples(0, 7)
        assert len({(r.origin.epoch, r.seq) for r in rows}) == 7


def test_a_rescue_without_room_is_given_up_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that never succeeds must not stop sampling for ever; what is lost is told."""

    def no_room(*_: object) -> None:
        raise SpoolError("no room", op="rescue", path="spool.db")

    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 5))
        device.ledger().settle(store.install, 0)
        monkeypatch.setattr(rescue, "rescue", no_room)
        (device.directory / "spool.db").unlink()
        for _ in range(rescue.TRIES):
            with pytest.raises(SpoolError):
                store.append(samples(5, 1))
        store.append(samples(5, 1))
        assert any(h.name == "rescue_given_up" and h.alarm for h in store.happenings())
        assert store.last_seq > 5
        rows = drain(device.reader())
        assert rows[-1].values == sample(5)
        assert "seq_jump" in "".join(str(value(row, "detail")) for row in rows)


def test_a_file_locked_by_another_program_is_busy_and_nothing_is_reopened(tmp_path: Path) -> None:
    """SQLITE_BUSY says nothing of damage: no check of the whole file, no new epoch."""
    device = Device(tmp_path)
    with device.start() as store:
        with store.reading("test") as connection:
            connection.execute("PRAGMA busy_timeout=1").fetchall()
        epoch = store.epoch
        other = sqlite3.connect(device.directory / "spool.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SpoolBusy):
            store.append(samples(0, 1))
        other.execute("ROLLBACK")
        other.close()
        assert store.append(samples(0, 1)) == range(1, 2)
        assert store.epoch == epoch


def test_negative_control_sqlite_itself_does_not_notice(tmp_path: Path) -> None:
    """Without the comparison, rows go into the deleted file and every commit reports success."""
    device = Device(tmp_path)
    device.start().close()
    connection = open_writer(device.directory / "spool.db")
    (device.directory / "spool.db").unlink()
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO state (key, value) VALUES ('lost', '1')")
    connection.execute("COMMIT")
    connection.close()
    assert not (device.directory / "spool.db").exists()


def test_rule_08_the_boot_offset_is_written_once(tmp_path: Path) -> None:
    """A second offset of the same boot changes nothing: sent rows must stay the same bytes."""
    device = Device(tmp_path)
    with device.start() as store:
        boot = device.clock.boot_id()
        assert device.reader().boot_offset_ns(boot) is None
        assert store.store_boot_offset(111)
        assert not store.store_boot_offset(222)
        assert device.reader().boot_offset_ns(boot) == 111
        with store.reading("control") as connection:
            connection.execute("UPDATE boots SET realtime_offset_ns = 222")
        assert device.reader().boot_offset_ns(boot) == 222, "negative control: a change is seen"


def test_a_bad_row_stores_nothing_of_its_group(tmp_path: Path) -> None:
    """A row that no spool can hold is refused before the transaction begins."""
    device = Device(tmp_path)
    with device.start() as store:
        bad = (*sample(1)[:-1], object())
        with pytest.raises((ValueError, sqlite3.Error, SpoolError)):
            store.append([sample(0), bad])  # type: ignore[list-item]
        assert drain(device.reader()) == []
        assert store.append([sample(0)]) == range(1, 2)


def test_what_another_process_sees_is_in_the_files(tmp_path: Path) -> None:
    """A copy of the files taken right after append, as a power cut leaves them, has every row."""
    device = Device(tmp_path)
    with device.start() as store:
        for i in range(20):
            store.append([sample(i)])
            copy = device.copy(tmp_path / f"cut{i}")
            with sqlite3.connect(copy.directory / "spool.db") as connection:
                count = connection.execute("SELECT count(*) FROM readings").fetchone()[0]
            connection.close()
            assert count == i + 1
