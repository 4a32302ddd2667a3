"""What we ask of the server, byte for byte."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.identity import Position
from shipper.protocol.batch import Batch
from shipper.protocol.requests import (
    Call,
    Host,
    Operation,
    Target,
    append_rows,
    channel_status,
    drop_channel,
    open_channel,
    quote,
)

TARGET = Target("ORG-ACCOUNT", "MYDB", "MYSCHEMA", "MYTABLE-STREAMING")
PIPE = "/databases/MYDB/schemas/MYSCHEMA/pipes/MYTABLE-STREAMING"
BATCH = Batch("e", Position(1, 1), Position(1, 9), 9, 9, b"body", 99, "start", "end", "id")


@pytest.mark.parametrize("insist", [True, False])
def test_an_open_never_names_an_offset_token(insist: bool) -> None:
    """Opening with a token would overwrite the server's."""
    request = open_channel(TARGET, "TH_1", Call("id"), fail_on_uncommitted=not insist)
    assert (request.method, request.path) == ("PUT", f"/v2/streaming{PIPE}/channels/TH_1")
    assert json.loads(request.body) == {"fail_on_uncommitted_rows": not insist}
    assert request.query == (("requestId", "id"), ("retryCount", "0"))
    assert (request.host, request.operation) == (Host.INGEST, Operation.OPEN)


def test_an_append_carries_the_frozen_batch() -> None:
    """Both offset tokens, the continuation token, the batch's own id, the body as it is."""
    request = append_rows(TARGET, "TH_1", BATCH, "0_1", 2)
    assert request.path == f"/v2/streaming/data{PIPE}/channels/TH_1/rows"
    assert request.query == (
        ("startOffsetToken", "start"),
        ("endOffsetToken", "end"),
        ("continuationToken", "0_1"),
        ("requestId", "id"),
        ("retryCount", "2"),
    )
    assert request.body is BATCH.body
    assert ("content-encoding", "gzip") in request.headers


def test_a_poll_names_the_channel_in_its_body() -> None:
    """Channel names are case-sensitive there, so they are always spelt alike."""
    request = channel_status(TARGET, "TH_1", Call("id"))
    assert (request.method, request.path) == ("POST", f"/v2/streaming{PIPE}:bulk-channel-status")
    assert json.loads(request.body) == {"channel_names": ["TH_1"]}


def test_a_drop_does_not_discard() -> None:
    """A check's or a backfill's channel goes only when nothing of it is on its way."""
    request = drop_channel(TARGET, "TH_1_CHECK", Call("id"))
    assert (request.method, request.path) == ("DELETE", f"/v2/streaming{PIPE}/channels/TH_1_CHECK")
    assert json.loads(request.body) == {"fail_on_uncommitted_rows": True}


@given(st.text(max_size=30))
def test_a_segment_of_a_path_cannot_leave_its_place(text: str) -> None:
    """Whatever a name holds, nothing of it is read as a part of the path."""
    try:
        quoted = quote(text)
    except UnicodeEncodeError:
        return
    assert quoted.isascii()
    assert not set(quoted) & set("/?#&= ;:")


def test_names_are_quoted_as_the_official_sdk_does() -> None:
    """Seen on its wire: blank, slash, question mark, ampersand, equals sign, accent."""
    assert quote("lower chan/x?&=") == "lower%20chan%2Fx%3F%26%3D"
    assert quote('é"') == "%C3%A9%22"
    assert str(TARGET) == "ORG-ACCOUNT/MYDB.MYSCHEMA.MYTABLE-STREAMING"
