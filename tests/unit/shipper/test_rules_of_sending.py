"""Rules 9 to 13 of the design, each with the history that it was found by."""

import json

from shipper.protocol.errors import OutcomeUnknown
from shipper.protocol.limits import Limits
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import HttpRequest, Operation
from tests.emulators.ingest.rows import Poison
from tests.model.rig import Options, Rig

APPEND, OPEN = Operation.APPEND, Operation.OPEN
TOO_LARGE = HttpReply(413, {}, b"Payload Too Large")


def seqs(rig: Rig) -> list[int]:
    """Seqs of the table's rows, in order."""
    return [json.loads(text)["seq"] for text in rig.committed]


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
    """A restart right after an append waits for the commit; nothing is sent twice."""
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
    """A poisoned backlog goes on in small batches: few good rows share a letter with a bad one."""
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
