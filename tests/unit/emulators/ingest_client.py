"""A bare client of the server's wire: what it is told to send, and what came back, unjudged."""

import http.client
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

PIPE_PATH = "/v2/streaming/databases/DB/schemas/SCHEMA/pipes/T-STREAMING"
DATA_PATH = "/v2/streaming/data/databases/DB/schemas/SCHEMA/pipes/T-STREAMING"
CHANNEL_PATH = f"{PIPE_PATH}/channels/TH_01"
ROWS_PATH = f"{DATA_PATH}/channels/TH_01/rows"
STATUS_PATH = f"{PIPE_PATH}:bulk-channel-status"


class Address(Protocol):
    """Where a server listens, and what to trust; an ``IngestServer`` is one."""

    @property
    def port(self) -> int:
        """On 127.0.0.1."""

    ca_file: Path


@dataclass(frozen=True)
class Reply:
    """What came back; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The error code, under whichever key."""
        return str(self.json.get("code") or self.json.get("error_code"))


class Client:
    """One keep-alive connection, signed in with a made-up access token."""

    def __init__(self, server: Address, timeout_s: float = 10.0) -> None:
        """Take the server; connects at the first request."""
        context = ssl.create_default_context(cafile=str(server.ca_file))
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        self._connection = http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=timeout_s, context=context
        )
        self.headers = {"Accept": "application/json", "Authorization": "Bearer made-up-token"}

    def __enter__(self) -> Self:
        """Nothing."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connection."""
        self._connection.close()

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> Reply:
        """Send a request; header names have ``_`` for ``-``; a value of '' removes the header."""
        own = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in (self.headers | own).items() if value}
        try:
            self._connection.request(method, path, body, sent)
            reply = self._connection.getresponse()
            content = reply.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, content)

    def open(self, **asked: object) -> Reply:
        """Open the channel."""
        return self.ask("PUT", CHANNEL_PATH, json.dumps(asked).encode())

    def append(self, token: str, seq: int, body: bytes | None = None, **headers: str) -> Reply:
        """Append one row, or a body."""
        query = f"?continuationToken={token}&startOffsetToken={seq}&endOffsetToken={seq}"
        row = b'{"seq":%d}\n' % seq if body is None else body
        return self.ask("POST", ROWS_PATH + query, row, **headers)

    def channel_status(self) -> Any:
        """The channel's status object; ``None``: no such channel."""
        reply = self.ask("POST", STATUS_PATH, b'{"channel_names":["TH_01"]}')
        return reply.json["channel_statuses"].get("TH_01")
