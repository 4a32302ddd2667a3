"""Files put back from a copy: what had left stays once, what is still there arrives, told is told.

Every history is the same: ten rows home (the early image), six more home (the middle image), four
under way, two that never left. Then something is put back, and ten more rows are taken.
"""

from dataclasses import dataclass

import pytest

from tests.faults.identity.cloud import Cloud
from tests.faults.identity.image import BOTH, SHIP, SPOOL, Image
from tests.faults.identity.machine import Machine
from tests.faults.identity.verdict import Verdict

pytestmark = pytest.mark.heavy

HOME, LATER, UNDER_WAY, UNSENT, AFTER = 10, 6, 4, 2, 10
STORED = HOME + LATER + UNDER_WAY + UNSENT
AGES = ("early", "middle")
STOPPED = ("stopped, new files", "stopped, same inodes")
RUNNING = ("running, new files", "running, same inodes")


@dataclass(slots=True)
class History:
    """One device up to the moment when something is put back; ``images`` by age."""

    cloud: Cloud
    machine: Machine
    images: dict[str, Image]

    def put_back(self, how: str, age: str, databases: tuple[str, ...]) -> None:
        """Put databases back, in one of the ways."""
        machine, in_place = self.machine, how.endswith("same inodes")
        if how in STOPPED:
            machine.stop()
            machine.restore(self.images[age], databases, in_place=in_place)
            machine.start()
        elif how in RUNNING:
            machine.restore(self.images[age], databases, in_place=in_place)
        else:
            machine.roll_back(self.images[age], databases)
            machine.start()

    def verdict(self) -> Verdict:
        """Ten more rows, and everything home."""
        self.machine.take(AFTER // 2)
        self.cloud.run(20)
        self.machine.take(AFTER // 2)
        self.cloud.drain()
        assert self.cloud.model.tally.client_bugs == 0
        return self.cloud.verdict()


@pytest.fixture
def history(cloud: Cloud) -> History:
    """See the module."""
    machine = cloud.machine("a").start()
    machine.take(HOME)
    cloud.drain()
    images = {"early": machine.image()}
    machine.take(LATER)
    cloud.drain()
    images["middle"] = machine.image()
    machine.take(UNDER_WAY)
    cloud.run(3)
    machine.take(UNSENT)
    return History(cloud, machine, images)


@pytest.mark.parametrize("how", STOPPED)
@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("databases", [BOTH, (SPOOL,)])
def test_a_spool_put_back_while_stopped(
    history: History, how: str, age: str, databases: tuple[str, ...]
) -> None:
    """Older than acknowledged or than exposed: a new epoch; the rows that are gone are named."""
    history.put_back(how, age, databases)
    verdict = history.verdict()
    assert verdict.broken == {}
    assert len(verdict.gone) == UNSENT
    assert verdict.untold == ()
    back = HOME if age == "early" else HOME + LATER
    assert verdict.gaps == {"lost_by_cut": STORED - back}
    assert verdict.events == {"tail_lost": 1}
    assert (verdict.flagged, verdict.copies) == (0, 0)


@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("databases", [BOTH, (SPOOL,)])
def test_a_spool_put_back_with_a_reboot(
    history: History, age: str, databases: tuple[str, ...]
) -> None:
    """No file knows of the rows that never left: they alone are unnamed, but the event tells.

    What ``ship.db`` still knows as exposed is named by a gap row.
    """
    history.put_back("reboot", age, databases)
    verdict = history.verdict()
    assert verdict.broken == {}
    assert len(verdict.gone) == len(verdict.untold) == UNSENT
    back = HOME if age == "early" else HOME + LATER
    named = STORED - UNSENT - back if databases == (SPOOL,) else 0
    assert verdict.gaps == ({"lost_by_cut": named} if named else {})
    assert verdict.events == {"tail_lost": 1}
    assert (verdict.flagged, verdict.copies) == (0, 0)


@pytest.mark.parametrize("how", RUNNING)
@pytest.mark.parametrize("age", AGES)
@pytest.mark.parametrize("databases", [BOTH, (SPOOL,)])
def test_a_spool_put_back_under_the_running_services(
    history: History, how: str, age: str, databases: tuple[str, ...]
) -> None:
    """The open file still has every row: they are rescued, and nothing at all is gone."""
    history.put_back(how, age, databases)
    verdict = history.verdict()
    assert verdict.broken == {}
    assert verdict.gone == ()
    assert (verdict.flagged, verdict.copies) == (0, 0)
    assert "spool_taken_away" in history.machine.told
    assert verdict.gaps == {"seq_jump": 1_000_000}


@pytest.mark.parametrize("how", [*STOPPED, *RUNNING, "reboot"])
@pytest.mark.parametrize("age", AGES)
def test_a_ship_file_put_back_alone(history: History, how: str, age: str) -> None:
    """The server's token is newer than the file: it wins, and nothing is sent again."""
    history.put_back(how, age, (SHIP,))
    verdict = history.verdict()
    assert verdict.broken == {}
    assert verdict.arrived == STORED + AFTER
    assert (verdict.gone, verdict.flagged, verdict.copies) == ((), 0, 0)


@pytest.mark.parametrize("how", [*STOPPED, "reboot"])
@pytest.mark.parametrize("older", BOTH)
def test_both_files_put_back_to_different_points(history: History, how: str, older: str) -> None:
    """Each file alone may lie; together with the server's token nothing is skipped or doubled."""
    mixed = {
        name: data
        for age in AGES
        for name, data in history.images[age].files.items()
        if name.startswith(older) == (age == "early")
    }
    history.images["mixed"] = Image(mixed)
    history.put_back(how, "mixed", BOTH)
    verdict = history.verdict()
    assert verdict.broken == {}
    assert len(verdict.gone) == UNSENT
    assert (verdict.flagged, verdict.copies) == (0, 0)
    assert verdict.events == {"tail_lost": 1}


@pytest.mark.parametrize("reboot", [False, True])
@pytest.mark.parametrize("wal", ["deleted", "foreign"])
@pytest.mark.parametrize("database", BOTH)
def test_a_write_ahead_log_deleted_or_foreign(
    history: History, database: str, wal: str, reboot: bool
) -> None:
    """A database without its log, or beside that of another device, is one that was put back."""
    other = history.cloud.machine("other").start()
    other.take(7)
    history.cloud.run(5)
    stranger = other.image().files[f"{database}-wal"]
    machine, log = history.machine, f"{database}-wal"
    machine.kill()
    if reboot:
        machine.power_cycle()
    now = machine.image()
    assert now.files[log], "a log with the newest rows"
    left = now.without(log) if wal == "deleted" else now.named(log, stranger)
    machine.restore(left, (database,), in_place=True)
    machine.start()
    verdict = history.verdict()
    assert verdict.broken == {}
    assert verdict.copies == 0


def test_a_live_database_overwritten_beside_its_log(history: History) -> None:
    """``cp`` over the open file, the log left alone: no row that left is doubled, none skipped."""
    machine = history.machine
    old = history.images["early"].files[SPOOL]
    now = machine.image()
    machine.restore(now.named(SPOOL, old), (SPOOL,), in_place=True)
    verdict = history.verdict()
    assert verdict.broken == {}
    assert verdict.gone == ()


def test_a_directory_that_forgets_at_every_boot(history: History) -> None:
    """An overlay root, or an A/B update that is rolled back: each boot begins with one image."""
    for _ in range(6):
        history.put_back("reboot", "middle", BOTH)
        history.machine.take(5)
        history.cloud.drain()
    verdict = history.verdict()
    assert verdict.broken == {}
    assert len(verdict.gone) == UNSENT
    assert (verdict.flagged, verdict.copies) == (0, 0)
    assert sum(verdict.events.values()) >= 1
    assert set(verdict.events) <= {"tail_lost", "boots_lost"}
