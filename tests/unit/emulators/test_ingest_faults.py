"""The fault menu: what each name does to a request, how it is aimed, and that it heals."""

import http.client
import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import pytest

from tests.emulators.ingest.faults import FaultError
from tests.emulators.ingest.menu import MENU
from tests.emulators.ingest.server import IngestServer
from tests.unit.emulators.ingest_client import Client

NO_ANSWER = (ConnectionError, http.client.HTTPException)


def rows(ingest: IngestServer) -> list[str]:
    """Texts of the committed rows."""
    return [row.row for row in ingest.rows()]


def test_a_dropped_request_is_not_carried_out(client: Client, ingest: IngestServer) -> None:
    """The connection ends, nothing is stored, and the same token works afterwards."""
    client.open()
    ingest.faults.add("drop_request:endpoint=append")
    with pytest.raises(NO_ANSWER):
        client.append("0_1", 1)
    assert rows(ingest) == []
    assert client.append("0_1", 1).json["next_continuation_token"] == "0_2"
    assert ingest.model.tally.noops_identical == 0


def test_a_dropped_reply_is_carried_out(client: Client, ingest: IngestServer) -> None:
    """The connection ends after the rows were taken; the retry is a no-op."""
    client.open()
    ingest.faults.add("drop_reply:endpoint=append")
    with pytest.raises(NO_ANSWER):
        client.append("0_1", 1)
    assert rows(ingest) == ['{"seq":1}']
    assert client.append("0_1", 1).json["next_continuation_token"] == "0_2"
    assert rows(ingest) == ['{"seq":1}']
    assert ingest.model.tally.noops_identical == 1


def test_a_duplicated_request_is_stored_once(client: Client, ingest: IngestServer) -> None:
    """The network may deliver twice; the answer is the first one."""
    client.open()
    ingest.faults.add("duplicate:endpoint=append")
    assert client.append("0_1", 1).json["next_continuation_token"] == "0_2"
    assert rows(ingest) == ['{"seq":1}']
    assert ingest.model.tally.noops_identical == 1


@pytest.mark.parametrize("name", ["delay", "delay_reply"])
def test_a_delay_lasts(client: Client, ingest: IngestServer, name: str) -> None:
    """Before or after it is carried out; the answer is the real one."""
    ingest.faults.add(f"{name}:s=0.2,endpoint=open")
    started = time.monotonic()
    assert client.open().status == 200
    assert time.monotonic() - started >= 0.2


def test_a_truncated_answer_ends_early(client: Client, ingest: IngestServer) -> None:
    """Fewer bytes than announced, then a reset."""
    ingest.faults.add("truncate:keep=10,endpoint=open")
    with pytest.raises(NO_ANSWER):
        client.open()
    assert client.open().status == 200


def test_a_dripping_answer_comes_slowly_and_whole(client: Client, ingest: IngestServer) -> None:
    """Byte by byte: a read timeout never fires, only a deadline would."""
    ingest.faults.add("drip:bytes_per_s=50,endpoint=hostname")
    started = time.monotonic()
    assert client.ask("GET", "/v2/streaming/hostname").body == b"127.0.0.1"
    assert time.monotonic() - started >= 9 / 50


def test_gzip_rubbish_and_unknown_keys(client: Client, ingest: IngestServer) -> None:
    """The body claims an encoding it has not; a JSON body has more keys than known."""
    ingest.faults.add("gzip_rubbish:endpoint=open;unknown_keys:endpoint=status")
    rubbish = client.open()
    assert rubbish.headers["content-encoding"] == "gzip"
    status = client.channel_status()
    assert status["channel_name"] == "TH_01"
    assert "zz_unknown" in status


@pytest.mark.parametrize(
    ("spec", "status", "content_type", "body"),
    [
        ("throttle", 429, "application/json", b'"code": "390701"'),
        ("unavailable", 503, "application/json", b'"ERR_GENERAL_EXCEPTION_RETRY_REQUEST"'),
        ("no_route", 404, "text/plain", b"No Route"),
        ("unauthorized", 401, "application/json", b'"code": "390114"'),
        ("forbidden", 403, "application/json", b"code"),
        ("failed_over", 410, "application/json", b"code"),
        ("captive_portal", 200, "text/html; charset=utf-8", b"<html>"),
        ("redirect", 302, "text/html; charset=utf-8", b"Found"),
        ("not_json", 200, "application/json", b"{not json"),
        ("open_in_progress", 409, "application/json", b'"error_code"'),
        ("uncommitted", 409, "application/json", b'"error_code"'),
        ("no_pipe", 404, "application/json", b'"error_code"'),
        ("answer:status=499,shape=error,code=X", 499, "application/json", b'{"error": "X"'),
        ("answer:status=504,shape=empty", 504, "text/plain", b""),
        ("soft_refusal:endpoint=open", 200, "application/json", b'"status_code": 4'),
    ],
)
def test_injected_answers(
    client: Client, ingest: IngestServer, spec: str, status: int, content_type: str, body: bytes
) -> None:
    """Each body shape that clients have met, once; then the server is itself again."""
    ingest.faults.add(spec)
    reply = client.open()
    assert (reply.status, reply.headers["content-type"]) == (status, content_type)
    assert body in reply.body
    assert client.open().json["next_continuation_token"] == "0_1", "the first was not carried out"


def test_an_answer_can_lie_after_the_rows_were_taken(client: Client, ingest: IngestServer) -> None:
    """A 503 after buffering is possible, therefore ambiguous (assumed by every client)."""
    client.open()
    ingest.faults.add("unavailable:endpoint=append,applied=1")
    assert client.append("0_1", 1).status == 503
    assert rows(ingest) == ['{"seq":1}']


def test_retry_after_in_its_forms(client: Client, ingest: IngestServer) -> None:
    """Seconds, an HTTP date by the server's own clock, and nonsense; one answer after the other."""
    ingest.faults.add("clock_offset:s=86400;throttle:retry_after=7")
    ingest.faults.add("throttle:retry_after=date:30;throttle:retry_after=-9e9;throttle")
    replies = [client.open() for _ in range(5)]
    assert [reply.status for reply in replies] == [429] * 4 + [200]
    assert [reply.headers.get("retry-after") for reply in replies[::2]] == ["7", "-9e9", None]
    date, until = (parsedate_to_datetime(replies[1].headers[k]) for k in ("date", "retry-after"))
    assert 29 <= (until - date).total_seconds() <= 31
    assert (date - datetime.now(UTC)).total_seconds() > 86_000


def test_times_skip_and_probability(client: Client, ingest: IngestServer) -> None:
    """``times`` bounds, ``skip`` lets pass, ``p`` follows the seed and lasts until healed."""
    ingest.faults.add("unavailable:endpoint=open,times=2,skip=1")
    assert [client.open().status for _ in range(4)] == [200, 503, 503, 200]
    ingest.faults.add("unavailable:endpoint=open,p=0.5")
    statuses = [client.open().status for _ in range(40)]
    assert 8 <= statuses.count(503) <= 32
    assert ingest.faults.hits["unavailable"] == 2 + statuses.count(503)
    ingest.faults.heal()
    assert [client.open().status for _ in range(5)] == [200] * 5
    assert ingest.faults.waiting() == []


def test_a_storm_is_one_of_a_bad_day(client: Client, ingest: IngestServer) -> None:
    """Only statuses that are worth a retry, in changing shapes."""
    ingest.faults.add("storm:times=30")
    statuses = {client.open().status for _ in range(30)}
    assert statuses <= {429, 500, 502, 503, 504}
    assert len(statuses) > 2
    assert client.open().status == 200


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("drop_repyl", "did you mean drop_reply"),
        ("delay:seconds=3", "unknown key 'seconds'"),
        ("delay:s=soon", "delay"),
        ("drop_reply:times", "not key=value"),
        ("drop_reply:endpoint=nowhere", "nowhere"),
        ("drop_reply:p=2", "outside"),
        ("answer:shape=poem", "poem"),
        ("answer:status=99", "99"),
        ("break_pipe", "no pipe is known"),
        ("commit_delay:s=soon", "could not convert"),
        ("of_kind:column=seq,kind=poem", "poem"),
    ],
)
def test_a_fault_that_is_not_understood_is_refused(
    ingest: IngestServer, spec: str, message: str
) -> None:
    """With the name, the key and what was expected; nothing is added."""
    with pytest.raises(FaultError, match=message):
        ingest.faults.add(spec)
    assert ingest.faults.waiting() == []


def test_every_name_on_the_menu_can_be_added_to_an_open_channel(
    client: Client, ingest: IngestServer
) -> None:
    """No entry of the menu is a dead letter."""
    for name in MENU:
        client.open()
        ingest.faults.add(name)
        ingest.faults.heal()
    client.open()
    assert client.channel_status()["channel_status_code"] == "SUCCESS"
