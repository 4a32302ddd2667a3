"""Targets: what the server, or somebody in between, answers."""

import math
from collections.abc import Callable
from typing import Final, TypeAlias

from shipper.auth.account import parse_account, parse_ingest_host
from shipper.auth.server_time import ServerTime
from shipper.auth.tokens import read_times, read_token
from shipper.protocol.events import RowsAccepted
from shipper.protocol.replies import HttpReply, decode_append, decode_open, decode_status, follows
from shipper.protocol.retry_after import RETRY_AFTER_MAX_S, retry_after_s
from shipper.protocol.token import TokenUnreadable, parse
from tests.emulators.clock import ManualClock
from tests.fuzz.cursor import Cursor, pieces

Target: TypeAlias = Callable[[bytes], None]
"""Takes one input; raises for a finding."""

_STATUSES: Final = (200, 202, 301, 400, 401, 403, 404, 408, 409, 410, 413, 429, 500, 503)
_ACCOUNT: Final = parse_account("ORG-NAME")
_HOST_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-.")
_SENT: Final = "0_7"
_CHANNEL: Final = "TH_0123456789ABCDEF"
_STATUS: Final = (
    b'{"channel_status_code":"SUCCESS","last_committed_offset_token":"v1|0123456789abcdef||'
    b'00000000000000000007","created_on_ms":1,"rows_inserted":7,"rows_error_count":0}'
)


def reply(data: bytes) -> None:
    """An answer to any call is one event, whatever it is."""
    cursor = Cursor(data)
    call, status = cursor.number(3), _STATUSES[cursor.number(len(_STATUSES))]
    headers = {"retry-after": cursor.text(), "date": cursor.text()}
    answer = HttpReply(status, headers, cursor.rest())
    if call == 0:
        decode_open(answer)
    elif call == 1:
        event = decode_append(answer, _SENT)
        if isinstance(event, RowsAccepted):
            assert status < 300, "rows are accepted by a failure"
            assert follows(_SENT, event.continuation), "a token is adopted that does not follow"
    else:
        decode_status(answer, _CHANNEL)
    wish_s = retry_after_s(headers)
    assert wish_s is None or 0 <= wish_s <= RETRY_AFTER_MAX_S, f"waits for {wish_s} s"


def offset_token(data: bytes) -> None:
    """An offset token that can be read is written again as it was: no two texts mean the same."""
    text = data.decode("utf-8", "replace")
    try:
        read = parse(text)
    except TokenUnreadable:
        return
    assert str(read) == text, f"{text!r} is read as {read}"


def sign_in(data: bytes) -> None:
    """What comes back from a sign-in is a token that fits into a header, or nothing."""
    token = read_token(data)
    if token is None:
        return
    assert token.isascii() and token.isprintable() and " " not in token  # noqa: PT018 - one claim
    for seconds in read_times(token):
        assert seconds is None or math.isfinite(seconds), f"a life of {seconds} s"


def host_name(data: bytes) -> None:
    """The name of the ingest host is one of Snowflake's, or it is refused."""
    name = parse_ingest_host(data, _ACCOUNT)
    assert name is None or name.endswith(".snowflakecomputing.com"), f"keys are sent to {name!r}"
    assert name is None or _HOST_LETTERS.issuperset(name), f"{name!r} is no host name"


def server_date(data: bytes) -> None:
    """Whatever ``Date`` says, our idea of the server's time stays a time."""
    cursor, time = Cursor(data), ServerTime(ManualClock())
    time.learn(cursor.text(), cursor.text())
    assert math.isfinite(time.now_s())


SEEDS: Final[dict[Target, tuple[bytes, ...]]] = {
    reply: (
        b"\0\0\0\0" + pieces(b"", b"", b'{"next_continuation_token":"0_1","channel_status":'
                             + _STATUS + b"}"),
        b"\0\1\0\0" + pieces(b"", b"", b'{"status_code":0,"next_continuation_token":"0_8"}'),
        b"\0\1\0\3" + pieces(b"", b"", b'{"code":"STALE_CONTINUATION_TOKEN_SEQUENCER"}'),
        b"\0\1\0\13" + pieces(b"Fri, 20 Nov 2026 10:00:30 GMT", b"Fri, 20 Nov 2026 10:00:00 GMT"),
        b"\0\2\0\0" + pieces(b"3", b"", b'{"channel_statuses":{"TH_0123456789ABCDEF":'
                             + _STATUS + b"}}"),
        b"\0\2\0\15" + pieces(b"", b"", b'"ERR_GENERAL_EXCEPTION_RETRY_REQUEST"'),
    ),
    offset_token: (
        b"v1|0123456789abcdef||00000000000000000007",
        b"v1|0123456789abcdef|0000000000000001,0000000000000002|00000000000000000550",
    ),
    sign_in: (b"abc.eyJleHAiOjE3OTIwMDAwMDAsImlhdCI6MX0.sig", b'{"token":"a.b.c"}'),
    host_name: (b"abc.snowflakecomputing.com", b'{"hostname":"x.eu.snowflakecomputing.com"}'),
    server_date: (pieces(b"Fri, 20 Nov 2026 10:00:00 GMT", b"0"),),
}
