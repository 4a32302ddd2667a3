"""Dead letters sent again through kills, lost answers and a lost channel: each row once."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from common.identity import Position
from shipper.backfill.courier import Ending
from shipper.backfill.jobs import Job
from shipper.backfill.requeue import choose
from shipper.protocol.limits import Limits
from tests.emulators.ingest.rows import NotNull
from tests.faults.poison.backfill import Requeue, Spoil
from tests.faults.poison.live import AFTERWARDS, AT_THE_DOOR, DOOR, LATE, Live
from tests.faults.poison.verdict import Broken

HISTORIES = 220
QUICK = 30
CONTROLS = 8
KILLS_MAX = 5
GOOD = "VALID"


def with_letters(seed: int = 0) -> Live:
    """A live history that left row and range letters, and a table that was mended since."""
    live, random = Live(Limits(batch_rows=6, interval_s=2.0), seed), Random(seed)
    live.store_rows(*[GOOD] * 6)
    live.until(live.home)
    for _ in range(4):
        live.store_rows(*random.choices((GOOD, DOOR, LATE), (6, 2, 1), k=8))
        live.until(live.home, 3600)
    live.store_rows(GOOD, DOOR, LATE)
    live.until(live.home, 3600)
    live.knobs.refuse_rules = live.knobs.row_rules = ()
    live.verdict()
    return live


def history(seed: int, directory: Path, spoil: Spoil | None = None) -> Requeue:
    """Requeue everything on a bad line, killed now and then; returns the end, judged.

    Raises:
        Broken: a row is lost, or doubled without the flag.
    """
    random = Random(seed)
    live = with_letters(seed)
    work = Requeue(live, directory, spoil)
    line = live.transport.line
    line.lost_request, line.lost_reply = random.choice(((0.0, 0.0), (0.05, 0.1), (0.1, 0.3)))
    real = work._command

    def command() -> Ending:
        live.mortality.calls_left = random.randint(5, 160)
        if work.kills >= KILLS_MAX:
            line.quiet()
            live.mortality.calls_left = None
        return real()

    work._command = command  # type: ignore[method-assign]
    assert work.run() is Ending.DONE
    live.mortality.calls_left = None
    tally = work.verdict()
    if tally.in_letters or work.letters():
        raise Broken(f"seed {seed}: letters are left")
    if live.model.tally.client_bugs:
        raise Broken(f"seed {seed}: {live.model.tally}")
    return work


@pytest.mark.parametrize(
    "seeds",
    [range(QUICK), pytest.param(range(QUICK, HISTORIES), marks=pytest.mark.heavy)],
    ids=["quick", "all"],
)
def test_every_letter_arrives_exactly_once_through_kills_and_lost_answers(
    tmp_path: Path, seeds: range
) -> None:
    """Nothing lost; row letters are there once unflagged, rows of ranges again with the flag."""
    kills = 0
    for seed in seeds:
        directory = tmp_path / str(seed)
        directory.mkdir()
        kills += history(seed, directory).kills
    assert kills > len(seeds)


def test_rows_of_a_range_are_flagged_and_rows_of_a_row_letter_are_not(tmp_path: Path) -> None:
    """On a good line: tombstone and row side by side, and of a range every row with the flag."""
    live = with_letters()
    letters = live.ledger.state.letters
    before = len(live.table())
    work = Requeue(live, tmp_path)
    assert work.run() is Ending.DONE
    sent = live.table()[before:]
    ranged = {s for x in letters if x.form == "range" for s in range(x.first_seq, x.last_seq + 1)}
    alone = {x.first_seq for x in letters if x.form == "row"}
    assert {row["seq"] for row in sent if not row["in_doubt"]} == alone
    assert {row["seq"] for row in sent if row["in_doubt"]} <= ranged
    assert {row["kind"] for row in sent} == {"sample"}


def test_a_channel_lost_in_the_middle_flags_what_may_be_there(tmp_path: Path) -> None:
    """Recreated while rows were exposed: the rest goes flagged, none is lost, none unflagged."""
    for calls in range(8, 60, 4):
        directory = tmp_path / str(calls)
        directory.mkdir()
        live = with_letters(3)
        work = Requeue(live, directory)
        live.mortality.calls_left = calls
        real = work._command
        lost: list[bool] = []

        def command(real: Any = real, work: Requeue = work, lost: list[bool] = lost) -> Ending:
            if work.kills and not lost:
                work.live.clock.now_s += 60
                work.live.model.advance(work.live.clock.now_s)
                lost.append(work.lose_channel())
            found: Ending = real()
            return found

        work._command = command  # type: ignore[method-assign]
        assert work.run() is Ending.DONE
        assert work.verdict().in_letters == 0
        assert work.letters() == []


def test_rows_refused_again_stay_with_their_number_and_the_new_reason(tmp_path: Path) -> None:
    """At the door: the others go; a row of a range that is refused becomes a letter of its own."""
    live = with_letters()
    live.knobs.refuse_rules = (AT_THE_DOOR,)
    before = {x.first_seq: x for x in live.ledger.state.letters if x.form == "row"}
    work = Requeue(live, tmp_path)
    assert work.run() is Ending.DONE
    after = {letter.first_seq: letter for letter in work.letters()}
    assert set(after) == set(before)
    assert all(letter.form == "row" for letter in after.values())
    assert all("not accepted" in letter.message for letter in after.values())
    work.verdict()


def test_rows_refused_again_afterwards_stay_as_ranges(tmp_path: Path) -> None:
    """By the counters: the batches they can lie in stay, the rest is in the table."""
    live = with_letters()
    live.knobs.row_rules = (AFTERWARDS,)
    work = Requeue(live, tmp_path)
    work.run()
    assert {letter.form for letter in work.letters()} == {"range"}
    assert {letter.reason for letter in work.letters()} == {"rejected"}
    work.verdict()


def test_rows_that_vanish_on_the_way_stay_letters(tmp_path: Path) -> None:
    """A pipe that filters them: nobody counts them, so their batches stay, and the rest goes on."""
    live = with_letters()
    live.pipe.vanishing = DOOR
    work = Requeue(live, tmp_path)
    assert work.run() is Ending.DONE
    assert {(letter.form, letter.reason) for letter in work.letters()} == {("range", "imbalance")}
    work.verdict()


def test_a_damaged_letter_is_said_skipped_and_kept(tmp_path: Path) -> None:
    """Its stored gzip cannot be read: the others go, it stays."""
    live = with_letters()
    work = Requeue(live, tmp_path)
    with work.ledger.dead_letters._transaction("damage") as connection:
        connection.execute("UPDATE dead_letters SET payload = x'1f8b00' WHERE id = 1")
    chosen = choose(work.ledger, live.spool, None)
    assert chosen.skipped == ((1, "its rows are damaged in ship.db"),)
    assert work.run() is Ending.DONE
    assert [letter.id for letter in work.letters()] == [1]


def test_a_table_that_still_refuses_everything_ends_the_command(tmp_path: Path) -> None:
    """After acceptance: a few batches, and then an end; all rows are letters as before."""
    live = with_letters()
    live.knobs.row_rules = (NotNull("no_such_column"),)
    work = Requeue(live, tmp_path)
    assert work.run() is Ending.TABLE_AT_FAULT
    work.verdict()
    live.knobs.row_rules = ()
    assert work.run() is Ending.DONE
    work.verdict()


def test_a_letter_that_the_live_stream_is_not_past_is_not_sent(tmp_path: Path) -> None:
    """Its tombstone is not acknowledged: without the letter the row would go twice."""
    live = Live(Limits(batch_rows=2, interval_s=1.0))
    live.store_rows(GOOD, DOOR, GOOD)
    live.until(lambda: len(live.ledger.state.letters) == 1)
    assert (live.acknowledged() or Position(0, 0)) < Position(1, 2)
    work = Requeue(live, tmp_path)
    chosen = choose(work.ledger, live.spool, None)
    assert chosen.letters == ()
    assert "not past its row" in chosen.skipped[0][1]


def test_a_foreign_token_on_the_channel_moves_the_job_to_the_next_number(tmp_path: Path) -> None:
    """ship.db was lost and the numbers begin anew: another job's channel is left alone."""
    live = with_letters()
    before = len(live.table())
    (tmp_path / "first").mkdir()
    assert Requeue(live, tmp_path / "first").run() is Ending.DONE
    sent = len(live.table()) - before
    (tmp_path / "second").mkdir()
    again = Requeue(live, tmp_path / "second")
    assert again.run() is Ending.DONE
    assert [job.n for job in again.ledger.jobs.of("requeue")] == [2]
    assert len(live.table()) == before + 2 * sent


def drop_first(work: Requeue) -> None:
    """The letters go when the job begins, not when it ends."""
    jobs: Any = work.ledger.jobs
    real = jobs.refused

    def refused(job: Job) -> Any:
        letters: Any = work.ledger.dead_letters
        found = jobs.letter_at(job, 1)
        if found is not None:
            letters.drop(found[0])
        return real(job)

    jobs.refused = refused


def new_job_each_time(work: Requeue) -> None:
    """A killed job is forgotten, and its letters are sent by another one, on another channel."""
    jobs: Any = work.ledger.jobs
    with jobs._transaction("forget") as connection:
        connection.execute("DELETE FROM backfill_letters")
        connection.execute("UPDATE backfills SET finished_at = 1")


@pytest.mark.parametrize("spoil", [drop_first, new_job_each_time])
def test_histories_of_requeueing_find_each_mistake(tmp_path: Path, spoil: Spoil) -> None:
    """The negative control: letters dropped too early, a job that is begun anew."""
    found = 0
    for seed in range(CONTROLS):
        directory = tmp_path / str(seed)
        directory.mkdir()
        try:
            history(seed, directory, spoil)
        except Broken:
            found += 1
    assert found > 0
