"""What the product takes for granted of SQLite, and how it keeps its own side of it."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from collector.spool.upkeep import Upkeep
from common.database import WAL_BYTES_KEPT, SpoolBusy, open_reader, open_writer
from tests.tools.spools import Device, samples

PRODUCT = [
    path
    for folder in ("collector", "shipper", "common")
    for path in sorted(Path(folder).rglob("*.py"))
]
BARE = re.compile(r'execute(?:script)?\(\s*f?"(?:BEGIN(?! IMMEDIATE)|VACUUM|PRAGMA wal_checkpoint'
                  r'\((?!PASSIVE))', re.IGNORECASE)  # fmt: skip
WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE|CREATE|DROP) ")
GROUPS = 600
STEADY_BYTES = 2 * 1024 * 1024
"""The log between two checkpoints of 400 pages."""


def _wal(device: Device) -> int:
    return (device.directory / "spool.db-wal").stat().st_size


def test_every_write_begins_at_once() -> None:
    """No deferred BEGIN where anything is written, no vacuum, no checkpoint that waits."""
    bare = [path for path in PRODUCT if BARE.search(path.read_text())]
    assert bare, "the plain BEGIN of those who only read is no longer found"
    assert not [str(path) for path in bare if WRITES.search(path.read_text())]
    assert any("BEGIN IMMEDIATE" in path.read_text() for path in PRODUCT)


@pytest.mark.parametrize(
    "line", ['c.execute("BEGIN")', 'c.execute("begin deferred")', 'c.execute("VACUUM")']
)
def test_negative_control_the_search_finds_them(line: str) -> None:
    """What the search is for."""
    assert BARE.search(line)


def test_nobody_opens_a_database_by_hand() -> None:
    """Closing any descriptor of a database drops the process's locks on it: only SQLite opens."""
    by_hand = re.compile(r"(SPOOL_FILE|SHIP_FILE|spool\.db|ship\.db)[^\n]*\.(open|read_bytes)\(")
    assert not [str(path) for path in PRODUCT if by_hand.search(path.read_text())]


def test_a_deferred_upgrade_fails_at_once_and_an_immediate_one_waits(tmp_path: Path) -> None:
    """The fact: a read that becomes a write after another commit is refused in no time."""
    path = tmp_path / "a.db"
    with closing(open_writer_of(path)) as one, closing(open_writer(path)) as two:
        one.execute("CREATE TABLE t (x)")
        two.execute("BEGIN")
        two.execute("SELECT * FROM t").fetchall()
        one.execute("INSERT INTO t VALUES (1)")
        with pytest.raises(sqlite3.OperationalError) as refused:
            two.execute("INSERT INTO t VALUES (2)")
        assert refused.value.sqlite_errorname == "SQLITE_BUSY_SNAPSHOT"
        two.execute("ROLLBACK")
        two.execute("BEGIN IMMEDIATE")
        two.execute("INSERT INTO t VALUES (2)")
        two.execute("COMMIT")


def open_writer_of(path: Path) -> sqlite3.Connection:
    """A new database, opened as the product opens its own."""
    sqlite3.connect(path).close()
    return open_writer(path)


def test_the_settings_of_a_writer(tmp_path: Path) -> None:
    """WAL, FULL, no second write of deleted pages, no vacuum, a bounded log."""
    device = Device(tmp_path)
    with device.start() as store, store.reading("test") as connection:
        found = {
            name: connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in (
                "journal_mode", "synchronous", "secure_delete", "auto_vacuum", "page_size",
                "wal_autocheckpoint", "journal_size_limit",
            )
        }  # fmt: skip
    assert found == {
        "journal_mode": "wal", "synchronous": 2, "secure_delete": 0, "auto_vacuum": 0,
        "page_size": 4096, "wal_autocheckpoint": 400, "journal_size_limit": WAL_BYTES_KEPT,
    }  # fmt: skip


def test_the_log_stays_bounded_while_the_shipper_reads(tmp_path: Path) -> None:
    """The shipper reads the whole backlog after each group, and never holds the log back."""
    device = Device(tmp_path)
    with device.start() as store, device.reader() as reader:
        upkeep = Upkeep(store)
        after = None
        for group in range(GROUPS):
            store.append(samples(group * 10, 10))
            after = None if group % 100 == 0 else after
            while rows := reader.read_after(after, 500):
                after = rows[-1].position
            if group % 50 == 0:
                upkeep.run()
        assert _wal(device) <= STEADY_BYTES


def test_negative_control_an_open_cursor_lets_the_log_grow(tmp_path: Path) -> None:
    """A reader that keeps its statement open holds every page back: the log grows on and on."""
    device = Device(tmp_path)
    with device.start() as store:
        store.append(samples(0, 100))
        with closing(open_reader(device.directory / "spool.db")) as reader:
            reader.execute("SELECT * FROM readings").fetchone()
            cursor = reader.execute("SELECT * FROM readings")
            cursor.fetchone()
            for group in range(GROUPS):
                store.append(samples(100 + group * 10, 10))
            assert _wal(device) > WAL_BYTES_KEPT
            cursor.close()


def test_a_second_writer_is_busy_not_damage(tmp_path: Path) -> None:
    """A program that holds the write lock costs waiting time; the file is not opened anew."""
    device = Device(tmp_path)
    with device.start() as store, closing(open_writer(store.path)) as other:
        with store.reading("test") as connection:
            connection.execute("PRAGMA busy_timeout=50")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(SpoolBusy):
            store.append(samples(0, 1))
        other.execute("ROLLBACK")
        assert len(store.append(samples(0, 1))) == 1
