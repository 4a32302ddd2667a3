"""The drain where no numbered rule speaks: sign-in, failover, idle life, when a batch is due."""

import json
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from common.errors import LockHeld, SpoolError
from shipper.protocol.errors import NotSent
from shipper.protocol.limits import Limits
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import Operation
from tests.model.rig import LIVE, PIPE, Options, Rig

APPEND, OPEN = Operation.APPEND, Operation.OPEN


def seqs(rig: Rig) -> list[int]:
    """Seqs of the table's rows, in order."""
    return [json.loads(text)["seq"] for text in rig.committed]


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


class Busy:
    """An exposure lock that the collector holds for the first few tries."""

    def __init__(self, tries: int) -> None:
        self.tries = tries

    def __enter__(self) -> None:
        self.tries -= 1
        if self.tries >= 0:
            raise LockHeld("exposure.lock is locked by process 1")

    def __exit__(self, *_: object) -> None:
        return None


def failing(real: Any, times: int) -> Any:
    """A call that fails so often before it works."""
    left = [times]

    def call(*args: Any, **named: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise SpoolError("disk I/O error", op="write", path="ship.db")
        return real(*args, **named)

    return call


def test_nothing_leaves_while_the_collector_is_thinning() -> None:
    """Rule 20: no row is read and sent while the lock is held; after that it goes on."""
    rig = Rig()
    busy = Busy(20)
    rig.drain._world = replace(rig.drain._world, exposure=busy)
    rig.drain._parts.feed._world = rig.drain._world
    rig.take(3)
    rig.until(lambda: busy.tries == 1)
    assert rig.transport.sent(APPEND) == []
    rig.until(rig.home)


@pytest.mark.parametrize("call", ["expose", "acknowledge", "retarget", "progress"])
def test_a_failing_file_stops_nothing_for_good(call: str) -> None:
    """What cannot be stored is not acted upon; when the disk works again, so does the drain."""
    rig = Rig()
    setattr(rig.ledger, call, failing(getattr(rig.ledger, call), 3))
    rig.take(3)
    rig.until(rig.home)
    assert rig.watcher.counts["alarm spool_failed"] == 3
    assert seqs(rig) == [1, 2, 3]


def test_a_row_that_could_not_be_exposed_was_not_sent() -> None:
    """The order of things: stored as exposed, and only then the first byte."""
    rig = Rig()
    rig.ledger.expose = failing(rig.ledger.expose, 10**9)  # type: ignore[method-assign]
    rig.take(3)
    rig.run(300)
    assert rig.transport.sent(APPEND) == []


def test_an_absent_spool_is_waited_for() -> None:
    """The collector has not made it yet: silence, and the reason for a person."""
    rig = Rig()
    rig.spool.install = failing(rig.spool.install, 50)  # type: ignore[method-assign]
    rig.run(30)
    assert rig.transport.log == []
    assert "disk I/O error" in rig.drain.reason
    rig.take(3)
    rig.until(rig.home)


def test_a_token_that_falls_within_a_session_is_a_fault() -> None:
    """The server broke its promise: alarm, slow retry, and the rows are flagged when sent again."""
    rig = Rig()
    rig.take(3)
    rig.until(rig.home)
    first = rig.model.channels[LIVE].committed_token
    rig.take(3)
    rig.until(rig.home)
    rig.model.channels[LIVE].committed_token = first
    opens = len(rig.transport.sent(OPEN))
    rig.until(lambda: rig.watcher.counts["alarm broken_promise"] == 1, 60)
    fault_s = rig.clock.now_s
    rig.until(lambda: len(rig.transport.sent(OPEN)) > opens)
    assert rig.clock.now_s - fault_s >= 15
    rig.take(1)
    rig.until(rig.home)
    assert seqs(rig) == [1, 2, 3, 4, 5, 6, 4, 5, 6, 7]
    assert [json.loads(text)["in_doubt"] for text in rig.committed] == [False] * 6 + [True] * 3 + [
        False
    ]


def test_a_second_writer_is_given_time_and_told_of() -> None:
    """Fenced twice without an open of ours between: hold off longer than a commit takes."""
    rig = Rig()
    rig.take(3)
    rig.until(rig.home)
    times = []
    for _ in range(3):
        rig.model.steal(LIVE, rig.clock.now_s)
        rig.take(3)
        opens = len(rig.transport.sent(OPEN))
        start_s = rig.clock.now_s
        rig.until(lambda opens=opens: len(rig.transport.sent(OPEN)) > opens)  # type: ignore[misc]
        times.append(rig.clock.now_s - start_s)
    assert times[0] < 5
    assert times[1] >= 15
    assert times[2] >= 30
    assert rig.watcher.counts["alarm second_writer"] >= 1
    rig.until(rig.home)
    assert sorted(set(seqs(rig))) == list(range(1, 13))


@pytest.mark.parametrize(("length", "kind"), [(100_000, "gap"), (9_000_000, "tombstone")])
def test_a_row_longer_than_a_batch_goes_alone_or_not_at_all(length: int, kind: str) -> None:
    """Longer than batch_bytes_max: a request of its own; longer than any request: a tombstone."""
    rig = Rig(Options(Limits(batch_rows=3, interval_s=2.0, batch_bytes_max=4096)))
    rig.take(2)
    text = Random(1).randbytes(length // 2).hex()
    rig.take(1, kind="gap", detail=json.dumps({"x": text}))
    rig.take(2)
    rig.until(rig.home)
    found = [json.loads(line)["kind"] for line in rig.committed]
    assert found == ["sample", "sample", kind, "sample", "sample"]
    assert len(rig.ledger.state.letters) == (kind == "tombstone")
