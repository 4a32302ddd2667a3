"""The shipper's view: right rows, flat memory, no locks left behind."""

import sqlite3
import tracemalloc
from pathlib import Path

import pytest

from common.database import SpoolAbsent, SpoolNewer
from common.identity import Position
from common.spool.reader import SpoolReader
from tests.tools.spools import Device, drain, keys, sample, samples, value


def test_no_file_is_absent_and_later_there(tmp_path: Path) -> None:
    """A shipper that starts first waits, and goes on by itself when the collector has started."""
    device = Device(tmp_path)
    reader = device.reader()
    with pytest.raises(SpoolAbsent, match="not there yet"):
        reader.install()
    with device.start() as store:
        assert reader.install() == store.install


def test_a_file_without_tables_is_absent(tmp_path: Path) -> None:
    """The moment between making the file and making its tables is no error."""
    device = Device(tmp_path)
    device.directory.mkdir()
    (device.directory / "spool.db").touch()
    with pytest.raises(SpoolAbsent):
        device.reader().lineage()


def test_rows_come_back_in_order_with_their_values(tmp_path: Path) -> None:
    """What was appended is what is read, once, whatever the batch size."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 25))
        for batch in (1, 7, 25, 100):
            rows = drain(device.reader(), batch=batch)
            assert [row.seq for row in rows] == list(range(1, 26))
            assert [row.values for row in rows] == samples(0, 25)
            assert all(row.intact for row in rows)


def test_one_call_never_returns_rows_of_two_epochs(tmp_path: Path) -> None:
    """A batch has one offset token, and a token names one epoch."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 3))
    device.reboot()
    with device.start() as store:
        store.append(samples(3, 3))
        reader = device.reader()
        first = reader.read_after(None, 100)
        assert len({row.origin.epoch for row in first}) == 1
        assert len(first) == 3
        second = reader.read_after(first[-1].position, 100)
        assert {row.origin.epoch for row in second} == {store.epoch}
        assert [row.seq for row in second] == [4, 5, 6]


def test_rule_04_a_token_beyond_the_end_of_its_epoch_hides_no_row(tmp_path: Path) -> None:
    """The server may have rows of a tail that the card lost; the next epoch's rows go too."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 3))
    device.reboot()
    with device.start() as store:
        store.append(samples(3, 3))
        rows = device.reader().read_after(Position(1, 5), 100)
        assert [row.seq for row in rows] == [4, 5, 6]
        by_seq_alone = [r for r in drain(device.reader()) if r.seq > 5]
        assert len(by_seq_alone) == 1, "negative control: comparing seq alone hides two rows"


def test_the_reader_follows_a_new_file(tmp_path: Path) -> None:
    """After the collector started a new install, the reader does not go on in the old file."""
    device = Device(tmp_path)
    reader = device.reader()
    with device.start() as store:
        store.append(samples(0, 3))
        old = reader.install()
    device.hardware = type(device.hardware)("board-1", "card-2")
    with device.start() as store:
        assert reader.install() == store.install
        assert reader.install() != old
        assert [value(row, "kind") for row in drain(reader)] == ["gap"]


def test_a_closed_spool_can_still_be_read(tmp_path: Path) -> None:
    """The shipper drains a stopped collector's spool, also after the close removed the log."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 5))
    assert not (device.directory / "spool.db-wal").exists()
    assert len(drain(device.reader())) == 5


def test_reading_leaves_no_lock_on_the_log(tmp_path: Path) -> None:
    """After each call the collector can reset its log; an open cursor would let it grow."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 500))
        reader = device.reader()
        reader.read_after(None, 10)
        reader.backlog(None)
        with store.reading("test") as connection:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        assert busy == 0
        held = sqlite3.connect(device.directory / "spool.db")
        cursor = held.execute("SELECT * FROM readings")
        cursor.fetchone()
        store.append([sample(500)])
        with store.reading("test") as connection:
            connection.execute("PRAGMA busy_timeout=1").fetchall()
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        cursor.close()
        held.close()
        assert busy == 1, "negative control: an open cursor does block it"


def test_a_newer_file_is_refused_and_left_alone(tmp_path: Path) -> None:
    """A downgraded shipper must not misread rows."""
    device = Device(tmp_path)
    device.start().close()
    path = device.directory / "spool.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SpoolNewer) as refused:
        device.reader().install()
    assert refused.value.exit_code == 78
    assert path.read_bytes() == before


def test_the_backlog_is_counted_by_epoch_not_across_jumps(tmp_path: Path) -> None:
    """A jump of a million numbers is no backlog of a million rows."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 10))
    (device.directory / "spool.db").write_bytes(b"\0" * 100_000)
    device.ledger().settle(store.install, 0)
    device.reboot()
    with device.start() as store:
        store.append(samples(10, 5))
        assert store.last_seq > 1_000_000
        backlog = device.reader().backlog(None)
        assert backlog.rows == len(drain(device.reader()))
        assert backlog.oldest_boot_id == device.clock.boot_id()
        assert device.reader().backlog(device.reader().newest()).rows == 0


def test_memory_does_not_grow_with_the_backlog(tmp_path: Path) -> None:
    """Batches of a long backlog cost what batches of a short one cost."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 20_000))
    reader = device.reader()
    reader.read_after(None, 100)

    def peak(batch: int) -> int:
        tracemalloc.start()
        after, _ = None, reader.backlog(None)
        while got := reader.read_after(after, batch):
            after = got[-1].position
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return size

    assert peak(100) < 1_000_000
    assert peak(20_000) > 5_000_000, "negative control: all at once is seen"


def test_rows_between_positions_are_counted(tmp_path: Path) -> None:
    """The window's rows are counted exactly, over two epochs."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 3))
    device.reboot()
    with device.start() as store:
        store.append(samples(3, 3))
    reader = device.reader()
    assert reader.count_between(None, Position(2, 6)) == 6
    assert reader.count_between(Position(1, 2), Position(2, 5)) == 3
    assert len(keys(drain(SpoolReader(device.directory)))) == 6
