"""HTTP/1.1 on an accepted connection: reads requests, writes responses as the real edge does."""

import contextlib
import http.client
import socket
import time
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Final, NamedTuple

from tests.emulators.ingest.exchange import Delivery
from tests.emulators.ingest.listener import reset
from tests.emulators.ingest.wire import SERVER, Request

IDLE_TIMEOUT_S: Final = 120.0
BODY_READ_BYTES_MAX: Final = 64 * 1024 * 1024
"""A request body is read up to here, so that an oversized one still gets its 413."""

_EDGE_HEADERS: Final = (
    ("server", SERVER),
    ("x-envoy-upstream-service-time", "12"),
    ("x-response-code-details", "via_upstream"),
    ("strict-transport-security", "max-age=31536000"),
    ("x-content-type-options", "nosniff"),
)
"""Seen on live answers (emqx, pull request 18056)."""

Handle = Callable[[Request], Delivery | None]


def serve(connection: socket.socket, handle: Handle, shown_s: Callable[[], float]) -> None:
    """Serve requests until the client or a fault ends the connection.

    Args:
        connection: stays open when this returns; its owner closes it.
        handle: answers one request; ``None``: reset.
        shown_s: the clock of the Date header, seconds since 1970.
    """
    connection.settimeout(IDLE_TIMEOUT_S)

    class Handler(BaseHTTPRequestHandler):
        """``http.server`` parses; everything else is ours."""

        protocol_version = "HTTP/1.1"

        def parse_request(self) -> bool:
            """Parse the head and serve the request, whatever its method."""
            if not super().parse_request():
                return False
            self.close_connection = not _one(self, connection, handle, shown_s())
            return False

        def log_message(self, *_: object) -> None:
            """Say nothing: ``Exchange.requests`` is the log."""

    with contextlib.suppress(OSError):
        Handler(connection, ("127.0.0.1", 0), None)  # type: ignore[arg-type]


def _one(
    handler: BaseHTTPRequestHandler, connection: socket.socket, handle: Handle, shown_s: float
) -> bool:
    """Serve one request; whether the connection may be used again."""
    headers = {name.lower(): value for name, value in handler.headers.items()}
    announced = headers.get("content-length", "0")
    if "transfer-encoding" in headers or not announced.isdecimal():
        handler.send_error(411)
        return False
    length = int(announced)
    body = handler.rfile.read(min(length, BODY_READ_BYTES_MAX))
    if len(body) < min(length, BODY_READ_BYTES_MAX):
        return False  # The client died while sending: half a request is no request.
    path, _, query = handler.path.partition("?")
    delivery = handle(Request(handler.command, path, query, headers, body))
    if delivery is None:
        reset(connection)
        return False
    whole = _write(handler, delivery, shown_s)
    if not whole:
        reset(connection)
    return whole and length <= BODY_READ_BYTES_MAX and not handler.close_connection


def _write(handler: BaseHTTPRequestHandler, delivery: Delivery, shown_s: float) -> bool:
    """Send a response, its body in one chunk as live ones are; whether all of it was sent."""
    written = written_out(delivery, shown_s)
    if delivery.bytes_per_s is None:
        # Head and body in one write, as one TLS record.
        handler.wfile.write(written.head + written.body + written.tail)
        return written.whole
    handler.wfile.write(written.head)
    for start in range(len(written.body)):
        handler.wfile.write(written.body[start : start + 1])
        time.sleep(1 / delivery.bytes_per_s)
    handler.wfile.write(written.tail)
    return written.whole


class Written(NamedTuple):
    """A response as bytes.

    Attributes:
        head: status line, headers and the mark of the one chunk.
        body: as much of it as the delivery keeps.
        tail: the end of the chunk and of the body; empty when it is cut off before.
        whole: whether nothing is cut off.
    """

    head: bytes
    body: bytes
    tail: bytes
    whole: bool


def written_out(delivery: Delivery, shown_s: float) -> Written:
    """A response as it goes on the wire.

    Args:
        delivery: the response and how much of it.
        shown_s: the clock of the Date header, seconds since 1970.
    """
    response = delivery.response
    headers = (
        ("date", formatdate(shown_s, usegmt=True)), *_EDGE_HEADERS, *response.headers,
        ("content-type", response.content_type), ("transfer-encoding", "chunked"),
    )
    reason = http.client.responses.get(response.status, "")
    lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{name}: {text}" for name, text in headers)]
    mark = b"%x\r\n" % len(response.body) if response.body else b""
    body = response.body[: delivery.keep]
    whole = len(body) == len(response.body)
    tail = b"\r\n0\r\n\r\n" if response.body else b"0\r\n\r\n"
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + mark
    return Written(head, body, tail if whole else b"", whole)
