"""Mistakes that clients of this kind really make, planted into one life of the real shipper."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from common.ship_state import Acknowledgement
from shipper.protocol.channel import State
from shipper.protocol.events import Event as ShippingEvent
from shipper.protocol.events import Moved, Throttled, Unauthorized, Unresolved
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import HttpRequest, Operation
from shipper.wire import Outgoing
from tests.faults.server.shipper import Shipper

Send = Callable[[HttpRequest, float], HttpReply]


def _sending(shipper: Shipper, spoiled: Callable[[Send, HttpRequest, float], HttpReply]) -> None:
    real = shipper.transport.send
    shipper.transport.send = (  # type: ignore[method-assign]
        lambda request, deadline_s: spoiled(real, request, deadline_s)
    )


def _taking(shipper: Shipper, spoiled: Callable[[ShippingEvent], ShippingEvent]) -> None:
    feedback: Any = shipper.drain._feedback
    real = feedback.take
    feedback.take = lambda event, now_s: real(spoiled(event), now_s)


def _delivered(shipper: Shipper, request: HttpRequest) -> None:
    """Take the rows of an append for delivered, as whoever deletes them after ``ok`` does."""
    _acknowledge(shipper, dict(request.query)["endOffsetToken"])


def _acknowledge(shipper: Shipper, token: str) -> None:
    _, epoch, _, seq = token.split("|")
    done = Acknowledgement(token, epoch, int(seq))
    shipper.ledger.acknowledge(done, rows_inserted=0, rows_error=0)


def believe_any_200(shipper: Shipper) -> None:
    """``if response.ok``: a captive portal's page is a delivery."""

    def send(real: Send, request: HttpRequest, deadline_s: float) -> HttpReply:
        reply = real(request, deadline_s)
        if request.operation is Operation.APPEND and reply.status == 200:
            _delivered(shipper, request)
        return reply

    _sending(shipper, send)


def follow_redirects(shipper: Shipper) -> None:
    """A 302 turns the POST into a GET, whose 200 is taken for the POST's."""
    wire = shipper.transport._wire
    real = wire._exchange

    def exchange(call: Outgoing) -> HttpReply:
        reply = real(call)
        if reply.status != 302:
            return reply
        if call.method == "POST" and "/rows" in call.url:
            _acknowledge(shipper, dict(parse_qsl(call.url.partition("?")[2]))["endOffsetToken"])
        return HttpReply(200, {}, b"<html>Sign in</html>")

    wire._exchange = exchange  # type: ignore[method-assign]


def retry_under_a_fresh_token(shipper: Shipper) -> None:
    """After a lost answer: open, and send the same rows again whatever is committed."""
    opened: list[HttpRequest] = []

    def send(real: Send, request: HttpRequest, deadline_s: float) -> HttpReply:
        if request.operation is Operation.OPEN:
            opened[:] = [request]
        try:
            return real(request, deadline_s)
        except Exception:
            if request.operation is not Operation.APPEND or not opened:
                raise
        shipper.world.clock.sleep(15.0)
        token = json.loads(real(opened[0], deadline_s).body)["next_continuation_token"]
        query = dict(request.query) | {"continuationToken": token}
        return real(replace(request, query=tuple(query.items())), deadline_s)

    _sending(shipper, send)


def give_up_on_401(shipper: Shipper) -> None:
    """A refused token is taken for the end: the process stops asking."""
    stopped: list[bool] = []
    real = shipper.drain.step

    def spoil(event: ShippingEvent) -> ShippingEvent:
        if isinstance(event, Unauthorized):
            stopped.append(True)
        return event

    _taking(shipper, spoil)
    shipper.drain.step = lambda: 30.0 if stopped else real()  # type: ignore[method-assign]


def ignore_retry_after(shipper: Shipper) -> None:
    """The server's wish is not read."""

    def spoil(event: ShippingEvent) -> ShippingEvent:
        if isinstance(event, Throttled | Unresolved):
            return replace(event, retry_after_s=None)
        return event

    _taking(shipper, spoil)


def treat_410_as_404(shipper: Shipper) -> None:
    """A pipe that moved is waited for where it was."""

    def spoil(event: ShippingEvent) -> ShippingEvent:
        return Throttled("http_404") if isinstance(event, Moved) else event

    _taking(shipper, spoil)
    shipper.transport.rediscover = lambda: None  # type: ignore[method-assign]


def retry_at_once(shipper: Shipper) -> None:
    """No backoff: what failed is tried again in the next turn."""
    pacing = shipper.drain._parts.pacing
    pacing._quick = lambda reason, wish_s, now_s: None  # type: ignore[method-assign]


def recut_the_batch(shipper: Shipper) -> None:
    """After a lost answer a batch is cut anew, with newer rows in it, under the same token."""
    feedback: Any = shipper.drain._feedback
    real, channel = feedback.take, shipper.drain.channel

    def take(event: ShippingEvent, now_s: float) -> None:
        if isinstance(event, Unresolved) and channel.state in (State.SENDING, State.RESENDING):
            channel.state, channel.batch, channel.tries = State.READY, None, 0
            shipper.drain._parts.pacing.hold_appends(6.0, now_s)
            return
        real(event, now_s)

    feedback.take = take


def wait_for_every_byte(shipper: Shipper) -> None:
    """A timeout for each read, none for the call: a slow drip holds it for hours."""
    deadline: Any = shipper.transport._wire._deadline
    deadline.left_s = lambda: 60.0


def send_no_heartbeat(shipper: Shipper) -> None:
    """An idle channel is left alone, and expires."""
    shipper.drain._beat_s = float("inf")
