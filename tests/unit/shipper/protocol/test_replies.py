"""What each answer of the server means."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shipper.protocol.codes import BODY_BYTES_MAX, read_body
from shipper.protocol.events import (
    ChannelLost,
    ChannelOpened,
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
from shipper.protocol.replies import (
    HttpReply,
    decode_append,
    decode_open,
    decode_status,
    follows,
    read_status,
)

STATUS = {
    "database_name": "D",
    "schema_name": "S",
    "pipe_name": "P",
    "channel_name": "C",
    "channel_status_code": "SUCCESS",
    "last_committed_offset_token": "t",
    "created_on_ms": 7,
    "rows_inserted": 5,
    "rows_parsed": 6,
    "rows_error_count": 1,
    "last_error_offset_upper_bound": "u",
    "last_error_message": "m",
    "last_error_timestamp_ms": 9,
    "snowflake_avg_processing_latency_ms": 3,
}


def reply(status: int, body: object = None, **headers: str) -> HttpReply:
    """An answer; text and bytes as they are, anything else as JSON."""
    names = {k.replace("_", "-"): v for k, v in headers.items()}
    if body is None or isinstance(body, bytes):
        return HttpReply(status, names, body or b"")
    return HttpReply(status, names, json.dumps(body).encode())


def append(answer: HttpReply) -> Event:
    """The meaning of an answer to an append under 0_1."""
    return decode_append(answer, "0_1")


APPENDS: list[tuple[HttpReply, Event]] = [
    (reply(200, {"status_code": 0, "next_continuation_token": "0_2"}), RowsAccepted("0_2")),
    (reply(200, {"next_continuation_token": "0_2", "message": None}), RowsAccepted("0_2")),
    (reply(200, {"next_continuation_token": "0_1"}), ChannelLost("unfit_continuation_token")),
    (reply(200, {"next_continuation_token": "0_3"}), ChannelLost("unfit_continuation_token")),
    (reply(200, {"next_continuation_token": "1_2"}), ChannelLost("unfit_continuation_token")),
    (reply(200, {"next_continuation_token": None}), ChannelLost("unfit_continuation_token")),
    (reply(200, {}), ChannelLost("unfit_continuation_token")),
    (
        reply(200, {"status_code": 4, "next_continuation_token": "0_2"}),
        ChannelLost("status_code 4", fenced=True),
    ),
    (
        reply(200, {"status_code": 3, "next_continuation_token": "0_2"}),
        Unauthorized("status_code 3"),
    ),
    (reply(200, {"status_code": 2, "code": "ERR_X"}), ChannelLost("ERR_X")),
    (reply(200, b"<html>hotel</html>"), Unresolved("web_page")),
    (reply(200, b'{"next_continuation_token":"0_2"'), Unresolved("unfit_answer")),
    (reply(200), Unresolved("unfit_answer")),
    (reply(302, b"", location="https://hotel/"), Unresolved("http_302")),
    (
        reply(400, {"code": "STALE_CONTINUATION_TOKEN_SEQUENCER", "message": "stale"}),
        ChannelLost("STALE_CONTINUATION_TOKEN_SEQUENCER", fenced=True),
    ),
    (
        reply(400, {"code": "ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED", "message": ""}),
        ChannelLost("ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED"),
    ),
    (
        reply(409, {"error_code": "ERR_CHANNEL_HAS_INVALID_ROW_SEQUENCER"}),
        ChannelLost("ERR_CHANNEL_HAS_INVALID_ROW_SEQUENCER"),
    ),
    (
        reply(409, {"error": "ERR_CHANNEL_MUST_BE_REOPENED"}),
        ChannelLost("ERR_CHANNEL_MUST_BE_REOPENED"),
    ),
    (
        reply(400, {"code": "ERR_INVALID_ROW", "message": "line 3"}),
        Refused(Fault.CONTENT, "ERR_INVALID_ROW", "line 3"),
    ),
    (reply(400, {"message": "x"}), Refused(Fault.CONTENT, "http_400", "x")),
    (reply(400, b"Bad Request"), Refused(Fault.CONTENT, "http_400", "Bad Request")),
    (reply(400, b"<html>Bad Request</html>"), Unresolved("http_400_proxy")),
    (reply(400), Unresolved("http_400_proxy")),
    (reply(413, b"Payload Too Large"), Refused(Fault.TOO_LARGE, "http_413", "Payload Too Large")),
    (reply(401, {"code": "390104"}), Unauthorized("390104")),
    (reply(403, b"<html>"), Unauthorized("http_403")),
    (reply(410), Moved()),
    (
        reply(
            429,
            {"code": "390701", "message": "Request rate exceeds max. Try later."},
            retry_after="7",
        ),
        Throttled("390701", 7.0),
    ),
    (reply(429), Throttled("http_429")),
    (reply(408), Unresolved("http_408")),
    (reply(499), Unresolved("http_499")),
    (
        reply(503, "ERR_GENERAL_EXCEPTION_RETRY_REQUEST"),
        Unresolved("ERR_GENERAL_EXCEPTION_RETRY_REQUEST"),
    ),
    (reply(500, b"upstream"), Unresolved("http_500")),
    (
        reply(503, {"code": "STALE_CONTINUATION_TOKEN_SEQUENCER"}),
        Unresolved("STALE_CONTINUATION_TOKEN_SEQUENCER"),
    ),
    (reply(404, b"No Route"), Unresolved("http_404_proxy")),
    (
        reply(404, {"error_code": "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED", "message": "gone"}),
        Misconfigured("ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED", "gone"),
    ),
    (reply(404, {"code": "ERR_NEW"}), ChannelLost("ERR_NEW")),
    (reply(405, {"code": "X"}), ChannelLost("X")),
    (reply(400, {"code": "391902", "message": "Accept"}), Misconfigured("391902", "Accept")),
]


@pytest.mark.parametrize(("answer", "event"), APPENDS, ids=lambda x: str(x)[:70])
def test_answers_to_an_append(answer: HttpReply, event: Event) -> None:
    """Each answer that was seen or documented leads to its event."""
    assert append(answer) == event


def test_an_open_gives_token_and_status() -> None:
    """A healthy open: the continuation token and the whole status, numbers as numbers."""
    for status in (200, 201):
        event = decode_open(
            reply(status, {"next_continuation_token": "0_1", "channel_status": STATUS})
        )
        assert isinstance(event, ChannelOpened)
        assert event.continuation == "0_1"
        found = event.status
        assert (found.committed, found.created_on_ms) == ("t", 7)
        assert (found.rows_inserted, found.rows_error) == (5, 1)
        assert (found.last_error, found.error_upper_bound) == ("m", "u")


@pytest.mark.parametrize(
    ("answer", "event"),
    [
        (reply(409, {"code": "ERR_CHANNEL_HAS_UNCOMMITTED_DATA"}), UncommittedRows()),
        (
            reply(409, {"code": "ERR_OPEN_CHANNEL_IN_PROGRESS"}),
            Throttled("ERR_OPEN_CHANNEL_IN_PROGRESS"),
        ),
        (
            reply(400, {"error": "ERR_PIPE_KIND_NOT_SUPPORTED"}),
            Misconfigured("ERR_PIPE_KIND_NOT_SUPPORTED"),
        ),
        (reply(405, {"message": "no"}), Misconfigured("http_405", "no")),
        (
            reply(200, {"next_continuation_token": "", "channel_status": STATUS}),
            Unresolved("unfit_answer"),
        ),
        (reply(200, {"next_continuation_token": "0_1"}), Unresolved("unfit_answer")),
        (reply(200, b"<html>"), Unresolved("web_page")),
        (
            reply(
                200,
                {
                    "next_continuation_token": "0_1",
                    "channel_status": {
                        **STATUS,
                        "channel_status_code": "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED",
                    },
                },
            ),
            Misconfigured("ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED", "m"),
        ),
        (
            reply(
                200,
                {
                    "next_continuation_token": "0_1",
                    "channel_status": {**STATUS, "channel_status_code": "ERR_SOMETHING_NEW"},
                },
            ),
            ChannelLost("ERR_SOMETHING_NEW"),
        ),
    ],
    ids=lambda x: str(x)[:60],
)
def test_other_answers_to_an_open(answer: HttpReply, event: Event) -> None:
    """A 200 on open does not mean usable; 409 has two meanings."""
    assert decode_open(answer) == event


def test_a_status_poll_finds_the_channel_or_its_loss() -> None:
    """A channel that is not listed is gone; one with a code of its own is judged by the code."""
    healthy = decode_status(reply(200, {"channel_statuses": {"C": STATUS}}), "C")
    assert isinstance(healthy, StatusReported)
    assert decode_status(reply(200, {"channel_statuses": {}}), "C") == ChannelLost(
        "channel_not_listed"
    )
    lost = {**STATUS, "channel_status_code": "ERR_CHANNEL_MUST_BE_REOPENED"}
    assert decode_status(reply(200, {"channel_statuses": {"C": lost}}), "C") == ChannelLost(
        "ERR_CHANNEL_MUST_BE_REOPENED"
    )
    assert decode_status(reply(200, {"channel_statuses": []}), "C") == Unresolved("unfit_answer")
    assert decode_status(reply(200, {"channel_statuses": {"C": {}}}), "C") == Unresolved(
        "unfit_answer"
    )
    assert decode_status(
        reply(409, {"error_code": "ERR_PIPE_IN_INVALID_STATE"}), "C"
    ) == Misconfigured("ERR_PIPE_IN_INVALID_STATE")


def test_a_status_is_read_in_both_spellings() -> None:
    """rows_errors for rows_error_count, ACTIVE or 0 for SUCCESS, an empty token for none."""
    other = {k: v for k, v in STATUS.items() if k != "rows_error_count"} | {"rows_errors": 4}
    for code, healthy in (("ACTIVE", True), (0, True), ("SUCCESS", True), ("ERR_X", False)):
        found = read_status(
            {**other, "channel_status_code": code, "last_committed_offset_token": ""}
        )
        assert found is not None
        assert (found.rows_error, found.healthy, found.committed) == (4, healthy, None)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("created_on_ms", None),
        ("created_on_ms", "7"),
        ("rows_inserted", 1.5),
        ("rows_inserted", True),
        ("rows_error_count", -1),
        ("last_committed_offset_token", 5),
        ("channel_status_code", None),
    ],
)
def test_a_status_with_a_wrong_type_is_no_status(key: str, value: object) -> None:
    """What is not exactly the right type is not used, because counters decide over trimming."""
    assert read_status({**STATUS, key: value}) is None


def test_continuation_tokens_follow_each_other() -> None:
    """Rule 10: of two tokens a_b only the same a and the next b fits; others need only differ."""
    assert follows("0_1", "0_2")
    assert follows("12_9", "12_10")
    assert not follows("0_1", "0_1")
    assert not follows("0_1", "0_3")
    assert not follows("0_1", "1_2")
    assert follows("opaque", "0_2")
    assert follows("0_1", "opaque")
    assert not follows("opaque", "opaque")


@given(st.integers(100, 599), st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_no_answer_at_all_breaks_the_reader(status: int, body: bytes) -> None:
    """Any status with any bytes gives an event, and only a fitting 200 is an acceptance."""
    answer = HttpReply(status, {}, body)
    events = (append(answer), decode_open(answer), decode_status(answer, "C"))
    assert all(isinstance(event, Event) for event in events)
    assert not any(
        isinstance(event, RowsAccepted | ChannelOpened | StatusReported) for event in events
    )


def test_a_long_answer_is_no_answer() -> None:
    """More than a mebibyte is not parsed."""
    body = read_body(b'{"code":"' + b"x" * BODY_BYTES_MAX + b'"}')
    assert (body.is_json, body.code) == (False, "")


def test_what_people_read_of_a_body_is_one_short_line() -> None:
    """Control characters and length of a server's text do not reach the log."""
    assert read_body(b"a\nb\x1b[2J" + b"x" * 5000).message.startswith("a b[2J")
    assert len(read_body(b"x" * 5000).message) == 500
    assert read_body(b'{"code":"1","message":NaN}').is_json is False
