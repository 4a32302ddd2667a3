"""The network and the server of a simulated device: the emulator's model behind a bad line.

A request may be lost on the way (before it is applied) or its answer may be (after), it may meet a
throttle, a server error, an expired token; all drawn from the simulation's one generator. Nothing
here is a socket.
"""

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from urllib.parse import unquote

from shipper.protocol.errors import NotSent, OutcomeUnknown
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import HttpRequest, Operation
from tests.emulators.ingest.answers import Append, ChannelName, ChannelStatus, Pipe, Refused
from tests.emulators.ingest.model import IngestModel
from tests.model.simulation_books import Broken
from tests.model.simulation_mortality import Mortality

_GZIP = 16 + zlib.MAX_WBITS


@dataclass(slots=True)
class Line:
    """How bad the line is: chances of each mishap, per request.

    Attributes:
        lost_request: it is not applied, and no answer comes.
        lost_reply: it is applied, and no answer comes.
        refused: no connection.
        throttled: 429.
        broken: 503, not applied; half as often 500, applied.
        unauthorized: 401.
        html: 200 from a captive portal.
        old_status: a replica, or a cache, answers a poll as it answered the one before.
    """

    lost_request: float = 0.0
    lost_reply: float = 0.0
    refused: float = 0.0
    throttled: float = 0.0
    broken: float = 0.0
    unauthorized: float = 0.0
    html: float = 0.0
    old_status: float = 0.0

    def quiet(self) -> None:
        """No more mishaps."""
        for name in self.__slots__:
            setattr(self, name, 0.0)


class SimTransport:
    """``Transport`` over the model, in no time but what it charges to the clock.

    Attributes:
        mishaps: requests that did not get the answer they should have got.
        hasty: opens that discarded rows which were about to be committed.
        silent: whether this device must not speak now (rule 2).
    """

    def __init__(
        self, model: IngestModel, random: Random, mortality: Mortality, now_s: Callable[[], float]
    ) -> None:
        self.model = model
        self.line = Line()
        self.body_max = 1 << 22
        self.mishaps = self.hasty = 0
        self.silent: Callable[[], bool] = lambda: False
        self._status_before: HttpReply | None = None
        self._random = random
        self._mortality = mortality
        self._now_s = now_s

    def renew(self) -> None:
        """Nothing to do: the next draw decides again."""

    def rediscover(self) -> None:
        """Nothing to do: there is one host."""

    def send(self, request: HttpRequest, deadline_s: float) -> HttpReply:
        """See ``Transport``."""
        if self.silent():
            raise Broken("a copy of a card spoke before its collector had looked at the serials")
        line, draw = self.line, self._random.random
        self._mortality.tick()
        if draw() < line.refused:
            self.mishaps += 1
            raise NotSent("refused")
        if draw() < line.lost_request:
            self.mishaps += 1
            raise OutcomeUnknown("timeout")
        early = self._mishap(draw(), request.operation)
        if early is not None:
            self.mishaps += 1
            return early
        reply = self._apply(request)
        if request.operation is Operation.STATUS:
            self._status_before = reply
        self._mortality.tick()
        if draw() < line.lost_reply:
            self.mishaps += 1
            raise OutcomeUnknown("reset")
        if draw() < line.broken / 2:
            self.mishaps += 1
            return HttpReply(500, {}, b'"ERR_GENERAL_EXCEPTION_RETRY_REQUEST"')
        return reply

    def _mishap(self, chance: float, operation: Operation) -> HttpReply | None:
        """An answer of somebody in between; the request is not applied."""
        line, before = self.line, self._status_before
        if before is not None and operation is Operation.STATUS and chance > 1 - line.old_status:
            return before
        for share, reply in (
            (line.throttled, HttpReply(429, {"retry-after": "2"}, b'{"code":"390701"}')),
            (line.broken, HttpReply(503, {}, b"upstream connect error")),
            (line.unauthorized, HttpReply(401, {}, b'{"code":"390144"}')),
            (line.html, HttpReply(200, {}, b"<html>Welcome to the hotel</html>")),
        ):
            if chance < share:
                return reply
            chance -= share
        return None

    def _apply(self, request: HttpRequest) -> HttpReply:
        parts = [unquote(p) for p in request.path.split("/")]
        at = parts.index("databases")
        pipe = Pipe(parts[at + 1], parts[at + 3], parts[at + 5].partition(":")[0])
        try:
            match request.operation:
                case Operation.OPEN:
                    return self._open(ChannelName(pipe, parts[-1]), request)
                case Operation.APPEND:
                    return self._append(ChannelName(pipe, parts[-2]), request)
                case _:
                    return self._status(pipe, request)
        except Refused as error:
            body = {"code": error.code, "message": error.message}
            return HttpReply(error.status, {}, json.dumps(body).encode())

    def _open(self, name: ChannelName, request: HttpRequest) -> HttpReply:
        careful = json.loads(request.body)["fail_on_uncommitted_rows"]
        if not careful:
            self._look_before(name)
        opened = self.model.open(name, self._now_s(), fail_on_uncommitted_rows=careful)
        body = {
            "next_continuation_token": opened.next_continuation_token,
            "channel_status": _status(opened.status),
        }
        return HttpReply(200, {}, json.dumps(body).encode())

    def _look_before(self, name: ChannelName) -> None:
        """Rows that wait for a commit which is not stuck must not be discarded (rule 11)."""
        self.model.advance(self._now_s())
        channel = self.model.channels.get(name)
        if channel is not None and channel.pending and not self.model.knobs.commits_stuck:
            self.hasty += 1

    def _append(self, name: ChannelName, request: HttpRequest) -> HttpReply:
        if len(request.body) > self.body_max:
            return HttpReply(413, {}, b"Payload Too Large")
        query = dict(request.query)
        answer = self.model.append(
            Append(
                name,
                query["continuationToken"],
                zlib.decompress(request.body, _GZIP),
                query["startOffsetToken"],
                query["endOffsetToken"],
                query["requestId"],
                request.body,
            ),
            self._now_s(),
        )
        token = answer.next_continuation_token
        return HttpReply(
            200, {}, b'{"status_code":0,"next_continuation_token":"%s"}' % token.encode()
        )

    def _status(self, pipe: Pipe, request: HttpRequest) -> HttpReply:
        names = json.loads(request.body)["channel_names"]
        found = self.model.status(pipe, names, self._now_s())
        body = {"channel_statuses": {name: _status(status) for name, status in found.items()}}
        return HttpReply(200, {}, json.dumps(body).encode())


def _status(status: ChannelStatus) -> dict[str, object]:
    return {
        "channel_status_code": status.code,
        "last_committed_offset_token": status.committed_token,
        "created_on_ms": status.created_on_ms,
        "rows_inserted": status.rows_inserted,
        "rows_parsed": status.rows_parsed,
        "rows_error_count": status.rows_error_count,
        "last_error_offset_upper_bound": status.last_error_offset_upper_bound,
        "last_error_message": status.last_error_message,
    }
