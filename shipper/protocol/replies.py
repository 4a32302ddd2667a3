"""What an answer means: (operation, reply) becomes one event.

Three outcomes of an append are kept apart, because exactly-once rests on it: accepted (200, JSON, a
fitting token), certainly not applied (429, 401, 403, 413, a 4xx with a code), and everything else,
which is unknown.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeGuard

from shipper.protocol.codes import STATUS_CODES, TEXT_MAX, Body, Meaning, read_body
from shipper.protocol.events import (
    ChannelLost,
    ChannelOpened,
    ChannelStatus,
    Event,
    Fault,
    Misconfigured,
    Moved,
    Refused,
    RowsAccepted,
    StatusReported,
    Throttled,
    Unauthorized,
    UncommittedRows,
    Unresolved,
)
from shipper.protocol.requests import Operation
from shipper.protocol.retry_after import retry_after_s

_PAIR: Final = re.compile(r"\A(0|[1-9][0-9]{0,17})_(0|[1-9][0-9]{0,17})\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A whole answer.

    Attributes:
        status: HTTP status.
        headers: names in lower case.
        body: decoded from any transfer or content encoding.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def decode_open(reply: HttpReply) -> Event:
    """The answer to an open."""
    body = read_body(reply.body)
    if reply.status not in (200, 201):
        return _failure(Operation.OPEN, reply, body)
    given = body.object or {}
    token = given.get("next_continuation_token")
    status = read_status(given.get("channel_status"))
    if not isinstance(token, str) or not token or status is None:
        return _unfit(body)
    if not status.healthy:
        return unhealthy(status)
    return ChannelOpened(token, status)


def decode_append(reply: HttpReply, sent_token: str) -> Event:
    """The answer to an append under ``sent_token``."""
    body = read_body(reply.body)
    if reply.status not in (200, 201, 202):
        return _failure(Operation.APPEND, reply, body)
    given = body.object
    if given is None:
        return _unfit(body)
    number = given.get("status_code")
    if number not in (None, 0, "0"):
        return _rejected_200(number, body)
    token = given.get("next_continuation_token")
    if not isinstance(token, str) or not token or not follows(sent_token, token):
        return ChannelLost("unfit_continuation_token")
    return RowsAccepted(token)


def decode_status(reply: HttpReply, channel: str) -> Event:
    """The answer to a status poll of one channel."""
    body = read_body(reply.body)
    if reply.status != 200:
        return _failure(Operation.STATUS, reply, body)
    statuses = (body.object or {}).get("channel_statuses")
    if not isinstance(statuses, dict):
        return _unfit(body)
    if channel not in statuses:
        return ChannelLost("channel_not_listed")
    status = read_status(statuses[channel])
    if status is None:
        return _unfit(body)
    return StatusReported(status) if status.healthy else unhealthy(status)


def _unfit(body: Body) -> Event:
    """A 200 that is none: of a captive portal, of a proxy, or of something that is unwell."""
    return Unresolved("web_page" if body.is_page else "unfit_answer")


def follows(sent: str, received: str) -> bool:
    """Whether a continuation token can be the next one (rule 10).

    When both look like ``<client>_<row>``, only the same client's next row fits; tokens of any
    other shape are opaque and need only differ.
    """
    old, new = _PAIR.match(sent), _PAIR.match(received)
    if old is None or new is None:
        return sent != received
    return old[1] == new[1] and int(new[2]) == int(old[2]) + 1


def read_status(given: Any) -> ChannelStatus | None:
    """A status object in either of its spellings.

    ``None`` when what counts is missing or no number.
    """
    if not isinstance(given, dict):
        return None
    errors = given.get("rows_error_count", given.get("rows_errors"))
    created, inserted = given.get("created_on_ms"), given.get("rows_inserted")
    if not (_is_count(created) and _is_count(inserted) and _is_count(errors)):
        return None
    committed = given.get("last_committed_offset_token")
    bound = given.get("last_error_offset_upper_bound")
    code = given.get("channel_status_code")
    if not isinstance(committed, str | None) or not isinstance(code, str | int):
        return None
    return ChannelStatus(
        code=str(code)[:TEXT_MAX],
        # An empty token names no row: nothing was committed with one.
        committed=committed or None,
        created_on_ms=created,
        rows_inserted=inserted,
        rows_error=errors,
        last_error=str(given.get("last_error_message") or "")[:TEXT_MAX],
        error_upper_bound=bound if isinstance(bound, str) and bound else None,
    )


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and value >= 0


def unhealthy(status: ChannelStatus) -> Event:
    """A 200 that tells of a channel which cannot be used; the default is to open it again."""
    meaning = Body(None, True, status.code, "").meaning
    if meaning in (Meaning.OPERATOR, Meaning.OURS):
        return Misconfigured(status.code, status.last_error)
    return ChannelLost(status.code, fenced=meaning is Meaning.FENCED)


def _rejected_200(number: object, body: Body) -> Event:
    """A 200 whose ``status_code`` says otherwise."""
    meaning = STATUS_CODES.get(number) if isinstance(number, int) else None
    if meaning is Meaning.UNAUTHORIZED:
        return Unauthorized(f"status_code {number}")
    fenced = Meaning.FENCED in (meaning, body.meaning)
    return ChannelLost(body.code or f"status_code {number}"[:TEXT_MAX], fenced=fenced)


def _failure(operation: Operation, reply: HttpReply, body: Body) -> Event:
    """Any status but success."""
    code = body.code or f"http_{reply.status}"
    by_status = _by_status(reply, body, code)
    if by_status is not None:
        return by_status
    match body.meaning:
        case Meaning.FENCED | Meaning.LOST:
            return ChannelLost(code, fenced=body.meaning is Meaning.FENCED)
        case Meaning.UNCOMMITTED:
            return UncommittedRows()
        case Meaning.BUSY:
            return Throttled(code, retry_after_s(reply.headers))
        case Meaning.RETRY:
            return Unresolved(code, retry_after_s(reply.headers))
        case Meaning.UNAUTHORIZED:
            return Unauthorized(code)
        case Meaning.OPERATOR | Meaning.OURS:
            return Misconfigured(code, body.message)
        case _:
            return _unknown_code(operation, reply, body, code)


def _by_status(reply: HttpReply, body: Body, code: str) -> Event | None:
    """What the status alone decides; ``None``: the code decides."""
    status = reply.status
    if status == 429:
        return Throttled(code, retry_after_s(reply.headers))
    if status in (401, 403):
        return Unauthorized(code)
    if status == 410:
        return Moved()
    if status == 413:
        return Refused(Fault.TOO_LARGE, code, body.message)
    # A redirect is never followed: a POST would come back as a GET that answers 200. A 404 that is
    # not JSON comes from a proxy that lost its route (kafka-connector #1499), not from the service.
    if status in (408, 499) or status >= 500 or status < 400:
        return Unresolved(code, retry_after_s(reply.headers))
    if status == 404 and not body.is_json:
        return Unresolved("http_404_proxy", retry_after_s(reply.headers))
    return None


def _unknown_code(operation: Operation, reply: HttpReply, body: Body, code: str) -> Event:
    """A 4xx whose code is not in the table."""
    if operation is Operation.APPEND:
        if reply.status == 400 and body.is_answer:
            return Refused(Fault.CONTENT, code, body.message)
        if reply.status == 400:
            return Unresolved("http_400_proxy")
        return ChannelLost(code)
    if not body.is_json:
        return Unresolved(code)
    return Misconfigured(code, body.message)
