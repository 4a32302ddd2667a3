"""What a fault does to one request: values, and how an injected answer looks on the wire. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

from tests.emulators.ingest.wire import JSON_TYPE, Response

SHAPES: Final = (
    "code",
    "error_code",
    "error",
    "string",
    "text",
    "html",
    "empty",
    "status_code",
    "rubbish",
    "huge",
)
"""Error bodies that clients have met; see ``BEHAVIOUR.md``."""

HUGE_BYTES: Final = 3 << 20
"""More than any answer of the API has."""

_HTML: Final = (
    "<!DOCTYPE html><html><head><title>{title}</title></head>"
    "<body><h1>{title}</h1><p>{message}</p></body></html>"
)


@dataclass(frozen=True, slots=True)
class DropRequest:
    """The request is read and forgotten; the connection is reset."""


@dataclass(frozen=True, slots=True)
class DropReply:
    """The request is carried out; the connection is reset instead of an answer."""


@dataclass(frozen=True, slots=True)
class Delay:
    """A wait before the request is carried out, or between that and its answer."""

    seconds: float
    before: bool


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The network delivers the request twice; the first answer is returned."""


@dataclass(frozen=True, slots=True)
class Drip:
    """The answer's body comes one byte at a time, with pauses."""

    bytes_per_s: float


@dataclass(frozen=True, slots=True)
class Truncate:
    """The connection is reset after so many bytes of the body, fewer than were announced."""

    keep: int


@dataclass(frozen=True, slots=True)
class Late:
    """The connection is reset, and the request is carried out all the same, so much later.

    It was kept somewhere on the way: after a reopen its session is an old one.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Stale:
    """A status is answered as it was so long ago, by a replica that is behind or by a cache.

    Attributes:
        cached: whether it says so itself, by an ``Age`` header, as a cache does.
    """

    seconds: float
    cached: bool


@dataclass(frozen=True, slots=True)
class GzipRubbish:
    """The answer claims to be gzip and is not."""


@dataclass(frozen=True, slots=True)
class UnknownKeys:
    """JSON objects in the answer have keys that nobody has heard of."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Another answer than the server's own.

    Attributes:
        shape: one of ``SHAPES``.
        retry_after: seconds; ``date:N`` for an HTTP date N seconds ahead; anything else as it
            is; empty: no such header.
        location: of a redirect; empty: none.
        applied: whether the request is carried out first, so that the answer is a lie.
    """

    status: int
    shape: str
    code: str = ""
    message: str = ""
    retry_after: str = ""
    location: str = ""
    applied: bool = False

    def __post_init__(self) -> None:
        """Refuse a shape or status that does not exist."""
        if self.shape not in SHAPES:
            raise ValueError(f"shape={self.shape!r}, expected one of {', '.join(SHAPES)}")
        if not 200 <= self.status <= 599:
            raise ValueError(f"status={self.status} is outside 200..599")


@dataclass(frozen=True, slots=True)
class Storm:
    """A random answer out of a bad day's: 500, 502, 503, 504, 429, in all their shapes."""

    applied: bool


@dataclass(frozen=True, slots=True)
class Mishap:
    """Something happens to the server itself; ``mishaps`` knows the names and their options."""

    name: str
    options: Mapping[str, str]


Effect = (
    DropRequest
    | DropReply
    | Delay
    | Duplicate
    | Drip
    | Truncate
    | Late
    | Stale
    | GzipRubbish
    | UnknownKeys
    | Answer
    | Storm
    | Mishap
)

DECIDING: Final = (DropRequest, DropReply, Late, Answer, Storm)
"""Effects that decide what is answered; a request meets one of them at most."""

BAD_DAY: Final = (
    (500, "string", "ERR_GENERAL_EXCEPTION_RETRY_REQUEST"),
    (503, "string", "ERR_GENERAL_EXCEPTION_RETRY_REQUEST"),
    (502, "html", "Bad Gateway"),
    (503, "text", "upstream connect error or disconnect/reset before headers"),
    (503, "empty", ""),
    (504, "text", "upstream request timeout"),
    (500, "code", "ERR_INTERNAL_ERROR"),
    (429, "code", "390701"),
)
"""Status, shape, and code or text: what a storm draws from."""


def rendered(answer: Answer, now_s: float) -> Response:
    """An injected answer as it is sent.

    Args:
        answer: what to say.
        now_s: of the server's clock, for an HTTP date.
    """
    headers: list[tuple[str, str]] = []
    if answer.retry_after.startswith("date:"):
        ahead_s = float(answer.retry_after.removeprefix("date:"))
        headers.append(("Retry-After", formatdate(now_s + ahead_s, usegmt=True)))
    elif answer.retry_after:
        headers.append(("Retry-After", answer.retry_after))
    if answer.location:
        headers.append(("Location", answer.location))
    body, content_type = _body(answer)
    return Response(answer.status, body, content_type, tuple(headers))


def _body(answer: Answer) -> tuple[bytes, str]:
    code, message = answer.code, answer.message
    match answer.shape:
        case "code" | "error_code" | "error" as key:
            return json.dumps({key: code, "message": message}).encode(), JSON_TYPE
        case "status_code":
            return json.dumps({"status_code": int(code), "message": message}).encode(), JSON_TYPE
        case "string":
            return json.dumps(code).encode(), JSON_TYPE
        case "html":
            text = _HTML.format(title=code or message, message=message)
            return text.encode(), "text/html; charset=utf-8"
        case "rubbish":
            return b"\x00\xff{not json", JSON_TYPE
        case "empty":
            return b"", "text/plain"
        case "huge":
            return b" " * HUGE_BYTES + b"{}", JSON_TYPE
    return (message or code).encode(), "text/plain"


def disturbed(response: Response, effect: UnknownKeys | GzipRubbish) -> Response:
    """The server's own answer with unknown keys, or as rubbish that claims to be gzip."""
    if isinstance(effect, GzipRubbish):
        headers = (*response.headers, ("Content-Encoding", "gzip"))
        return Response(response.status, b"\x1f\x8b\x08\x00rubbish", response.content_type, headers)
    if response.content_type != JSON_TYPE:
        return response
    body = json.dumps(_with_unknown(json.loads(response.body))).encode()
    return Response(response.status, body, response.content_type, response.headers)


def _with_unknown(value: object, key: str = "") -> object:
    """Objects with two more keys each; a map by channel name is no object and stays."""
    if isinstance(value, dict):
        known = {name: _with_unknown(each, name) for name, each in value.items()}
        if key == "channel_statuses":
            return known
        return {"zz_unknown": {"a": [1, None]}} | known | {"zz_other": "…"}
    return value
