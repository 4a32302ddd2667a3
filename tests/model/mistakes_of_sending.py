"""Planted mistakes: what an answer means, and what may be sent after it."""

from dataclasses import replace
from typing import Any, Final

from common.ship_state import Acknowledgement
from shipper.protocol.channel import State
from shipper.protocol.cutting import Verdict
from shipper.protocol.events import (
    ChannelLost,
    Event,
    Refused,
    RowsAccepted,
    StatusReported,
    Throttled,
    Unresolved,
)
from tests.model.simulation_host import SimDevice
from tests.model.simulation_planting import Mistake, on_take, parts, with_ledger


def trust_200(device: SimDevice) -> None:
    """Take a 200 on an append for a commit, and give the licence to trim.

    Telegraf and Fluent Bit outputs drop a chunk from their buffer on 2xx.
    """

    def spoil(found: Any, event: Event) -> Event:
        if isinstance(event, RowsAccepted):
            batch = found.channel.batch
            found.world.ledger.acknowledge(
                Acknowledgement(batch.end_token, batch.epoch, batch.last.seq),
                rows_inserted=0,
                rows_error=0,
            )
        return event

    on_take(device, spoil)


def recut_under_used_token(device: SimDevice) -> None:
    """Forget a batch whose outcome is unknown, and cut anew under the same continuation token."""

    def spoil(found: Any, event: Event) -> Event | None:
        channel = found.channel
        if isinstance(event, Unresolved) and channel.state in (State.SENDING, State.RESENDING):
            channel.state, channel.batch, channel.tries = State.READY, None, 0
            return None
        return event

    on_take(device, spoil)


def recut_after_413_of_a_resend(device: SimDevice) -> None:
    """Cut smaller under the same token on 413, though an earlier try may have been applied."""

    def spoil(found: Any, event: Event) -> Event | None:
        channel = found.channel
        if not isinstance(event, Refused) or channel.state is not State.RESENDING:
            return event
        if found.cutting.refused(channel.batch) is not Verdict.CUT_SMALLER:
            return event
        channel.state, channel.batch, channel.tries = State.READY, None, 0
        return None

    on_take(device, spoil)


def _taken_for_success(device: SimDevice, kinds: tuple[str, ...]) -> None:
    """Go on behind the batch, under the token that it had."""

    def spoil(found: Any, event: Event) -> Event:
        channel = found.channel
        sending = channel.state in (State.SENDING, State.RESENDING)
        if sending and isinstance(event, Unresolved) and event.kind.startswith(kinds):
            return RowsAccepted(channel.continuation)
        return event

    on_take(device, spoil)


def advance_on_5xx(device: SimDevice) -> None:
    """Count a batch as sent when the answer is a server error, as fire-and-forget clients do."""
    _taken_for_success(device, ("http_5", "ERR_GENERAL"))


def believe_html(device: SimDevice) -> None:
    """Look at the status alone: 200 from a captive portal is success.

    ``requests`` says so too, ``response.ok``, and after a redirect a POST has become a GET.
    """
    _taken_for_success(device, ("web_page", "unfit_answer"))


def ignore_lost_channel(device: SimDevice) -> None:
    """Believe that only appends can tell that a channel is lost."""
    parts(device).channel.lost_by = lambda status: ""

    def spoil(found: Any, event: Event) -> Event:
        polling = found.channel.state in (State.POLLING, State.WATCHING)
        return Throttled("x") if polling and isinstance(event, ChannelLost) else event

    on_take(device, spoil)


def believe_any_token(device: SimDevice) -> None:
    """Take any change of the committed token for the commit of all that was sent."""

    def spoil(found: Any, event: Event) -> Event:
        channel = found.channel
        if isinstance(event, StatusReported) and channel.state is State.POLLING:
            window, status = channel.window, event.status
            if status.committed != window.token and window._uncommitted:
                told = replace(status, committed=window._uncommitted[-1].token)
                window.balanced = lambda now: True
                return StatusReported(told)
        return event

    on_take(device, spoil)


def expose_after_sending(device: SimDevice) -> None:
    """Store what has left only when the answer is there."""
    owed: list[tuple[str, int]] = []
    real, send = device.machine.ledger.expose, device.transport.send

    def sent(request: Any, deadline_s: float) -> Any:
        reply = send(request, deadline_s)
        while owed:
            real(*owed.pop())
        return reply

    with_ledger(device, expose=lambda *mark: owed.append(mark))
    world = parts(device).world
    object.__setattr__(world, "transport", _Transport(device.transport, sent))


class _Transport:
    """A transport that sends otherwise."""

    def __init__(self, real: Any, send: Any) -> None:
        self.send, self.renew, self.rediscover = send, real.renew, real.rediscover


def never_poll_when_idle(device: SimDevice) -> None:
    """Ask for the status only while rows are under way (a kafka connector's channel loss)."""
    pacing: Any = parts(device).pacing
    real = pacing.polled

    def polled(*, waiting: bool, now_s: float) -> None:
        real(waiting=waiting, now_s=now_s if waiting else now_s + 1e9)

    pacing.polled = polled


def send_no_heartbeat(device: SimDevice) -> None:
    """Let a channel be idle for more than thirty days: it expires."""
    device.drain._limits = replace(device.drain._limits, heartbeat_s=float("inf"))


SENDING: Final = (
    Mistake(trust_200, "crashes"),
    Mistake(recut_under_used_token, "network"),
    Mistake(recut_after_413_of_a_resend, "flapping door"),
    Mistake(advance_on_5xx, "network"),
    Mistake(believe_html, "network"),
    Mistake(ignore_lost_channel, "network"),
    Mistake(believe_any_token, "stuck"),
    Mistake(expose_after_sending, "crowded"),
    Mistake(never_poll_when_idle, "network"),
    Mistake(send_no_heartbeat, "idle"),
)
