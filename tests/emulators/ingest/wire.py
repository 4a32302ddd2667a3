"""Requests and responses as values, and the JSON that real answers have. No socket, no state."""

import gzip
import io
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final
from urllib.parse import parse_qsl

from tests.emulators.ingest.answers import ChannelStatus, Refused

BODY_BYTES_MAX: Final = 4_194_304
"""Cap of an append's body on the wire, after compression; one more is 413 (live: supabase/etl)."""

ZSTD_WINDOW_BYTES_MAX: Final = 32 * 1024 * 1024
SERVER: Final = "SF-LB-T1"
JSON_TYPE: Final = "application/json"
TEXT_TYPE: Final = "text/plain"


class Endpoint(StrEnum):
    """What a request is for; the names that faults are aimed with."""

    HOSTNAME = "hostname"
    TOKEN = "token"
    OPEN = "open"
    APPEND = "append"
    STATUS = "status"
    DROP = "drop"
    ELASTIC = "elastic"
    PIPE_INFO = "pipe_info"
    TELEMETRY = "telemetry"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came.

    Attributes:
        path: still percent-encoded, without the query.
        query: without the question mark.
        headers: names in lower case.
        body: as on the wire.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def parameters(self) -> dict[str, str]:
        """The query decoded; of a name that comes twice the last one."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def form(self) -> dict[str, str]:
        """The body as a form."""
        return dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class Response:
    """One response; the server adds Date and the headers that every answer has.

    Attributes:
        headers: names as they are sent.
    """

    status: int
    body: bytes = b""
    content_type: str = JSON_TYPE
    headers: tuple[tuple[str, str], ...] = ()


def json_response(status: int, value: object) -> Response:
    """A response with a JSON body."""
    return Response(status, json.dumps(value, separators=(",", ":")).encode())


def text_response(status: int, text: str) -> Response:
    """A response with plain text."""
    return Response(status, text.encode(), TEXT_TYPE)


def error_response(refused: Refused, endpoint: Endpoint | None) -> Response:
    """An error body: ``error_code`` on the control plane, ``code`` everywhere else.

    Redpanda Connect saw ``error_code`` on bulk status live; for open and drop it is inferred.
    """
    control = endpoint in (Endpoint.OPEN, Endpoint.STATUS, Endpoint.DROP)
    key = "error_code" if control else "code"
    return json_response(refused.status, {key: refused.code, "message": refused.message})


def status_json(status: ChannelStatus) -> dict[str, Any]:
    """A channel status with every key that a client is known to read."""
    pipe = status.name.pipe
    return {
        "database_name": pipe.database,
        "schema_name": pipe.schema,
        "pipe_name": pipe.name,
        "channel_name": status.name.channel,
        "channel_status_code": status.code,
        "last_committed_offset_token": status.committed_token,
        "created_on_ms": status.created_on_ms,
        "rows_inserted": status.rows_inserted,
        "rows_parsed": status.rows_parsed,
        "rows_error_count": status.rows_error_count,
        "last_error_offset_upper_bound": status.last_error_offset_upper_bound,
        "last_error_message": status.last_error_message,
        "last_error_timestamp": status.last_error_timestamp_ms,
        "last_error_timestamp_ms": status.last_error_timestamp_ms,
        "snowflake_avg_processing_latency_ms": status.latency_ms,
        "status_code": 0,
        "message": None,
    }


def json_object(body: bytes) -> dict[str, Any]:
    """A request's JSON object; an empty body is an empty object.

    Raises:
        Refused: 400 when it is something else.
    """
    try:
        value = json.loads(body or b"{}")
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Refused(400, "ERR_INVALID_REQUEST_BODY", "Body is not a JSON object")
    return value


def decoded(body: bytes, encoding: str) -> bytes:
    """A body without its Content-Encoding: gzip (members), zstd (frames), or none.

    Raises:
        Refused: 400 for another encoding or a body that is not in it.
    """
    try:
        match encoding.strip().lower():
            case "" | "identity":
                return body
            case "gzip":
                return gzip.decompress(body)
            case "zstd":
                return _unzstd(body)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise Refused(400, "ERR_INVALID_REQUEST_BODY", f"Body is not {encoding}: {error}") from None
    raise Refused(400, "ERR_UNSUPPORTED_CONTENT_ENCODING", encoding)


def _unzstd(body: bytes) -> bytes:
    """All frames of a zstd body; imported here so that a simulation does not need the package."""
    import zstandard

    decompressor = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES_MAX)
    try:
        with decompressor.stream_reader(io.BytesIO(body), read_across_frames=True) as reader:
            return bytes(reader.read())
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None
