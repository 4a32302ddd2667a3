"""Rules 14 to 16 of the design, each with the history that it was found by."""

import json
from dataclasses import replace

from common.identity import Position
from common.spool.row import INDEX
from shipper.protocol.limits import Limits
from shipper.protocol.requests import Operation
from tests.emulators.ingest.rows import NotNull, Poison
from tests.model.rig import SMALL, Options, Rig

APPEND, STATUS = Operation.APPEND, Operation.STATUS


def seqs(rig: Rig) -> list[int]:
    """Seqs of the table's rows, in order."""
    return [json.loads(text)["seq"] for text in rig.committed]


def kinds(rig: Rig) -> dict[int, str]:
    """Kind of each row of the table."""
    return {row["seq"]: row["kind"] for row in map(json.loads, rig.committed)}


def test_rule_14_a_token_without_its_counters_is_no_licence() -> None:
    """Counters that lag are waited for; rows that were never inserted are kept, with an alarm."""
    rig = Rig()
    rig.knobs.counters_lag_s = 10.0
    rig.take(3)
    rig.until(
        lambda: rig.drain.channel.state == "ready" and rig.drain.channel.marks.committed.seq == 3
    )
    assert rig.acknowledged() is None
    rig.until(rig.home)
    rig.knobs.counters_lag_s = 1e9
    rig.take(3)
    rig.run(100)
    assert rig.acknowledged() == Position(1, 3)
    assert rig.watcher.counts["alarm imbalance"] == 0
    rig.run(200)
    assert rig.watcher.counts["alarm imbalance"] == 1
    assert rig.acknowledged() == Position(1, 3)


def flow(rig: Rig, seconds: int) -> Position | None:
    """Rows that never pause, after a slow start in peace; the acknowledged place after it all."""
    rig.take(3)
    rig.until(rig.home)
    rig.knobs.counters_lag_s = 40.0
    for _ in range(seconds):
        rig.take(1)
        rig.run(1)
    return rig.acknowledged()


def test_rule_14_counters_that_lag_longer_than_batches_come_are_waited_for() -> None:
    """The token stands still until they fit: acknowledged follows, and no alarm is raised.

    Negative: a shipper that never waits acknowledges nothing as long as rows flow.
    """
    rig = Rig()
    reached = flow(rig, 600)
    assert reached is not None
    assert 480 <= reached.seq < 603
    assert rig.watcher.counts["alarm imbalance"] == 0
    rig.until(rig.home)
    assert seqs(rig) == list(range(1, 604))
    hasty = Rig(Options(replace(SMALL, counters_wait_s=float("inf"))))
    assert flow(hasty, 600) == Position(1, 3)


def test_rule_14_it_is_said_that_counters_lag() -> None:
    """The reason names it while polls go on, no row leaves, and it is gone once they fit."""
    rig = Rig()
    flow(rig, 0)
    rig.knobs.counters_lag_s = 1e9
    rig.take(3)
    rig.until(lambda: rig.drain.reason == "counters lag", 60)
    appends, polls = len(rig.transport.sent(APPEND)), len(rig.transport.sent(STATUS))
    rig.take(30)
    rig.run(300)
    assert len(rig.transport.sent(APPEND)) == appends
    assert len(rig.transport.sent(STATUS)) > polls + 200
    assert rig.drain.reason == "counters lag"
    assert rig.watcher.counts["alarm imbalance"] == 1
    rig.knobs.counters_lag_s = 0.0
    rig.until(lambda: len(rig.transport.sent(APPEND)) > appends, 3)
    assert rig.drain.reason == ""
    rig.until(rig.home)


def test_rule_14_counters_are_held_against_rows_sent_before_a_restart() -> None:
    """The rows between the stored acknowledgement and the token are counted in the spool."""
    rig = Rig()
    rig.knobs.counters_lag_s = 30.0
    rig.take(3)
    rig.until(lambda: len(rig.committed) == 3, 60)
    assert rig.acknowledged() is None
    rig.start()
    rig.run(5)
    assert rig.acknowledged() is None
    rig.until(rig.home)


def test_rule_15_rows_refused_after_acceptance_are_kept_as_a_range() -> None:
    """The batches that the bad row can be in are kept before the acknowledgement is stored."""
    rig = Rig()
    rig.knobs.row_rules = (Poison("quality", "BAD"),)
    rig.take(1)
    rig.take(1, quality="BAD")
    rig.take(4)
    rig.until(rig.home)
    assert seqs(rig) == [1, 3, 4, 5, 6]
    (letter,) = rig.ledger.state.letters
    assert (letter.form, letter.first_seq, letter.last_seq) == ("range", 1, 3)
    kept = [json.loads(line) for line in letter.payload.splitlines()]
    assert [row["seq"] for row in kept] == [1, 2, 3]
    assert "BAD" not in rig.transport.sent(APPEND)[-1].body.decode("latin-1")
    assert rig.ledger.told.count("rows_rejected") == 1


def test_rule_15_errors_while_we_were_down_are_found_by_the_stored_baseline() -> None:
    """A baseline taken at open would hide them."""
    rig = Rig()
    rig.knobs.row_rules = (Poison("quality", "BAD"),)
    rig.take(3)
    rig.until(rig.home)
    rig.take(3, quality="BAD")
    rig.until(lambda: rig.drain.channel.marks.accepted.seq == 6)
    rig.model.commit_now(rig.clock.now_s)
    rig.start()
    rig.until(rig.home)
    assert [(x.first_seq, x.last_seq) for x in rig.ledger.state.letters] == [(4, 6)]


def test_rule_16_a_poison_row_is_found_kept_and_replaced() -> None:
    """400 for the whole request: halved to the row; a dead letter, and then a tombstone."""
    rig = Rig(Options(Limits(batch_rows=16, interval_s=2.0)))
    rig.knobs.refuse_rules = (Poison("quality", "BAD"),)
    rig.take(16)
    rig.until(rig.home)
    rig.take(9)
    rig.take(1, quality="BAD")
    rig.take(6)
    rig.until(rig.home)
    assert seqs(rig) == list(range(1, 33))
    assert {n for n, kind in kinds(rig).items() if kind == "tombstone"} == {26}
    (letter,) = rig.ledger.state.letters
    assert (letter.form, letter.first_seq) == ("row", 26)
    assert json.loads(letter.payload)["quality"] == "BAD"


def test_rule_16_the_letter_is_durable_before_the_tombstone_leaves() -> None:
    """Killed between the two, the next process finds the letter and sends the tombstone."""
    rig = Rig()
    rig.knobs.refuse_rules = (Poison("quality", "BAD"),)
    rig.take(1, quality="BAD")
    rig.until(lambda: len(rig.ledger.state.letters) == 1)
    assert rig.committed == []
    rig.start()
    rig.take(2)
    rig.until(rig.home)
    assert kinds(rig) == {1: "tombstone", 2: "sample", 3: "sample"}


def test_rule_16_a_table_that_refuses_everything_buries_nobody() -> None:
    """After a few rows the table is at fault: alarm, slow retry, the rest stays in the spool."""
    rig = Rig()
    rig.knobs.refuse_rules = (NotNull("no_such_column"),)
    rig.take(60)
    rig.run(7200)
    assert rig.watcher.counts["alarm table_fault"] >= 2
    assert len(rig.ledger.state.letters) <= 10
    rig.knobs.refuse_rules = ()
    rig.until(rig.home, 7200)
    assert seqs(rig) == list(range(1, 61))


def test_rule_16_a_damaged_row_is_replaced_and_the_line_goes_on() -> None:
    """A flipped bit in the spool: the row is kept as found, a tombstone stands for it."""
    rig = Rig()
    rig.take(5)
    damaged = list(rig.spool.rows[2].values)
    damaged[INDEX["cpu_percent"]] = 99.0
    rows = list(rig.spool.rows)
    rows[2] = rows[2]._replace(values=tuple(damaged))
    rig.spool.write(replace(rig.spool.state, rows=tuple(rows)))
    rig.until(rig.home)
    assert kinds(rig) == {1: "sample", 2: "sample", 3: "tombstone", 4: "sample", 5: "sample"}
    (letter,) = rig.ledger.state.letters
    assert (letter.reason, letter.first_seq) == ("corrupt", 3)
    assert b"99.0" in letter.payload
