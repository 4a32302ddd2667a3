"""The transport: what the protocol wants to send, signed, addressed and sent; the reply as it came.

Adds what belongs to a connection and not to the protocol: the host, the token, the sticky session,
the headers that every call carries. The protocol never sees a secret.
"""

import platform
from collections.abc import Callable
from typing import Final, TypeVar
from urllib.parse import quote
from uuid import uuid4

from common import __version__
from common.errors import ThermalError
from shipper.auth.account import Account, base_url, parse_ingest_host
from shipper.auth.credentials import Tools
from shipper.auth.errors import SignInFailed
from shipper.auth.tokens import Bearer, Credential, ScopedTokens
from shipper.protocol.errors import DENIED, NotSent, OutcomeUnknown
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import Host, HttpRequest, Operation
from shipper.wire import Outgoing, Wire

SIGN_IN_DEADLINE_S: Final = 15.0
"""For finding the ingest host, and for the token, each; a request's own deadline comes on top."""
_LACKS: Final = {"hostname": "host", "token": "token"}
"""What is missing when a step of the sign-in failed."""
SESSION_HEADER: Final = "x-snowflake-session"
USER_AGENT: Final = (
    f"thermal-shipper/{__version__} ({platform.system()} {platform.machine()}) "
    f"PYTHON/{platform.python_version()}"
)

Observe = Callable[[Operation, str, float], None]
"""Told of each call: what it was for, the status ("200") or the kind of error, seconds it took."""

_T = TypeVar("_T")


class HttpTransport:
    """Sends requests over HTTPS, one at a time; see ``shipper.ports.Transport``."""

    def __init__(
        self, wire: Wire, account: Account, credential: Credential, tools: Tools, observe: Observe
    ) -> None:
        self._wire = wire
        self._account = account
        self._credential = credential
        self._tools = tools
        self._observe = observe
        self._tokens = ScopedTokens(
            credential, self._exchange_token, tools.time, tools.clock, tools.hide
        )
        self._ingest_host: str | None = None
        self._session: tuple[str, str] | None = None
        self.problem = ""
        """Why the last request came to no reply, for a person; "" when it did."""

    def send(self, request: HttpRequest, deadline_s: float) -> HttpReply:
        """Send one request and wait for its reply, whatever its status.

        Args:
            request: what to send.
            deadline_s: for this request, connecting and reading included; finding the host and
                signing in, when that is needed first, have deadlines of their own.

        Raises:
            NotSent: surely not applied; also when there is no host or no token to send it with.
            OutcomeUnknown: perhaps applied.
        """
        try:
            base, bearer = self._prepared(request.host)
            reply = self._send(request, base, bearer, deadline_s)
        except (NotSent, OutcomeUnknown) as error:
            self.problem = str(error)
            raise
        self.problem = ""
        return reply

    def renew(self) -> None:
        """Sign anew before the next request: the server refused the token."""
        self._tokens.reset()
        self._credential.forget()

    def rediscover(self) -> None:
        """Find the ingest host anew, over new connections: it moved, or cannot be reached."""
        self._ingest_host = None
        self._session = None
        self._tokens.reset()
        self._wire.close()

    def close(self) -> None:
        """Close the kept connections."""
        self._wire.close()

    def ingest_host(self) -> str:
        """The ingest host, asked for when it is not known.

        Raises:
            SignInFailed, NotSent, OutcomeUnknown, ThermalError: it cannot be had.
        """
        if self._ingest_host is None:
            self._ingest_host = self._signed_in(self._discover)
        return self._ingest_host

    def sign_in(self) -> Bearer:
        """The token for the ingest host.

        Raises:
            SignInFailed, NotSent, OutcomeUnknown, ThermalError: it cannot be had.
        """
        host = self.ingest_host()
        return self._signed_in(lambda: self._tokens.bearer(host))

    def expiries(self) -> dict[str, float]:
        """When each token expires, seconds since 1970; only those that are known."""
        known = {
            self._credential.kind: self._credential.expires_s(),
            "scoped_token": self._tokens.expires_s(),
        }
        return {kind: at_s for kind, at_s in known.items() if at_s is not None}

    def _prepared(self, host: Host) -> tuple[str, Bearer]:
        """Base address and token for a host; whatever fails here, the request was not sent."""
        try:
            return self._ready(host)
        except SignInFailed as error:
            kind = DENIED if error.refused else f"no_{_LACKS[error.step]}"
            raise NotSent(kind, f"{error}; {error.remedy}", error.retry_after_s) from None
        except OutcomeUnknown as error:
            # Only the sign-in's outcome is unknown; it may simply be done again.
            raise NotSent(error.kind, f"sign-in: {error}") from None
        except ThermalError as error:
            text = f"{error}; {error.hint}" if error.hint else str(error)
            raise NotSent("no_token", text) from None

    def _ready(self, host: Host) -> tuple[str, Bearer]:
        """Base address and token for a host."""
        if host is Host.ACCOUNT:
            return self._account.url, self._credential.bearer()
        bearer = self.sign_in()
        return base_url(self.ingest_host(), self._account.port), bearer

    def _signed_in(self, step: Callable[[], _T]) -> _T:
        """Do a step of the sign-in; once more when our clock was what the server refused."""
        try:
            return step()
        except SignInFailed as error:
            if not error.refused:
                raise
            mistimed = self._credential.mistimed()
            # A key or token that was replaced meanwhile is found at the next try.
            self._credential.forget()
            if not mistimed:
                raise
        return step()

    def _send(
        self, request: HttpRequest, base: str, bearer: Bearer, deadline_s: float
    ) -> HttpReply:
        headers = request.headers
        sticky = request.operation is Operation.APPEND
        if sticky and self._session is not None and self._session[0] == request.path:
            headers += ((SESSION_HEADER, self._session[1]),)
        query = "&".join(f"{name}={quote(value, safe='')}" for name, value in request.query)
        url = base + request.path + (f"?{query}" if query else "")
        outgoing = Outgoing(
            request.method, url, headers + _common_headers(bearer), request.body, deadline_s
        )
        reply = self._exchange(request.operation, outgoing)
        if sticky:
            session = reply.headers.get(SESSION_HEADER)
            self._session = None if session is None else (request.path, session)
        return reply

    def _exchange(self, operation: Operation, outgoing: Outgoing) -> HttpReply:
        """One call on the wire, observed, and the server's time learnt from it."""
        clock = self._tools.clock
        start_s = clock.monotonic_s()
        code = "unexpected"
        try:
            reply = self._wire.exchange(outgoing)
            code = str(reply.status)
        except (NotSent, OutcomeUnknown) as error:
            code = error.kind
            raise
        finally:
            self._observe(operation, code, clock.monotonic_s() - start_s)
        self._tools.time.learn(reply.headers.get("date"), reply.headers.get("age"))
        return reply

    def _discover(self) -> str:
        """Ask the account host for the ingest host."""
        headers = _common_headers(self._credential.bearer())
        url = f"{self._account.url}/v2/streaming/hostname?{_ids()}"
        reply = self._exchange(
            Operation.HOSTNAME, Outgoing("GET", url, headers, b"", SIGN_IN_DEADLINE_S)
        )
        if reply.status != 200:
            raise SignInFailed.of("hostname", reply)
        host = parse_ingest_host(reply.body, self._account)
        if host is None:
            raise SignInFailed("hostname", 200, "", "the answer is no host name of this account")
        return host

    def _exchange_token(self, form: bytes, bearer: Bearer) -> HttpReply:
        """Post the form of a token exchange; see ``auth.tokens.Exchange``."""
        headers = (
            *_common_headers(bearer), ("content-type", "application/x-www-form-urlencoded"),
        )
        url = f"{self._account.url}/oauth/token?{_ids()}"
        return self._exchange(
            Operation.TOKEN, Outgoing("POST", url, headers, form, SIGN_IN_DEADLINE_S)
        )


def _common_headers(bearer: Bearer) -> tuple[tuple[str, str], ...]:
    """What every call carries; without ``Accept`` the server answers 391902."""
    return (
        ("Authorization", f"Bearer {bearer.token.reveal()}"),
        ("X-Snowflake-Authorization-Token-Type", bearer.type),
        ("Accept", "application/json"),
        ("Accept-Encoding", "gzip"),
        ("User-Agent", USER_AGENT),
        ("Cache-Control", "no-store"),
    )


def _ids() -> str:
    """The two parameters that every call carries, for the calls of the sign-in itself."""
    return f"requestId={uuid4()}&retryCount=0"
