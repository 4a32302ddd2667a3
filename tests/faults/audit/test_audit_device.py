"""The device's audit over real files: clean after a real life, and every planted fault is named."""

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from collector.gaps import Gap, GapReason
from collector.spool.thinning import thin
from collector.spool.upkeep import Upkeep
from common.errors import SpoolError
from common.ship_progress import seal_progress
from common.ship_state import SHIP_FILE
from shipper.audit.facts import Facts
from shipper.audit.finding import Level
from shipper.audit.judge import Audit, judge
from shipper.audit.ship import read_ship
from shipper.audit.spool import SpoolMoved, read_spool
from shipper.audit.text import text
from tests.faults.audit.history import History
from tests.tools.spools import sample

RETAINED: Final = 100_000
MORE_COUNTED: Final = """detail = replace(detail, '"count":', '"count":1')"""


def look(directory: Path, advance: Callable[[int], None] = lambda rows: None) -> Audit:
    """An audit of the files alone."""
    spool = read_spool(directory, lambda: read_ship(directory), advance)
    return judge(Facts(spool, read_ship(directory)))


def unexplained(found: Audit) -> list[str]:
    """The codes of what somebody must look at."""
    return [f.code for f in found.findings if f.level is Level.UNEXPLAINED]


def codes(found: Audit) -> dict[str, str]:
    """Level by code."""
    return {finding.code: finding.level.value for finding in found.findings}


@pytest.fixture(scope="module")
def backlog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spool with everything in it: 110 acknowledged rows, 2,000 thinned ones, a fresh backlog."""
    life = History(tmp_path_factory.mktemp("backlog"), retain_rows=RETAINED)
    life.take(60)
    life.ship()
    life.reboot()
    life.poisoned()
    life.take(20)
    life.take_bad()
    life.take(29)
    life.ship()
    life.take(2000)
    assert thin(life.collector, life.acknowledged(), 20) is not None
    life.tell(Gap(GapReason.MISSED_TICKS, 2))
    life.take(100)
    life.stop()
    return life.device.directory


@pytest.fixture
def files(backlog: Path, tmp_path: Path) -> Path:
    """A copy to be spoiled."""
    return Path(shutil.copytree(backlog, tmp_path / "spool"))


def spoil(directory: Path, sql: str, file: str = "spool.db") -> None:
    """Change a file by hand, as no service ever does."""
    with closing(sqlite3.connect(directory / file)) as connection:
        assert connection.execute(sql).rowcount > 0
        if file == SHIP_FILE:
            seal_progress(connection)
        connection.commit()


def test_a_whole_life_leaves_nothing_unexplained(life: History) -> None:
    """After roll-backs, quarantine and loss of the spool all that is trimmed is left to the SQL."""
    found = look(life.device.directory)
    assert unexplained(found) == []
    assert codes(found)["spool.conservation"] == "ok"
    assert codes(found)["ship.letters_row"] == codes(found)["ship.letters_range"] == "explained"
    assert codes(found)["spool.aside"] == "explained"
    assert codes(found)["spool.trimmed"] == "audit.sql"


def test_a_backlog_is_accounted_for_number_by_number(files: Path) -> None:
    """Acknowledged, waiting and told by gap rows add up to all that was ever given."""
    found = look(files)
    assert unexplained(found) == []
    assert codes(found)["spool.backlog"] == "waiting"
    spool = found.facts.spool
    assert sum(e.acknowledged for e in spool.epochs) == 110
    told = sum(sum(epoch.told.values()) for epoch in spool.epochs)
    assert told == spool.gap_rows[0].count > 500
    assert sum(e.waiting for e in spool.epochs) == 2000 - told + 1 + 1 + 100
    assert sum(e.given.size for e in spool.epochs) == spool.rows + told
    assert [e.balance for e in spool.epochs] == [0, 0]
    shown = text(found)
    assert all(len(line) <= 100 for line in shown.splitlines())
    assert shown.splitlines()[-1].startswith("nothing unexplained (")


@pytest.mark.parametrize(
    ("sql", "file", "code"),
    [
        ("DELETE FROM readings WHERE seq BETWEEN 2150 AND 2155", "spool.db", "spool.missing"),
        ("DELETE FROM readings WHERE seq = 200", "spool.db", "spool.gap_hides"),
        ("DELETE FROM readings WHERE kind = 'gap' AND detail LIKE '%thinned%'", "spool.db",
         "spool.missing"),
        (f"UPDATE readings SET {MORE_COUNTED} WHERE detail LIKE '%thinned%'", "spool.db",
         "spool.gap_wrong"),
        ("UPDATE readings SET scd4x_co2_ppm = scd4x_co2_ppm + 1 WHERE seq = 2180", "spool.db",
         "spool.corrupt"),
        ("UPDATE dead_letters SET payload = x'1f8b'", "ship.db", "ship.letter_unreadable"),
        ("UPDATE install SET install_id = 'FEDCBA9876543210'", "ship.db", "ship.foreign"),
        ("UPDATE progress SET acknowledged_epoch = 'ffffffffffffffff'", "ship.db",
         "ship.acknowledged_elsewhere"),
    ],
)
def test_each_planted_fault_is_named(files: Path, sql: str, file: str, code: str) -> None:
    """Rows, gap rows, values, letters and places changed behind the services' back."""
    spoil(files, sql, file)
    assert code in unexplained(look(files))


def test_rows_that_are_gone_from_the_old_end_without_a_licence_are_named(files: Path) -> None:
    """Only acknowledged rows may leave there: 40 beyond are missing, by their numbers."""
    spoil(files, "DELETE FROM readings WHERE kind = 'gap' AND detail LIKE '%thinned%'")
    spoil(files, "DELETE FROM readings WHERE seq <= 150")
    found = look(files)
    assert "spool.missing" in unexplained(found)
    assert found.facts.spool.vanished.shown[0].first == 111


def test_acknowledged_rows_that_vanish_are_left_to_the_table(files: Path) -> None:
    """They have arrived: only the table can show them, and nothing is lost."""
    spoil(files, "DELETE FROM readings WHERE seq BETWEEN 30 AND 33")
    found = look(files)
    assert unexplained(found) == []
    assert codes(found)["spool.missing_acknowledged"] == "audit.sql"


def test_a_flipped_bit_in_an_acknowledged_row_is_explained(files: Path) -> None:
    """It arrived before it rotted."""
    spoil(files, "UPDATE readings SET scd4x_co2_ppm = 1 WHERE seq = 30")
    found = look(files)
    assert unexplained(found) == []
    assert codes(found)["spool.checksums"] == "explained"


def test_a_lost_ship_file_is_named_once_rows_were_trimmed(files: Path) -> None:
    """Without it nobody on the device knows what was acknowledged, or what was refused."""
    spoil(files, "INSERT INTO trimmed (id, token, epoch, seq) "
                 "SELECT 1, NULL, epoch, 60 FROM epochs WHERE ord = 1")
    for path in files.glob("ship.db*"):
        path.unlink()
    assert unexplained(look(files)) == ["ship.lost"]


def test_a_drop_reaches_back_to_what_its_gap_rows_told(tmp_path: Path) -> None:
    """A gap row may tell of numbers before the stretch that is dropped: they stay explained."""
    life = History(tmp_path)
    life.take(30)
    life.ship()
    life.stop()
    for path in life.device.directory.glob("spool.db*"):
        path.unlink()
    life.take(3000)
    life.drop()
    life.stop()
    found = look(life.device.directory)
    assert unexplained(found) == []
    (told,) = found.facts.spool.gap_rows
    assert (told.told.first, told.reason) == (31, "dropped")
    assert told.count == told.told.size, "the jump, the dropped rows, and the gap row itself"


def test_a_damaged_spool_is_an_error_not_a_finding(files: Path) -> None:
    """What cannot be read cannot be audited: status 74 and a remedy."""
    path = files / "spool.db"
    data = bytearray(path.read_bytes())
    for page in range(8, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xa5" * 64
    path.write_bytes(data)
    with pytest.raises(SpoolError) as caught:
        look(files)
    assert caught.value.exit_code == 74
    assert caught.value.hint


def test_it_reads_beside_a_collector_that_stores_trims_and_thins(tmp_path: Path) -> None:
    """Rows that are trimmed or thinned while the audit reads are no holes."""
    life = History(tmp_path)
    life.take(3000)
    life.ship(upkeep=False)
    life.take(9000)
    busy: list[int] = []

    def advance(rows: int) -> None:
        busy.append(rows)
        if len(busy) == 1:
            Upkeep(life.collector).run()
            life.append([sample(0)])
        elif len(busy) == 2:
            thin(life.collector, life.acknowledged(), 40)

    found = look(life.device.directory, advance)
    life.stop()
    assert unexplained(found) == []
    assert len(busy) > 12, "thinned meanwhile: all was read again"
    assert codes(found)["spool.conservation"] == "ok"


def test_a_spool_that_becomes_another_meanwhile_is_no_finding(tmp_path: Path) -> None:
    """The file is exchanged under the audit: run it again, status 75."""
    life = History(tmp_path / "one")
    life.take(2500)
    life.stop()
    other = History(tmp_path / "two")
    other.device.random.seed(99)
    other.take(3000)
    other.stop()

    def exchange(rows: int) -> None:
        if rows <= 1000:
            (other.device.directory / "spool.db").replace(life.device.directory / "spool.db")

    with pytest.raises(SpoolMoved) as caught:
        look(life.device.directory, exchange)
    assert caught.value.exit_code == 75
