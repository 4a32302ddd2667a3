"""One HTTPS call: bytes out, an answer in, or an error that says if the request may be applied.

This file and ``shipper.sockets`` are the only ones that reach the server, and the only ones that
know ``requests``. Its adapter is used without a ``Session``: a session follows redirects (a
POST would become a GET that answers 200), keeps cookies, reads ``~/.netrc`` and takes proxies from
the environment, and none of that may happen to a row. Proxies are therefore not used at all.
"""

import http.client
import socket
import ssl
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPSConnectionPool
from urllib3.exceptions import SystemTimeWarning

from common.clock import Clock
from shipper.protocol.errors import NotSent, OutcomeUnknown
from shipper.protocol.replies import HttpReply
from shipper.sockets import (
    AnswerTooLarge,
    Deadline,
    DeadlineContext,
    Resolver,
    connect,
    make_context,
)

ANSWER_BYTES_MAX: Final = 1 << 20
_CHUNK_BYTES: Final = 65_536
_GZIP: Final = 16 + zlib.MAX_WBITS
_CHAIN_MAX: Final = 12
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and _HAS_EXPIRED."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One HTTPS request, complete.

    Attributes:
        method: GET, PUT, POST or DELETE.
        url: ``https://…``, percent-encoded.
        headers: all of them but Host and Content-Length.
        body: may be empty.
        deadline_s: seconds that the whole call may take.
    """

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    deadline_s: float


class _Connection(HTTPSConnection):
    """Connects within the deadline of its TLS context."""

    resolver: Resolver

    def _new_conn(self) -> socket.socket:
        context = self.ssl_context
        assert isinstance(context, DeadlineContext)
        return connect(self.host, self.port, context.deadline, self.resolver)


class _Adapter(HTTPAdapter):
    """``requests`` on our sockets: one kept connection a host, no retries of its own."""

    def __init__(self, context: DeadlineContext) -> None:
        self._context = context
        super().__init__(pool_connections=2, pool_maxsize=1, max_retries=urllib3.Retry(False))

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any
    ) -> None:
        """See ``HTTPAdapter``; only https exists."""
        connection = type("Connection", (_Connection,), {"resolver": Resolver()})
        pool = type("Pool", (HTTPSConnectionPool,), {"ConnectionCls": connection})
        super().init_poolmanager(
            connections, maxsize, block, ssl_context=self._context, **pool_kwargs
        )
        self.poolmanager.pool_classes_by_scheme = {"https": pool}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """See ``HTTPAdapter``, which would add certifi's authorities to those of the context."""


class Wire:
    """Makes HTTPS calls, one at a time, each within its deadline."""

    def __init__(self, clock: Clock, ca_file: Path | None = None) -> None:
        """Load the authorities.

        Args:
            clock: for the deadline.
            ca_file: authorities to trust instead of the system's.

        Raises:
            ConfigError, PermissionRefused: the file of authorities is no good.
        """
        # A Pi without a battery-backed clock boots in the past: the state tells it, once.
        warnings.simplefilter("ignore", SystemTimeWarning)
        self._clock = clock
        self._deadline = Deadline(clock)
        self._adapter = _Adapter(make_context(self._deadline, ca_file))

    def exchange(self, call: Outgoing) -> HttpReply:
        """Make one call.

        Raises:
            NotSent: no byte of the request left; it was surely not applied.
            OutcomeUnknown: the request left at least in part, and no whole answer came back; or
                what came back is a redirect, which no server of the API sends.
        """
        assert call.url.startswith("https://")
        self._deadline.start(call.deadline_s)
        try:
            reply = self._exchange(call)
        except (requests.RequestException, urllib3.exceptions.HTTPError, http.client.HTTPException,
                OSError, ValueError) as error:
            raise self._translated(error) from None
        if 300 <= reply.status < 400:
            raise OutcomeUnknown(
                "redirect", f"HTTP {reply.status}: something between us and the server answered"
            )
        return reply

    def close(self) -> None:
        """Close the kept connections."""
        self._adapter.close()

    def _exchange(self, call: Outgoing) -> HttpReply:
        request = requests.PreparedRequest()
        request.method, request.url, request.hooks = call.method, call.url, {"response": []}
        request.headers = requests.structures.CaseInsensitiveDict(call.headers)
        request.headers["Content-Length"] = str(len(call.body))
        request.body = call.body or None
        response = self._adapter.send(request, stream=True, timeout=call.deadline_s)
        try:
            raw = _capped(response.raw)
        finally:
            # After a whole answer the connection is back in the pool, and this closes nothing.
            response.raw.close()
        headers = {name.lower(): value for name, value in response.headers.items()}
        body = _decoded(raw, headers.get("content-encoding", ""))
        return HttpReply(response.status_code, headers, body)

    def _translated(self, error: Exception) -> NotSent | OutcomeUnknown:
        """Our error for a foreign one: the only place where that is decided."""
        cause = _root(error)
        kind, text = self._described(cause)
        if self._deadline.sent:
            return OutcomeUnknown(kind, text)
        return NotSent(kind, text)

    def _described(self, cause: BaseException) -> tuple[str, str]:
        """A word for metrics, and a sentence for people."""
        if isinstance(cause, ssl.SSLCertVerificationError):
            skewed = cause.verify_code == _NOT_YET_VALID or (
                cause.verify_code == _EXPIRED and not self._clock.synchronised()
            )
            return "clock" if skewed else "tls", f"certificate: {cause.verify_message}"
        if isinstance(cause, TimeoutError):
            return "timeout", "no answer before the deadline"
        if isinstance(cause, ssl.SSLError):
            return "tls", f"TLS: {(cause.reason or str(cause)).lower().replace('_', ' ')}"
        if isinstance(cause, socket.gaierror):
            return "dns", f"the name was not resolved: {cause.strerror}"
        if isinstance(cause, AnswerTooLarge):
            return "oversize", str(cause)
        if isinstance(cause, ConnectionRefusedError):
            return "refused", "connection refused"
        if isinstance(cause, OSError):
            closed = isinstance(cause, ConnectionError)
            kind = "reset" if closed else "network"
            return kind, cause.strerror or "the connection was closed"
        # Lengths that do not match, bad chunks, a gzip body that is none: not a whole answer.
        return "truncated", f"the answer cannot be read: {type(cause).__name__}"


def _capped(raw: urllib3.BaseHTTPResponse) -> bytes:
    """The body as it came.

    Raises:
        AnswerTooLarge: it is longer than any answer of the API.
    """
    body = bytearray()
    chunks: Iterator[bytes] = raw.stream(_CHUNK_BYTES, decode_content=False)
    for chunk in chunks:
        body += chunk
        if len(body) > ANSWER_BYTES_MAX:
            raise AnswerTooLarge(f"more than {ANSWER_BYTES_MAX} bytes")
    return bytes(body)


def _decoded(body: bytes, encoding: str) -> bytes:
    """The body unpacked. Not left to urllib3, which takes half a gzip stream for a whole one.

    Raises:
        AnswerTooLarge: it unpacks to more than any answer of the API.
        ValueError: it is not what its encoding says, or not all of it is there.
    """
    if encoding.strip().lower() in ("", "identity"):
        return body
    if encoding.strip().lower() not in ("gzip", "x-gzip"):
        raise ValueError("an encoding that was not asked for")
    unpacker = zlib.decompressobj(_GZIP)
    try:
        unpacked = unpacker.decompress(body, ANSWER_BYTES_MAX + 1)
    except zlib.error as error:
        raise ValueError("not gzip") from error
    if len(unpacked) > ANSWER_BYTES_MAX:
        raise AnswerTooLarge(f"more than {ANSWER_BYTES_MAX} bytes unpacked")
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError("gzip stream without its end, or with something behind it")
    return unpacked


def _root(error: BaseException) -> BaseException:
    """The system's error below those of ``requests`` and ``urllib3``, or else the innermost one."""
    chain = [error]
    while len(chain) < _CHAIN_MAX:
        inner = chain[-1].__cause__ or chain[-1].__context__
        if inner is None:
            break
        chain.append(inner)
    of_system = [
        e for e in chain if isinstance(e, OSError) and not isinstance(e, requests.RequestException)
    ]
    return of_system[-1] if of_system else chain[-1]
