"""Jobs in ship.db: made in an older file, numbered, durable, and closed all at once."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from common.database import SpoolNewer
from common.identity import Hardware, Install
from common.ship_state import SHIP_VERSION, read_ship_state
from common.spool import migrate as migration
from common.spool.migrate import migrate
from common.spool.prepare import prepare, version_of
from shipper.backfill.job_ledger import by_key
from shipper.backfill.jobs import Kept
from shipper.backfill.letter_source import LetterSource, usable
from shipper.dead_letters import DeadLetter
from shipper.ledger import Ledger
from tests.tools.spools import opened, prepare_quickly

INSTALL = Install("A1" * 8, Hardware("board", "card"))
EPOCH = "ee" * 8


def line(seq: int, epoch: str = EPOCH) -> bytes:
    """One row as it goes on the wire."""
    return b'{"install_id":"A1","epoch":"%s","seq":%d,"in_doubt":false}\n' % (epoch.encode(), seq)


def letter(first: int, last: int, payload: bytes | None = None) -> DeadLetter:
    """A row or a range, with its lines."""
    lines = b"".join(line(seq) for seq in range(first, last + 1)) if payload is None else payload
    form = "row" if first == last else "range"
    return DeadLetter(form, EPOCH, first, last, "content", "no", lines, 5)  # type: ignore[arg-type]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A settled ledger."""
    made = opened(Ledger(tmp_path, prepared=prepare_quickly))
    made.settle(INSTALL, 0)
    return made


def test_a_file_of_version_1_gets_the_tables_and_keeps_its_letters(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The update in place: in one transaction, by the child process as at a start."""
    path = tmp_path / "ship.db"
    with monkeypatch.context() as older:
        older.setattr(migration, "STEPS", {"ship": migration.STEPS["ship"][:1]})
        migrate(path, "ship")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO install VALUES (1, ?, 'board', 'card')", ("A1" * 8,))
        connection.execute(
            "INSERT INTO dead_letters (form, epoch, first_seq, last_seq, reason, message, payload, "
            "created_at) VALUES ('row', ?, 7, 7, 'content', 'no', NULL, 5)", (EPOCH,)
        )
        connection.commit()
    assert version_of(path, SHIP_VERSION) == 1
    state = read_ship_state(tmp_path)
    assert state is not None
    assert state.install_id == "A1" * 8
    with Ledger(tmp_path) as ledger:
        assert [x.first_seq for x in ledger.dead_letters.list()] == [7]
        assert ledger.jobs.unfinished("requeue") == ()
    assert version_of(path, SHIP_VERSION) == 2


def test_a_program_of_version_1_refuses_the_newer_file(tmp_path: Path) -> None:
    """As today: it says so, and does not touch it."""
    path = tmp_path / "ship.db"
    migrate(path, "ship")
    before = path.read_bytes()
    with pytest.raises(SpoolNewer):
        prepare(path, "ship", 1)
    assert path.read_bytes() == before


def test_places_run_over_letters_and_ranges_are_flagged(ledger: Ledger) -> None:
    """One letter behind the other; a row letter goes as it is."""
    first, second = (ledger.add_dead_letter(x) for x in (letter(7, 7), letter(10, 12)))
    job = ledger.jobs.create_for_letters([(first, 1), (second, 3)], [], 0)
    assert (job.n, job.first, job.last) == (1, 1, 4)
    found = LetterSource(ledger.jobs, ledger.dead_letters, job).lines(1, 4)
    assert [x.place for x in found] == [1, 2, 3, 4]
    assert [b'"in_doubt":true' in x.text for x in found] == [False, True, True, True]
    assert ledger.jobs.taken() == {first, second}


def test_finishing_drops_and_keeps_in_one(ledger: Ledger) -> None:
    """What was refused again keeps its number with the new reason; the rest goes."""
    numbers = [ledger.add_dead_letter(x) for x in (letter(7, 7), letter(8, 8), letter(10, 12))]
    job = ledger.jobs.create_for_letters([(n, 1) for n in numbers[:2]] + [(numbers[2], 3)], [], 0)
    again = DeadLetter("row", EPOCH, 8, 8, "content", "still no", line(8), 9)
    new = DeadLetter("row", EPOCH, 11, 11, "content", "nor this", line(11), 9)
    ledger.jobs.advance(job, {"exposed_seq": 5}, [Kept(2, again), Kept(4, new)])
    assert list(ledger.jobs.refused(job)) == [2, 4]
    assert ledger.jobs.finish(job, 10) == (2, 2)
    left = ledger.dead_letters.list()
    assert [(x.id, x.first_seq, x.message) for x in left] == [
        (numbers[1], 8, "still no"), (left[1].id, 11, "nor this"),
    ]
    assert ledger.jobs.taken() == frozenset()
    assert ledger.jobs.unfinished("requeue") == ()
    assert ledger.jobs.create("aside", 1, 9, 0).n == 2


def test_a_kept_range_never_hides_rows_that_are_there(ledger: Ledger) -> None:
    """A letter of the same key that is not of the job keeps its rows beside the new ones."""
    live = ledger.add_dead_letter(letter(10, 12, line(10) + line(12)))
    number = ledger.add_dead_letter(letter(20, 20))
    job = ledger.jobs.create_for_letters([(number, 1)], [], 0)
    ledger.jobs.advance(job, {}, [Kept(0, letter(10, 12, line(11)))])
    ledger.jobs.finish(job, 1)
    kept = ledger.dead_letters.find(live)
    assert kept is not None
    assert {*kept.payload.splitlines(True)} == {line(10), line(11), line(12)}


def test_letters_that_cannot_be_sent_are_told_apart() -> None:
    """Damaged, as found in the spool, or with one such row among good ones."""
    assert usable(letter(7, 7, b"")).problem == "its rows are damaged in ship.db"
    raw = b'["%s",11,123,null]\n' % EPOCH.encode()
    assert "no row that can be sent" in usable(letter(11, 11, raw)).problem
    mixed = usable(letter(10, 12, line(10) + raw + line(12)))
    assert (mixed.rows, mixed.sendable, mixed.problem) == (3, 2, "")
    assert [kept.letter.first_seq for kept in mixed.unsent] == [11]
    assert usable(letter(10, 12, line(10) + b"garbage\n")).problem == "a line of it cannot be read"
    assert usable(letter(10, 12, line(99))).problem != ""


def test_a_range_over_places_becomes_ranges_over_keys() -> None:
    """Rows of several letters that were sent side by side: no letter names a row it lacks."""
    payload = line(3) + line(4) + line(9) + line(1, "dd" * 8)
    parts = list(by_key(DeadLetter("range", "job", 1, 4, "rejected", "no", payload, 5), "range"))
    assert [(x.epoch[:2], x.first_seq, x.last_seq) for x in parts] == [
        ("ee", 3, 4), ("ee", 9, 9), ("dd", 1, 1),
    ]
    assert b"".join(x.payload for x in parts) == payload
