"""The checksum of progress: every reader refuses a changed value, whatever column it is in."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from common import ship_progress
from common.ship_progress import (
    StoredProgress,
    progress_crc,
    read_stored_progress,
    write_stored_progress,
)
from common.ship_state import Acknowledgement, ShipStateUnreadable, read_ship_state
from common.spool import migrate as migration
from common.spool.migrate import migrate

FULL = StoredProgress(
    1, "target", 5, "v1|token", "ee" * 8, 300, "ee" * 8, 340, 12, 3, "ee" * 8, 280
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A ship.db with one full row of progress."""
    migrate(tmp_path / "ship.db", "ship")
    with closing(sqlite3.connect(tmp_path / "ship.db", isolation_level=None)) as made:
        write_stored_progress(made, FULL._asdict())
        yield made


def test_the_form_of_the_checksum_is_fixed() -> None:
    """Both services, of different versions, must agree on it."""
    assert progress_crc(StoredProgress()) == 3878616522
    assert progress_crc(FULL) == 2377746611


def test_every_column_is_covered(connection: sqlite3.Connection, tmp_path: Path) -> None:
    """One column changed by hand: the reader refuses; changed back, it reads."""
    assert read_stored_progress(connection) == FULL
    for name, value in FULL._asdict().items():
        other = value + 1 if isinstance(value, int) else f"{value}x"
        connection.execute(f"UPDATE progress SET {name} = ?", (other,))
        with pytest.raises(sqlite3.DatabaseError, match="checksum of progress"):
            read_stored_progress(connection)
        with pytest.raises(ShipStateUnreadable, match="nothing is trimmed"):
            read_ship_state(tmp_path)
        connection.execute(f"UPDATE progress SET {name} = ?", (value,))
    state = read_ship_state(tmp_path)
    assert state is not None
    assert state.acknowledged == Acknowledgement("v1|token", "ee" * 8, 300)


def test_negative_control_without_the_check_a_changed_seq_is_believed(
    connection: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read as in version 1, the flipped digit is a licence to trim."""
    connection.execute("UPDATE progress SET acknowledged_seq = 316")
    monkeypatch.setattr(ship_progress, "CRC_VERSION", 9)
    state = read_ship_state(tmp_path)
    assert state is not None
    assert state.acknowledged == Acknowledgement("v1|token", "ee" * 8, 316)


def test_a_change_is_never_written_over_a_row_that_does_not_fit(
    connection: sqlite3.Connection,
) -> None:
    """A new checksum over the rest of the row would make the flipped value right."""
    connection.execute("UPDATE progress SET acknowledged_seq = 316")
    with pytest.raises(sqlite3.DatabaseError, match="checksum"):
        write_stored_progress(connection, {"exposed_seq": 400})


def test_two_rows_are_damage(connection: sqlite3.Connection) -> None:
    """A key that flipped makes room for a second row."""
    connection.execute("INSERT INTO progress SELECT 3, target, created_on_ms, acknowledged_token, "
                       "acknowledged_epoch, 999, exposed_epoch, exposed_seq, rows_inserted_base, "
                       "rows_error_base, in_doubt_epoch, in_doubt_seq, crc FROM progress")
    with pytest.raises(sqlite3.DatabaseError, match="2 rows"):
        read_stored_progress(connection)


@pytest.mark.parametrize("values", [(float("nan"),), (b"\xff",), (1, b"")])
def test_values_that_no_row_holds_fit_no_checksum(values: tuple[object, ...]) -> None:
    """Damage that changes a column's type is a mismatch, not an exception."""
    assert progress_crc(values) == -1


def test_a_row_without_a_checksum_is_damage(connection: sqlite3.Connection) -> None:
    """A flipped header can take the last column away."""
    connection.execute("UPDATE progress SET crc = NULL")
    with pytest.raises(sqlite3.DatabaseError, match="checksum"):
        read_stored_progress(connection)


def test_a_row_of_version_1_is_sealed_by_its_migration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readable before and after; from the migration on, a changed value is seen."""
    path = tmp_path / "ship.db"
    with monkeypatch.context() as older:
        older.setattr(migration, "STEPS", {"ship": migration.STEPS["ship"][:1]})
        migrate(path, "ship")
    with closing(sqlite3.connect(path, isolation_level=None)) as old:
        old.execute(f"INSERT INTO progress VALUES ({', '.join('?' * len(FULL))})", FULL)
        assert read_stored_progress(old) == FULL
    migrate(path, "ship")
    with closing(sqlite3.connect(path, isolation_level=None)) as new:
        assert new.execute("SELECT crc FROM progress").fetchone() == (progress_crc(FULL),)
        assert read_stored_progress(new) == FULL
        new.execute("UPDATE progress SET acknowledged_seq = 301")
        with pytest.raises(sqlite3.DatabaseError, match="checksum"):
            read_stored_progress(new)
