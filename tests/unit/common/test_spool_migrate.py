"""Tables appear in one transaction, by a child process, and a newer file is never touched."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlite_utils import Database

from common.database import SpoolCorrupt, SpoolNewer, open_writer
from common.errors import ExitCode, ThermalError
from common.ship_state import SHIP_VERSION
from common.spool import migrate as migration
from common.spool.migrate import migrate
from common.spool.prepare import prepare, version_of
from common.spool.schema import SPOOL_VERSION


@pytest.mark.parametrize(("kind", "version"), [("spool", SPOOL_VERSION), ("ship", SHIP_VERSION)])
def test_the_child_process_makes_the_tables_once(tmp_path: Path, kind: str, version: int) -> None:
    """The service prepares a file through a child, and a second time does nothing."""
    path = tmp_path / f"{kind}.db"
    prepare(path, kind, version)
    made = path.stat().st_mtime_ns
    assert version_of(path, version) == version
    prepare(path, kind, version)
    assert path.stat().st_mtime_ns == made


def test_each_files_version_is_its_number_of_steps() -> None:
    """A step without a new version would never run, a version without a step never be reached."""
    found = {kind: len(steps) for kind, steps in migration.STEPS.items()}
    assert found == {"spool": SPOOL_VERSION, "ship": SHIP_VERSION}


def test_the_service_does_not_load_sqlite_utils() -> None:
    """Importing the spool's owner and reader leaves sqlite-utils out of the process."""
    code = (
        "import sys, collector.spool.store, collector.spool.upkeep, common.spool.reader, "
        "shipper.ledger; sys.exit('sqlite_utils' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    control = code.replace("import sys,", "import sys, common.spool.migrate,")
    assert subprocess.run([sys.executable, "-c", control], check=False).returncode == 1


def test_a_migration_that_fails_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Version and tables change together or not at all."""
    path = tmp_path / "spool.db"
    migrate(path, "spool")

    def half(database: Database) -> None:
        database.table("half").create({"id": int})
        raise sqlite3.OperationalError("the power went")

    steps = {"spool": (*migration.STEPS["spool"], half)}
    monkeypatch.setattr(migration, "STEPS", steps)
    with pytest.raises(ThermalError, match="the power went"):
        migrate(path, "spool")
    connection = sqlite3.connect(path)
    tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.close()
    assert (version, "half" in tables) == (1, False)


def test_a_newer_file_is_refused_byte_for_byte_untouched(tmp_path: Path) -> None:
    """A downgraded service refuses with status 78 and leaves the file as it is."""
    path = tmp_path / "spool.db"
    migrate(path, "spool")
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=2")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(SpoolNewer, match="newer version") as refused:
        prepare(path, "spool", 1)
    assert refused.value.exit_code is ExitCode.CONFIG
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_corrupt(tmp_path: Path) -> None:
    """Damage is told apart from a file that is missing."""
    path = tmp_path / "spool.db"
    path.write_bytes(b"this is no database" * 1000)
    with pytest.raises(SpoolCorrupt):
        prepare(path, "spool", 1)


def test_a_log_without_its_database_is_not_replayed_into_a_new_one(tmp_path: Path) -> None:
    """Deleted under an open connection, a database leaves its log behind."""
    path = tmp_path / "spool.db"
    prepare(path, "spool", 1)
    connection = open_writer(path)
    connection.execute("INSERT INTO state (key, value) VALUES ('of', 'the old file')")
    path.unlink()
    connection.close()
    assert (tmp_path / "spool.db-wal").exists()
    prepare(path, "spool", 1)
    connection = open_writer(path)
    found = connection.execute("SELECT * FROM state").fetchall()
    connection.close()
    assert found == []


def test_wrong_arguments_are_a_usage_error() -> None:
    """The command says what it expects, with status 64."""
    command = [sys.executable, "-m", "common.spool.migrate", "only-one"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == ExitCode.USAGE
    assert "Error: migrate: expected FILE" in done.stderr
    assert "Try: " in done.stderr


def test_the_writers_settings_are_the_measured_ones(tmp_path: Path) -> None:
    """WAL, FULL, no second write of deleted pages, a small checkpoint, 4 KiB pages."""
    path = tmp_path / "spool.db"
    migrate(path, "spool")
    connection = open_writer(path)
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "secure_delete": 0,
        "auto_vacuum": 0,
        "page_size": 4096,
        "wal_autocheckpoint": 400,
        "journal_size_limit": 4_194_304,
        "cache_size": -512,
        "busy_timeout": 5000,
    }
    found = {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in expected}
    schema = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    assert found == expected
    assert not any("AUTOINCREMENT" in sql.upper() for (sql,) in schema)
