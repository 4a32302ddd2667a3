"""What we ask of the server: one function per call, each giving one ``HttpRequest``.

Paths and keys are those of Snowflake's Snowpipe Streaming REST reference. What is secret or belongs
to a connection (``Authorization``, token type, sticky session, ``User-Agent``, ``Accept``) is added
by the transport.
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from shipper.protocol.batch import Batch

_UNRESERVED: Final = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)


class Host(StrEnum):
    """Which of the two hosts a request goes to."""

    ACCOUNT = "account"
    INGEST = "ingest"


class Operation(StrEnum):
    """What a request is for; a label of metrics and the key of the table of replies."""

    HOSTNAME = "hostname"
    TOKEN = "token"  # noqa: S105 - no password, the name of a call
    OPEN = "open"
    APPEND = "append"
    STATUS = "status"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, complete but for what the transport adds.

    Attributes:
        method: "GET", "PUT", "POST" or "DELETE".
        path: percent-encoded, from the first "/".
        query: names and values, in order, not yet percent-encoded.
        headers: names (lower case) and values.
        body: as it goes on the wire, compressed if a header says so; empty: none.
        host: where it goes.
        operation: what it is for.
    """

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: tuple[tuple[str, str], ...]
    body: bytes
    host: Host
    operation: Operation


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows go: names as the server knows them.

    A change of it is an event, not a regression.
    """

    account: str
    database: str
    schema: str
    pipe: str

    def __str__(self) -> str:
        return f"{self.account}/{self.database}.{self.schema}.{self.pipe}"

    @property
    def pipe_path(self) -> str:
        """Path of the pipe below ``/v2/streaming[/data]``."""
        names = (self.database, self.schema, self.pipe)
        return "/databases/{}/schemas/{}/pipes/{}".format(*map(quote, names))


@dataclass(frozen=True, slots=True)
class Call:
    """The id of one request: the same on all its tries, which are counted from 0."""

    request_id: str
    retry: int = 0

    @property
    def query(self) -> tuple[tuple[str, str], ...]:
        """The two parameters that every call carries."""
        return (("requestId", self.request_id), ("retryCount", str(self.retry)))


def quote(text: str) -> str:
    """Percent-encode one segment of a path; everything but RFC 3986's unreserved characters."""
    return "".join(chr(b) if b in _UNRESERVED else f"%{b:02X}" for b in text.encode())


def open_channel(
    target: Target, channel: str, call: Call, *, fail_on_uncommitted: bool
) -> HttpRequest:
    """Create or take over the channel.

    Never with an offset token: it would overwrite the server's.
    """
    return HttpRequest(
        method="PUT",
        path=f"/v2/streaming{target.pipe_path}/channels/{quote(channel)}",
        query=call.query,
        headers=(("content-type", "application/json"),),
        body=_json({"fail_on_uncommitted_rows": fail_on_uncommitted}),
        host=Host.INGEST,
        operation=Operation.OPEN,
    )


def append_rows(
    target: Target, channel: str, batch: Batch, continuation: str, retry: int
) -> HttpRequest:
    """Send a frozen batch (the API's "Append Rows"); its bytes and id are the same on every try."""
    tokens = (
        ("startOffsetToken", batch.start_token),
        ("endOffsetToken", batch.end_token),
        ("continuationToken", continuation),
    )
    return HttpRequest(
        method="POST",
        path=f"/v2/streaming/data{target.pipe_path}/channels/{quote(channel)}/rows",
        query=tokens + Call(batch.request_id, retry).query,
        headers=(
            ("content-type", "application/x-ndjson"),
            ("content-encoding", "gzip"),
            ("x-snowflake-uncompressed-content-length", str(batch.raw_bytes)),
        ),
        body=batch.body,
        host=Host.INGEST,
        operation=Operation.APPEND,
    )


def channel_status(target: Target, channel: str, call: Call) -> HttpRequest:
    """Ask what is committed; changes nothing."""
    return HttpRequest(
        method="POST",
        path=f"/v2/streaming{target.pipe_path}:bulk-channel-status",
        query=call.query,
        headers=(("content-type", "application/json"),),
        body=_json({"channel_names": [channel]}),
        host=Host.INGEST,
        operation=Operation.STATUS,
    )


def drop_channel(target: Target, channel: str, call: Call) -> HttpRequest:
    """Remove a channel of a check or a backfill; refused while rows of it are uncommitted."""
    return HttpRequest(
        method="DELETE",
        path=f"/v2/streaming{target.pipe_path}/channels/{quote(channel)}",
        query=call.query,
        headers=(("content-type", "application/json"),),
        body=_json({"fail_on_uncommitted_rows": True}),
        host=Host.INGEST,
        operation=Operation.DROP,
    )


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
