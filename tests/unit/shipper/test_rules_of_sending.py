"""Rules 9 to 16 of the design, each with the history that it was found by."""

import json

import pytest

from common.identity import Position
from common.spool.row import INDEX
from shipper.protocol.errors import NotSent, OutcomeUnknown
from shipper.protocol.limits import Limits
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import HttpRequest, Operation
from tests.emulators.ingest.rows import NotNull, Poison
from tests.model.rig import PIPE, Options, Rig

APPEND, OPEN, STATUS = Operation.APPEND, Operation.OPEN, Operation.STATUS
TOO_LARGE = HttpReply(413, {}, b"Payload Too Large")


def seqs(rig: Rig) -> list[int]:
    """Seqs of the table's rows, in order."""
    return [json.loads(text)["seq"] for text in rig.committed]


def kinds(rig: Rig) -> dict[int, str]:
    """Kind of each row of the table."""
    return {row["seq"]: row["kind"] for row in map(json.loads, rig.committed)}


def token(request: HttpRequest) -> str:
    """The continuation token of an append."""
    return dict(request.query)["continuationToken"]


def test_rule_09_refused_after_an_unknown_try_reopens_before_cutting() -> None:
    """Try 1 applied, its answer lost, try 2 gets 413.

    A smaller batch under that token would be lost.
    """
    rig = Rig()
    rig.take(3)
    rig.transport.after[APPEND].append(OutcomeUnknown("reset"))
    rig.until(lambda: len(rig.transport.sent(APPEND)) == 1)
    rig.transport.script[APPEND].append(TOO_LARGE)
    rig.until(rig.home)
    operations = [request.operation for request in rig.transport.log]
    second = [i for i, operation in enumerate(operations) if operation is APPEND][1]
    after = operations[second + 1 :]
    assert after.index(OPEN) < (after.index(APPEND) if APPEND in after else len(after))
    assert seqs(rig) == [1, 2, 3]
    assert rig.model.tally.noops_different == 0


def test_rule_09_refused_at_every_try_is_cut_under_the_same_token() -> None:
    """Nothing of it can have been applied: no reopen is needed."""
    rig = Rig()
    rig.take(4)
    rig.transport.script[APPEND] += [TOO_LARGE, HttpReply(429, {}, b""), TOO_LARGE]
    rig.until(rig.home)
    assert len(rig.transport.sent(OPEN)) == 1
    appends = rig.transport.sent(APPEND)
    assert {token(request) for request in appends[:4]} == {"0_1"}
    assert seqs(rig) == [1, 2, 3, 4]


def test_the_same_bytes_go_under_the_same_token_until_an_answer() -> None:
    """Bytes, tokens and request id of all tries are equal.

    Rows that came meanwhile are not in them.
    """
    rig = Rig()
    rig.take(3)
    rig.transport.after[APPEND] += [OutcomeUnknown("timeout"), HttpReply(503, {}, b"")]
    rig.until(lambda: len(rig.transport.sent(APPEND)) == 1)
    rig.take(5)
    rig.until(lambda: len(rig.transport.sent(APPEND)) == 3)
    tries = rig.transport.sent(APPEND)
    assert len({request.body for request in tries}) == 1
    assert len({request.query[:4] for request in tries}) == 1
    assert [dict(request.query)["retryCount"] for request in tries] == ["0", "1", "2"]
    rig.until(rig.home)
    assert seqs(rig) == list(range(1, 9))
    assert rig.model.tally.noops_identical == 2


def test_after_three_unknown_tries_an_open_decides() -> None:
    """Applied or not, the committed token tells."""
    rig = Rig()
    rig.take(3)
    rig.transport.script[APPEND] += [OutcomeUnknown("timeout")] * 3
    rig.until(rig.home)
    assert len(rig.transport.sent(OPEN)) == 2
    assert seqs(rig) == [1, 2, 3]


def test_rule_10_a_token_that_does_not_follow_is_not_adopted() -> None:
    """A 200 with the token of another append: reopen, and every row is there once."""
    rig = Rig()
    rig.take(3)
    body = b'{"status_code":0,"next_continuation_token":"0_7"}'
    rig.transport.script[APPEND].append(HttpReply(200, {}, body))
    rig.until(rig.home)
    assert len(rig.transport.sent(OPEN)) == 2
    assert not any(token(request) == "0_7" for request in rig.transport.sent(APPEND))
    assert seqs(rig) == [1, 2, 3]


def test_rule_11_an_open_waits_for_what_is_on_its_way() -> None:
    """A restart right after an append: the rows are committed by waiting.

    Not discarded and sent again.
    """
    rig = Rig()
    rig.knobs.commit_delay_s = 9.0
    rig.take(3)
    rig.until(lambda: len(rig.transport.sent(APPEND)) == 1)
    rig.start()
    rig.until(rig.home)
    bodies = [json.loads(request.body) for request in rig.transport.sent(OPEN)]
    asked = [body["fail_on_uncommitted_rows"] for body in bodies]
    assert asked == [True, True, False]
    assert rig.model.tally.rows_discarded == 0
    assert len(rig.transport.sent(APPEND)) == 1


def test_rule_11_what_never_commits_is_discarded_after_two_minutes() -> None:
    """The wait has an end, and the rows are still in the spool."""
    rig = Rig()
    rig.knobs.commits_stuck = True
    rig.take(3)
    rig.until(lambda: len(rig.transport.sent(APPEND)) == 1)
    rig.start()
    start_s = rig.clock.now_s
    rig.until(lambda: rig.model.tally.rows_discarded == 3)
    assert 15 <= rig.clock.now_s - start_s <= 125
    rig.knobs.commits_stuck = False
    rig.until(rig.home)
    assert seqs(rig) == [1, 2, 3]


def test_rule_12_no_commit_for_two_minutes_reopens_and_three_times_alarm() -> None:
    """A pipe that takes rows and commits none is opened again, then slowly, with an alarm."""
    rig = Rig()
    rig.knobs.commits_stuck = True
    rig.take(3)
    rig.until(lambda: rig.watcher.counts["reopened stalled"] == 1, 300)
    assert rig.watcher.counts["alarm commit_stall"] == 0
    rig.until(lambda: rig.watcher.counts["alarm commit_stall"] == 1, 3600)
    assert rig.watcher.counts["reopened stalled"] == 3
    rig.knobs.commits_stuck = False
    rig.until(rig.home, 3600)
    assert seqs(rig) == [1, 2, 3]


def test_rule_13_one_small_batch_until_one_commits_clean() -> None:
    """After an open a backlog begins with one small batch.

    Only its clean commit opens the window.
    """
    rig = Rig()
    rig.take(500)
    rig.until(lambda: len(rig.transport.sent(APPEND)) == 1)
    rig.run(3)
    assert rig.drain.channel.marks.accepted.seq == 3
    rig.until(rig.home)
    assert len(rig.transport.sent(APPEND)) == 2
    assert seqs(rig) == list(range(1, 501))


def test_rule_13_a_row_error_brings_slow_start_back() -> None:
    """A poisoned backlog goes on in small batches.

    So that few good rows share a letter with a bad one.
    """
    rig = Rig()
    rig.knobs.row_rules = (Poison("quality", "BAD"),)
    rig.take(10)
    rig.until(rig.home)
    rig.take(20)
    rig.take(1, quality="BAD")
    rig.take(200)
    rig.until(lambda: rig.watcher.counts["alarm rows_rejected"] == 1)
    appends = len(rig.transport.sent(APPEND))
    rig.take(50)
    rig.until(lambda: len(rig.transport.sent(APPEND)) == appends + 1)
    assert rig.drain.channel.marks.accepted.seq == 10 + 221 + 3
    rig.until(rig.home)


def test_rule_13_the_window_is_bounded() -> None:
    """While nothing commits, no more than the window's bytes leave."""
    rig = Rig(
        Options(Limits(batch_rows=3, interval_s=2.0, batch_bytes_max=4096, window_bytes=20_000))
    )
    rig.take(3)
    rig.until(rig.home)
    rig.knobs.commits_stuck = True
    rig.take(2000)
    rig.run(60)
    assert 20_000 <= rig.drain.channel.window.spool_bytes < 60_000
    assert rig.drain.channel.marks.accepted.seq < 300


def test_rule_14_a_token_without_its_counters_is_no_licence() -> None:
    """Counters that lag are waited for; rows that were never inserted are kept, with an alarm."""
    rig = Rig()
    rig.knobs.counters_lag_s = 10.0
    rig.take(3)
    rig.until(
        lambda: rig.drain.channel.state == "ready" and rig.drain.channel.marks.committed.seq == 3
    )
    assert rig.acknowledged is None
    rig.until(rig.home)
    rig.knobs.counters_lag_s = 1e9
    rig.take(3)
    rig.run(100)
    assert rig.acknowledged == Position(1, 3)
    assert rig.watcher.counts["alarm imbalance"] == 0
    rig.run(200)
    assert rig.watcher.counts["alarm imbalance"] == 1
    assert rig.acknowledged == Position(1, 3)


def test_rule_14_counters_are_held_against_rows_sent_before_a_restart() -> None:
    """The rows between the stored acknowledgement and the token are counted in the spool."""
    rig = Rig()
    rig.knobs.counters_lag_s = 30.0
    rig.take(3)
    rig.until(lambda: len(rig.committed) == 3, 60)
    assert rig.acknowledged is None
    rig.start()
    rig.run(5)
    assert rig.acknowledged is None
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
    """400 for the whole request: halved to the row; dead letter first.

    Then a tombstone of the same key.
    """
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
    """After a few rows in a row the table is at fault: alarm, slow retry.

    And the rest stays in the spool.
    """
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
    rig.spool.rows[2] = rig.spool.rows[2]._replace(values=tuple(damaged))
    rig.until(rig.home)
    assert kinds(rig) == {1: "sample", 2: "sample", 3: "tombstone", 4: "sample", 5: "sample"}
    (letter,) = rig.ledger.state.letters
    assert (letter.reason, letter.first_seq) == ("corrupt", 3)
    assert b"99.0" in letter.payload


def test_denied_requests_get_a_new_token_and_are_sent_again() -> None:
    """401 is a certain refusal: same bytes, no reopen; a second one alarms and waits."""
    rig = Rig()
    rig.take(3)
    denied = HttpReply(401, {}, b'{"code":"390144"}')
    rig.transport.script[APPEND] += [denied, denied]
    rig.until(rig.home)
    assert rig.transport.renewed == 2
    assert len(rig.transport.sent(OPEN)) == 1
    assert rig.watcher.counts["alarm unauthorized"] == 1


def test_a_pipe_that_failed_over_is_found_anew() -> None:
    """410: host, token and channel anew."""
    rig = Rig()
    rig.take(3)
    rig.transport.script[APPEND].append(HttpReply(410))
    rig.until(rig.home)
    assert rig.transport.rediscovered == 1
    assert len(rig.transport.sent(OPEN)) == 2
    assert seqs(rig) == [1, 2, 3]


def test_a_dead_network_is_asked_for_the_host_now_and_then() -> None:
    """Requests that never leave are repeated for ever; each third asks for the ingest host anew."""
    rig = Rig()
    rig.take(3)
    rig.transport.script[OPEN] += [NotSent("dns")] * 7
    rig.until(rig.home, 1000)
    assert rig.transport.rediscovered == 2


def test_a_missing_pipe_is_tried_slowly_and_for_ever() -> None:
    """A person must mend it; nothing is lost and the process stays."""
    rig = Rig()
    rig.take(3)
    rig.model.break_pipe(PIPE)
    rig.run(4000)
    assert rig.watcher.counts["alarm misconfigured"] >= 3
    assert len(rig.transport.sent(OPEN)) < 20
    rig.model.mend_pipe(PIPE)
    rig.until(rig.home, 2000)
    assert seqs(rig) == [1, 2, 3]


def test_an_idle_channel_is_kept_alive() -> None:
    """A day without a row: one event row, told through the collector."""
    rig = Rig()
    rig.take(3)
    rig.until(rig.home)
    rig.run(23 * 3600)
    assert rig.ledger.told == []
    rig.run(2 * 3600)
    assert rig.ledger.told == ["heartbeat"]


@pytest.mark.parametrize(("rows", "wait_s"), [(2, 2.0), (3, 0.0)])
def test_a_batch_is_due_by_rows_or_by_seconds(rows: int, wait_s: float) -> None:
    """batch_rows rows go at once, fewer when the oldest has waited interval_s."""
    rig = Rig()
    rig.take(3)
    rig.until(rig.home)
    rig.run(20)
    rig.take(rows)
    start_s, before = rig.clock.now_s, len(rig.transport.sent(APPEND))
    rig.until(lambda: len(rig.transport.sent(APPEND)) > before)
    assert wait_s <= rig.clock.now_s - start_s <= wait_s + 1.0
