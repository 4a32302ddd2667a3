"""The network in virtual time: the product's real wire on one side, the emulator on the other.

Everything of the product but TLS and the socket itself is real here: ``requests``' adapter,
``urllib3``'s pool, ``http.client``'s parser, the deadline and the table of errors. Bytes go in and
out; time passes only on a clock that the test moves, so an hour costs nothing.
"""

import errno
import io
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Final

from urllib3.connectionpool import HTTPSConnectionPool

from shipper import wire as product
from shipper.sockets import Deadline
from tests.emulators.clock import ManualClock
from tests.emulators.ingest.exchange import Delivery, Exchange
from tests.emulators.ingest.http import written_out
from tests.emulators.ingest.wire import Request

LATENCY_S: Final = 0.05
_RESET: Final = ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

Trouble = Callable[[], OSError]
"""Makes what a connection attempt fails with."""


class Killed(BaseException):
    """The process ends here; nothing of it goes on, not even its error handling."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request as it left the device.

    Attributes:
        at_s: on the monotonic clock.
        host: that it was sent to.
        method: of the request.
        path: without the query.
        token: what was in ``Authorization``, for comparing only.
        status: of the answer; 0: none was sent.
        wish_s: the answer's ``Retry-After``, by the server's own clock; ``None``: none readable.
    """

    at_s: float
    host: str
    method: str
    path: str
    token: str = field(repr=False)
    status: int
    wish_s: float | None


@dataclass(slots=True)
class Line:
    """The way between one device and the server.

    Attributes:
        clock: the one clock of device and network.
        exchange: the server.
        shown_s: the server's clock for ``Date``.
        troubles: by host ("*": any), why a connection to it fails.
        gone: hosts that do not exist any more, also after healing.
        idle_s: a connection that is quiet for longer is closed; ``None``: never.
        silently: it is closed by a box in between, so that the device does not see it.
        calls: every request that left.
        dies_in: requests until the process is killed, and whether after it was carried out.
        connections: how many were made.
        deadline: of the wire that is plugged in.
    """

    clock: ManualClock
    exchange: Exchange
    shown_s: Callable[[], float]
    troubles: dict[str, Trouble] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    idle_s: float | None = None
    silently: bool = False
    calls: list[Call] = field(default_factory=list)
    dies_in: tuple[int, bool] | None = None
    connections: int = 0
    deadline: Deadline | None = None

    def plug_into(self, wire: product.Wire) -> None:
        """Let a wire of the product use this line instead of sockets."""
        self.deadline = wire._deadline
        connection = type("LineConnection", (_Connection,), {"line": self})
        pool = type("LinePool", (HTTPSConnectionPool,), {"ConnectionCls": connection})
        wire._adapter.poolmanager.pool_classes_by_scheme = {"https": pool}

    def connect(self, host: str) -> "_Socket":
        """A connection, or the trouble of this host."""
        self.clock.advance(LATENCY_S)
        trouble = unknown_name if host in self.gone else self._trouble(host)
        if trouble is not None:
            error = trouble()
            if isinstance(error, TimeoutError) and self.deadline is not None:
                self.clock.advance(self.deadline.left_s())
            raise error
        self.connections += 1
        return _Socket(self, host)

    def carry(self, host: str, raw: bytes) -> Delivery | None:
        """Bring a request to the server and say what comes back."""
        self.clock.advance(LATENCY_S / 2)
        request = _parsed(raw)
        self._die(after=False)
        at_s = self.clock.monotonic_s()
        away = host in self.gone or self._trouble(host) is not None
        delivery = None if away else self.exchange.handle(request)
        wish_s = None if delivery is None else _wish_s(delivery, self.shown_s())
        token = request.headers.get("authorization", "")
        status = 0 if delivery is None else delivery.response.status
        self.calls.append(Call(at_s, host, request.method, request.path, token, status, wish_s))
        self._die(after=True)
        self.clock.advance(LATENCY_S / 2)
        return delivery

    def _trouble(self, host: str) -> Trouble | None:
        return self.troubles.get(host) or self.troubles.get("*")

    def _die(self, *, after: bool) -> None:
        if self.dies_in is None or self.dies_in[1] is not after:
            return
        left = self.dies_in[0] - 1
        self.dies_in = (left, after)
        if left <= 0:
            self.dies_in = None
            raise Killed


def _wish_s(delivery: Delivery, shown_s: float) -> float | None:
    headers = delivery.response.headers
    text = next((text for name, text in headers if name.lower() == "retry-after"), "")
    if text.isdigit():
        return float(text)
    try:
        return parsedate_to_datetime(text).timestamp() - shown_s
    except ValueError:
        return None


def _parsed(raw: bytes) -> Request:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {}
    for line in lines:
        name, _, text = line.partition(":")
        headers[name.strip().lower()] = text.strip()
    assert len(body) == int(headers.get("content-length", "0")), "half a request left"
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, body)


class _Connection(product._Connection):
    """The product's connection, up to the point where a socket would be opened."""

    line: Line

    def connect(self) -> None:
        """Connect; TLS is tested elsewhere, over real sockets."""
        assert self.line.deadline is not None
        self.line.deadline.left_s()
        self.sock = self.line.connect(self.host)
        self.is_verified = True

    @property
    def is_connected(self) -> bool:
        """Whether the other side still seems to be there."""
        held: Any = self.sock
        return held is not None and not held.seen_closed


class _Socket:
    """One connection's end on the device."""

    def __init__(self, line: Line, host: str) -> None:
        self._line = line
        self._host = host
        self._used_s = line.clock.monotonic_s()
        self.outgoing = bytearray()

    @property
    def gone(self) -> bool:
        """Whether somebody closed it while it was idle."""
        idle_s = self._line.idle_s
        return idle_s is not None and self._line.clock.monotonic_s() - self._used_s > idle_s

    @property
    def seen_closed(self) -> bool:
        """Whether the device can see that."""
        return self.gone and not self._line.silently

    def sendall(self, data: bytes) -> None:
        """Take bytes; from the first one on the outcome may be unknown."""
        assert self._line.deadline is not None
        self._line.deadline.left_s()
        self._line.deadline.sent = True
        self.outgoing += data

    def makefile(self, *_: object, **__: object) -> io.BufferedReader:
        """What ``http.client`` reads the answer from."""
        return io.BufferedReader(_Answer(self._line, self))

    def answered(self) -> Delivery | None:
        """Send what was written; called when the device begins to read."""
        raw = bytes(self.outgoing)
        self.outgoing.clear()
        if self.gone:
            return None
        delivery = self._line.carry(self._host, raw)
        self._used_s = self._line.clock.monotonic_s()
        return delivery

    def settimeout(self, _seconds: float | None) -> None:
        """Nothing: the deadline rules."""

    def shutdown(self, _how: int) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Nothing to give back."""


class _Answer(io.RawIOBase):
    """The bytes of one answer, each at its time."""

    def __init__(self, line: Line, connection: _Socket) -> None:
        super().__init__()
        self._line = line
        self._socket = connection
        self._pieces: deque[tuple[float, bytes]] | None = None
        self._reset = False

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """The next bytes, when they are there; never beyond the deadline."""
        clock, deadline = self._line.clock, self._line.deadline
        assert deadline is not None
        if self._pieces is None:
            self._arrive(self._socket.answered())
        assert self._pieces is not None
        if not self._pieces:
            deadline.left_s()
            if self._reset:
                raise _RESET
            return 0
        due_s, data = self._pieces[0]
        while (wait_s := due_s - clock.monotonic_s()) > 0:
            clock.advance(min(wait_s, deadline.left_s()))
        deadline.left_s()
        taken = data[: len(buffer)]
        buffer[: len(taken)] = taken
        deadline.count(len(taken))
        self._pieces.popleft()
        if len(taken) < len(data):
            self._pieces.appendleft((due_s, data[len(taken) :]))
        return len(taken)

    def _arrive(self, delivery: Delivery | None) -> None:
        now_s = self._line.clock.monotonic_s()
        self._pieces = deque()
        self._reset = True
        if delivery is None:
            return
        written = written_out(delivery, self._line.shown_s())
        if delivery.bytes_per_s is None:
            self._pieces.append((now_s, written.head + written.body + written.tail))
        else:
            pause_s = 1 / delivery.bytes_per_s
            self._pieces.append((now_s, written.head))
            for place in range(len(written.body)):
                piece = written.body[place : place + 1]
                self._pieces.append((now_s + pause_s * (place + 1), piece))
            self._pieces.append((now_s + pause_s * (len(written.body) + 1), written.tail))


def refused() -> OSError:
    """Nobody listens there."""
    return ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused")


def unknown_name() -> OSError:
    """The name is gone."""
    return socket.gaierror(socket.EAI_NONAME, "Name or service not known")


def swallowed() -> OSError:
    """Packets go nowhere."""
    return TimeoutError("timed out")
