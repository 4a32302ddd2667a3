"""The drain where no numbered rule speaks: sign-in, failover, idle life, when a batch is due."""

import json

import pytest

from shipper.protocol.errors import NotSent
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import HttpRequest, Operation
from tests.model.rig import PIPE, Rig

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
