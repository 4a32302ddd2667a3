"""One suite over both transports: the real one over TLS, and the double of the seeded simulation.

What the protocol's safety rests on must be true of both: a reply is the server's, NotSent means not
applied, OutcomeUnknown allows for either, and nothing is ever sent twice by the transport itself.
"""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.identity import Position
from shipper.ports import Transport
from shipper.protocol.batch import Batch
from shipper.protocol.errors import NotSent, OutcomeUnknown
from shipper.protocol.events import (
    ChannelLost,
    ChannelOpened,
    RowsAccepted,
    StatusReported,
    Throttled,
)
from shipper.protocol.replies import HttpReply, decode_append, decode_open, decode_status
from shipper.protocol.requests import (
    Call,
    HttpRequest,
    Target,
    append_rows,
    channel_status,
    open_channel,
)
from tests.conformance.transport_benches import BENCHES, Bench

TARGET = Target("MYORG-ACC1", "DB", "S", "P")
CHANNEL = "TH_0123456789ABCDEF"
EPOCH = "0123456789abcdef"


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Each transport in its turn."""
    with BENCHES[request.param](tmp_path) as ready:
        yield ready


def batch(first: int, last: int) -> Batch:
    """A frozen batch."""
    raw = "".join(f'{{"seq":{seq}}}\n' for seq in range(first, last + 1)).encode()
    tokens = [f"v1|{EPOCH}||{seq:020d}" for seq in (first, last)]
    return Batch(
        EPOCH, Position(1, first), Position(1, last), last - first + 1, last - first + 1,
        gzip.compress(raw), len(raw), tokens[0], tokens[1], f"id-{first}-{last}",
    )


def opened(transport: Transport) -> ChannelOpened:
    """Open the channel."""
    request = open_channel(TARGET, CHANNEL, Call("open"), fail_on_uncommitted=False)
    event = decode_open(transport.send(request, 10.0))
    assert isinstance(event, ChannelOpened)
    return event


def append(rows: Batch, token: str, retry: int = 0) -> HttpRequest:
    """An append of the batch."""
    return append_rows(TARGET, CHANNEL, rows, token, retry)


def committed(bench: Bench) -> str | None:
    """The committed token, by a poll."""
    request = channel_status(TARGET, CHANNEL, Call("status"))
    event = decode_status(bench.transport.send(request, 10.0), CHANNEL)
    assert isinstance(event, StatusReported)
    return event.status.committed


def test_open_append_poll(bench: Bench) -> None:
    """The plain way: rows sent are rows committed, under the token that was sent."""
    token = opened(bench.transport).continuation
    event = decode_append(bench.transport.send(append(batch(1, 3), token), 10.0), token)
    assert isinstance(event, RowsAccepted)
    assert committed(bench) == batch(1, 3).end_token
    assert bench.rows == 3


def test_a_lost_reply_is_an_unknown_outcome_and_the_same_bytes_settle_it(bench: Bench) -> None:
    """The request was applied; sent again it is taken once."""
    token = opened(bench.transport).continuation
    bench.lose_reply()
    with pytest.raises(OutcomeUnknown):
        bench.transport.send(append(batch(1, 3), token), 10.0)
    event = decode_append(bench.transport.send(append(batch(1, 3), token, 1), 10.0), token)
    assert isinstance(event, RowsAccepted)
    assert committed(bench) == batch(1, 3).end_token
    assert bench.rows == 3


def test_a_lost_reply_is_not_sent_again_by_the_transport(bench: Bench) -> None:
    """The protocol decides what is sent; the server saw one append, not two."""
    token = opened(bench.transport).continuation
    bench.lose_reply()
    with pytest.raises(OutcomeUnknown):
        bench.transport.send(append(batch(1, 3), token), 10.0)
    assert bench.model.tally.appends == 1
    assert bench.model.tally.noops_identical == 0


def test_a_cut_network_sends_nothing(bench: Bench) -> None:
    """NotSent means it: after the cut the same token is still good."""
    token = opened(bench.transport).continuation
    bench.cut()
    bench.transport.rediscover()
    with pytest.raises(NotSent) as caught:
        bench.transport.send(append(batch(1, 3), token), 10.0)
    assert caught.value.kind == "refused"
    assert bench.rows == 0
    bench.mend()
    event = decode_append(bench.transport.send(append(batch(1, 3), token), 10.0), token)
    assert isinstance(event, RowsAccepted)


def test_the_servers_refusals_come_back_as_replies(bench: Bench) -> None:
    """Throttled, fenced, unknown: every answer of the server is for the protocol to read."""
    first = opened(bench.transport).continuation
    bench.throttle()
    throttled = decode_append(bench.transport.send(append(batch(1, 3), first), 10.0), first)
    assert isinstance(throttled, Throttled)
    opened(bench.transport)
    fenced = decode_append(bench.transport.send(append(batch(1, 3), first), 10.0), first)
    assert isinstance(fenced, ChannelLost)
    assert fenced.fenced
    request = channel_status(TARGET, "TH_NOBODY", Call("status"))
    unknown = decode_status(bench.transport.send(request, 10.0), "TH_NOBODY")
    assert isinstance(unknown, ChannelLost)
    assert bench.rows == 0


def test_renewing_and_rediscovering_change_nothing_on_the_server(bench: Bench) -> None:
    """Both concern the way to the server only; the session goes on."""
    token = opened(bench.transport).continuation
    bench.transport.renew()
    bench.transport.rediscover()
    event = decode_append(bench.transport.send(append(batch(1, 3), token), 10.0), token)
    assert isinstance(event, RowsAccepted)
    assert bench.model.tally.opens == 1


class Liar:
    """A transport with one of two mistakes, for the negative controls."""

    def __init__(self, inner: Transport, mistake: str) -> None:
        self._inner = inner
        self._mistake = mistake
        self.renew, self.rediscover = inner.renew, inner.rediscover

    def send(self, request: HttpRequest, deadline_s: float) -> HttpReply:
        """Calls a lost reply "not sent", or tries again by itself."""
        try:
            return self._inner.send(request, deadline_s)
        except OutcomeUnknown:
            if self._mistake == "retries":
                self._inner.send(request, deadline_s)
                raise
            raise NotSent("reset") from None


@pytest.mark.parametrize(
    ("mistake", "check", "error"),
    [
        ("retries", test_a_lost_reply_is_not_sent_again_by_the_transport, AssertionError),
        ("not sent",
         test_a_lost_reply_is_an_unknown_outcome_and_the_same_bytes_settle_it, NotSent),
    ],
)
def test_the_suite_sees_a_transport_that_lies(
    bench: Bench, mistake: str, check: object, error: type[Exception]
) -> None:
    """Negative control: each mistake makes its test fail."""
    bench.transport = Liar(bench.transport, mistake)
    with pytest.raises(error):
        check(bench)  # type: ignore[operator]
