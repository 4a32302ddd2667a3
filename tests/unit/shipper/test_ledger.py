"""ship.db: durable before it counts, one install, events coalesced (rules 3, 7, 15, 21)."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from common.database import SpoolNewer
from common.errors import SpoolError
from common.identity import Hardware, Install
from common.ship_state import Acknowledgement, Mark, ShipStateUnreadable, read_ship_state
from shipper.dead_letters import DeadLetter
from shipper.ledger import Ledger, Settling
from shipper.progress import Progress
from tests.tools.spools import opened, prepare_quickly

INSTALL = Install("A1" * 8, Hardware("board", "card"))
EPOCH = "ee" * 8
DAY_NS = 86_400 * 10**9


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A settled ledger."""
    made = opened(Ledger(tmp_path, prepared=prepare_quickly))
    made.settle(INSTALL, DAY_NS)
    return made


def _letter(first: int, last: int) -> DeadLetter:
    return DeadLetter("range", EPOCH, first, last, "held", "2 rows refused", b'{"seq":1}\n', 5)


def test_a_new_ledger_knows_nothing(tmp_path: Path) -> None:
    """Nothing acknowledged, nothing exposed, baselines 0; it says that it is new."""
    made = opened(Ledger(tmp_path, prepared=prepare_quickly))
    assert made.install() is None
    assert made.settle(INSTALL, 0) is Settling.CREATED
    assert made.settle(INSTALL, 0) is Settling.CONTINUED
    assert made.progress() == Progress()
    assert made.install() == INSTALL


def test_progress_survives_a_kill(ledger: Ledger, tmp_path: Path) -> None:
    """What a call returned from is read by the next process, without any closing."""
    ledger.retarget("target", 1234, Mark(EPOCH, 9), rows_inserted=3, rows_error=1)
    ledger.expose(EPOCH, 20)
    acknowledgement = Acknowledgement("token", EPOCH, 12)
    ledger.acknowledge(acknowledgement, rows_inserted=14, rows_error=2, in_doubt=Mark(EPOCH, 9))
    again = opened(Ledger(tmp_path, prepared=prepare_quickly)).progress()
    expected = Progress("target", 1234, acknowledgement, Mark(EPOCH, 20), 14, 2, Mark(EPOCH, 9))
    assert again == expected


def test_exposed_never_falls_within_an_epoch(ledger: Ledger) -> None:
    """A batch sent again does not take back what left; a new epoch replaces it."""
    ledger.expose(EPOCH, 20)
    ledger.expose(EPOCH, 10)
    assert ledger.progress().exposed == Mark(EPOCH, 20)
    ledger.expose("ff" * 8, 3)
    assert ledger.progress().exposed == Mark("ff" * 8, 3)


def test_rule_15_held_ranges_are_stored_with_the_acknowledgement_or_not_at_all(
    ledger: Ledger, tmp_path: Path
) -> None:
    """No moment exists in which the rows may be trimmed and their dead letter is missing."""
    bad = replace(_letter(5, 6), message=None)  # type: ignore[arg-type]
    with pytest.raises(SpoolError):
        ledger.acknowledge(
            Acknowledgement("t", EPOCH, 6),
            rows_inserted=4,
            rows_error=2,
            held=[_letter(1, 4), bad],
        )
    assert ledger.progress().acknowledged is None
    assert ledger.dead_letters.count() == 0
    ledger.acknowledge(
        Acknowledgement("t", EPOCH, 6), rows_inserted=4, rows_error=2, held=[_letter(1, 4)]
    )
    assert ledger.dead_letters.count() == 1
    ship = read_ship_state(tmp_path)
    assert ship is not None
    assert ship.acknowledged == Acknowledgement("t", EPOCH, 6)


def test_dead_letters_are_kept_once_with_their_lines(ledger: Ledger) -> None:
    """The same rows twice are one letter; the payload comes back as it was given."""
    first = ledger.add_dead_letter(_letter(1, 4))
    assert ledger.add_dead_letter(_letter(1, 4)) == first
    second = ledger.add_dead_letter(_letter(5, 8))
    letters = ledger.dead_letters.list()
    assert [letter.id for letter in letters] == [first, second]
    assert letters[0].payload == b'{"seq":1}\n'
    assert ledger.dead_letters.list(after=first, limit=1) == [letters[1]]
    assert ledger.dead_letters.drop(first)
    assert not ledger.dead_letters.drop(first)


def test_rule_03_a_ship_db_of_another_install_is_set_aside(ledger: Ledger, tmp_path: Path) -> None:
    """Acknowledgements of another install must not license anything here."""
    ledger.expose(EPOCH, 20)
    other = Install("B2" * 8, Hardware("board", "card-2"))
    assert ledger.settle(other, DAY_NS) is Settling.SET_ASIDE
    assert ledger.progress() == Progress()
    aside = list((tmp_path / "aside").glob("19700102T000000Z-ship-foreign/ship.db"))
    assert len(aside) == 1
    kept = sqlite3.connect(aside[0])
    assert kept.execute("SELECT exposed_seq FROM progress").fetchone() == (20,)
    kept.close()


def test_a_moved_card_keeps_its_ledger(ledger: Ledger) -> None:
    """Same install on another board: the serials are taken over, the progress stays."""
    ledger.expose(EPOCH, 20)
    moved = Install(INSTALL.install_id, Hardware("board-2", "card"))
    assert ledger.settle(moved, 0) is Settling.CONTINUED
    assert ledger.install() == moved
    assert ledger.progress().exposed == Mark(EPOCH, 20)


def test_a_damaged_ship_db_is_set_aside_and_made_anew(tmp_path: Path) -> None:
    """The server is asked at the next open; a damaged file must not stop shipping."""
    (tmp_path / "ship.db").write_bytes(b"no database" * 500)
    with pytest.raises(ShipStateUnreadable):
        read_ship_state(tmp_path)
    made = opened(Ledger(tmp_path, prepared=prepare_quickly))
    assert made.settle(INSTALL, 0) is Settling.CREATED
    assert read_ship_state(tmp_path) is not None


def test_a_newer_ship_db_is_refused(tmp_path: Path) -> None:
    """A downgraded shipper leaves the file alone; the collector takes it for unreadable."""
    opened(Ledger(tmp_path)).settle(INSTALL, 0)
    connection = sqlite3.connect(tmp_path / "ship.db")
    connection.execute("PRAGMA user_version=9")
    connection.close()
    with pytest.raises(SpoolNewer):
        opened(Ledger(tmp_path)).settle(INSTALL, 0)
    with pytest.raises(ShipStateUnreadable, match="version 9"):
        read_ship_state(tmp_path)


def test_no_file_and_no_tables_are_no_state(tmp_path: Path) -> None:
    """Before the shipper's first start there is nothing to be afraid of."""
    assert read_ship_state(tmp_path) is None
    (tmp_path / "ship.db").touch()
    assert read_ship_state(tmp_path) is None


def test_rule_21_the_first_of_a_day_is_told_at_once_the_rest_once_more(ledger: Ledger) -> None:
    """1441 throttlings of one day are two events; the next day's first is told at once again."""
    for minute in range(1_440):
        ledger.add_event("throttled", f'{{"minute":{minute}}}', DAY_NS + minute * 60 * 10**9)
    assert [(e.kind, e.count) for e in ledger.events.closed()] == [("throttled", 1)]
    ledger.close_events(2 * DAY_NS)
    assert sorted(e.count for e in ledger.events.closed()) == [1, 1_439]
    assert len({e.id for e in ledger.events.closed()}) == 2
    ledger.add_event("throttled", "{}", 2 * DAY_NS + 5)
    assert [e.count for e in ledger.events.closed()].count(1) == 2


def test_rule_21_dropping_the_first_does_not_tell_a_second_one_at_once(ledger: Ledger) -> None:
    """The first event's row may be committed within seconds; the day still gets no second first."""
    ledger.add_event("throttled", "{}", DAY_NS)
    ledger.drop_copied_events([e.id for e in ledger.events.closed()])
    ledger.add_event("throttled", "{}", DAY_NS + 1)
    assert ledger.events.closed() == ()


def test_requests_are_asked_once_and_seen_by_the_collector(ledger: Ledger, tmp_path: Path) -> None:
    """Asking twice keeps the first; dropping it ends it."""
    name = ledger.request("new_epoch", "R3")
    assert ledger.request("new_epoch", "again") == name
    ship = read_ship_state(tmp_path)
    assert ship is not None
    assert [(r.id, r.kind, r.reason) for r in ship.requests] == [(name, "new_epoch", "R3")]
    ledger.drop_requests([name])
    assert ledger.requests() == ()


def test_a_deleted_ship_db_is_noticed(ledger: Ledger, tmp_path: Path) -> None:
    """A write into a file that is gone is an error, not a success; the next call makes it anew."""
    ledger.expose(EPOCH, 1)
    (tmp_path / "ship.db").unlink()
    with pytest.raises(SpoolError, match="deleted"):
        ledger.expose(EPOCH, 2)
    ledger.settle(INSTALL, 0)
    ledger.expose(EPOCH, 2)
    ship = read_ship_state(tmp_path)
    assert ship is not None
    assert ship.exposed == Mark(EPOCH, 2)


def test_a_failing_transaction_leaves_nothing_half_done(ledger: Ledger) -> None:
    """An exception in the middle rolls back, and the ledger goes on."""

    class Stopped(Exception):
        """Ours."""

    def stop_midway() -> None:
        with ledger._file.transaction("test") as connection:
            connection.execute("INSERT INTO requests (id, kind, reason) VALUES ('x', 'y', 'z')")
            raise Stopped

    with pytest.raises(Stopped):
        stop_midway()
    assert ledger.requests() == ()
