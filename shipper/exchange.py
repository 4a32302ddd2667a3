"""One request on the wire and the event that came of it."""

from collections.abc import Callable
from typing import Final

from shipper.ports import World
from shipper.protocol.batch import Batch
from shipper.protocol.channel import Channel
from shipper.protocol.errors import NotSent, OutcomeUnknown
from shipper.protocol.events import Event, OpenSent, RowsSent, StatusSent, Unresolved, Unsent
from shipper.protocol.replies import HttpReply, decode_append, decode_open, decode_status
from shipper.protocol.requests import (
    Call,
    HttpRequest,
    Operation,
    Target,
    append_rows,
    channel_status,
    open_channel,
)

DEADLINES_S: Final = {Operation.OPEN: 30.0, Operation.APPEND: 60.0, Operation.STATUS: 15.0}


class Exchange:
    """Sends for one target; tells the machine before the first byte leaves.

    Args:
        world: the outside.
        target: where to.
        new_id: makes request ids.
    """

    def __init__(self, world: World, target: Target, new_id: Callable[[], str]) -> None:
        self._world = world
        self._target = target
        self.new_id = new_id

    def open(self, machine: Channel, channel: str, *, insist: bool) -> Event:
        """Open the channel."""
        call = Call(self.new_id())
        machine.process(OpenSent())
        request = open_channel(self._target, channel, call, fail_on_uncommitted=not insist)
        return self._send(request, decode_open)

    def poll(self, machine: Channel, channel: str) -> Event:
        """Ask for the status."""
        machine.process(StatusSent())
        request = channel_status(self._target, channel, Call(self.new_id()))
        return self._send(request, lambda reply: decode_status(reply, channel))

    def append(self, machine: Channel, channel: str, batch: Batch) -> Event:
        """Send a batch, the first time or again."""
        continuation = machine.continuation
        machine.process(RowsSent(batch))
        request = append_rows(self._target, channel, batch, continuation, machine.tries - 1)
        return self._send(request, lambda reply: decode_append(reply, continuation))

    def _send(self, request: HttpRequest, decode: Callable[[HttpReply], Event]) -> Event:
        try:
            reply = self._world.transport.send(request, DEADLINES_S[request.operation])
        except NotSent as error:
            self._world.observer.requested(request.operation, error.kind)
            return Unsent(error.kind, error.retry_after_s)
        except OutcomeUnknown as error:
            self._world.observer.requested(request.operation, error.kind)
            return Unresolved(error.kind)
        self._world.observer.requested(request.operation, str(reply.status))
        return decode(reply)
