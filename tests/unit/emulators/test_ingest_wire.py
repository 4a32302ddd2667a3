"""The server's wire: paths, bodies, headers, limits; each with its source."""

import gzip
import json
from urllib.parse import quote

import pytest

from tests.emulators.ingest.server import IngestServer
from tests.unit.emulators.ingest_client import (
    CHANNEL_PATH,
    DATA_PATH,
    PIPE_PATH,
    ROWS_PATH,
    STATUS_PATH,
    Client,
)

CAP = 4_194_304
TABLE_PATH = "/v2/streaming/data/databases/DB/schemas/SCHEMA/tables/T/rows"


def test_the_hostname_is_plain_text_and_bare(client: Client) -> None:
    """Plain text without scheme and port, also to Accept: application/json (live: five clients)."""
    reply = client.ask("GET", "/v2/streaming/hostname")
    assert (reply.status, reply.body) == (200, b"127.0.0.1")
    assert reply.headers["content-type"] == "text/plain"


def test_the_hostname_is_the_name_the_request_was_sent_to(client: Client) -> None:
    """The ingest host is announced without a port: the SDK keeps the account URL's (SDK wire)."""
    reply = client.ask("GET", "/v2/streaming/hostname", Host="acme.snowflake.localhost:18443")
    assert reply.body == b"acme.snowflake.localhost"


def test_the_scoped_token_is_plain_text_of_three_parts(client: Client) -> None:
    """The body of /oauth/token is the token itself, a JWT (live: five clients; SDK wire)."""
    grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&scope=127.0.0.1"
    reply = client.ask("POST", "/oauth/token", grant.encode())
    assert reply.status == 200
    assert reply.body.count(b".") == 2
    used = client.ask(
        "POST",
        STATUS_PATH,
        b'{"channel_names":[]}',
        Authorization=f"Bearer {reply.body.decode()}",
        X_Snowflake_Authorization_Token_Type="OAUTH",
    )
    assert used.json == {"channel_statuses": {}}


def test_open_answers_every_key_that_clients_read(client: Client) -> None:
    """Four names, code, token, counters as integers, both timestamp keys (docs; SDK wire)."""
    answer = client.open().json
    status = answer["channel_status"]
    assert answer["next_continuation_token"] == "0_1"
    names = [status[f"{kind}_name"] for kind in ("database", "schema", "pipe", "channel")]
    assert names == ["DB", "SCHEMA", "T-STREAMING", "TH_01"]
    assert status["channel_status_code"] == "SUCCESS"
    assert status["last_committed_offset_token"] is None
    for key in ("created_on_ms", "rows_inserted", "rows_parsed", "rows_error_count"):
        assert type(status[key]) is int
    assert {"last_error_timestamp", "last_error_timestamp_ms"} <= status.keys()


def test_a_cycle_of_open_append_status_drop(client: Client, ingest: IngestServer) -> None:
    """The five calls of the documentation, with both forms of offset tokens (live: redpanda)."""
    client.open(unknown_key=1)
    assert client.append("0_1", 1).json["next_continuation_token"] == "0_2"
    old = f"{ROWS_PATH}?continuationToken=0_2&offsetToken=a%20b%26c%3Dd%23%C3%A9"
    assert client.ask("POST", old, b'{"seq":2}').status == 200
    assert client.channel_status()["last_committed_offset_token"] == "a b&c=d#é"
    assert client.open(offset_token="1").json["next_continuation_token"] == "1_1"
    assert client.channel_status()["last_committed_offset_token"] == "1"
    assert client.ask("DELETE", CHANNEL_PATH).json == {}
    assert client.channel_status() is None
    missing = client.ask("DELETE", CHANNEL_PATH)
    assert (missing.status, missing.json["error_code"]) == (
        404,
        "ERR_CHANNEL_DOES_NOT_EXIST_OR_NOT_AUTHORIZED",
    )
    with ingest.lock:
        assert ingest.model.tally.client_bugs == 0


def test_names_in_the_path_are_percent_decoded_and_taken_literally(client: Client) -> None:
    """``X:register`` opens a channel of that name (live: tspann); the SDK encodes as here."""
    for name in ("lower chan/x?&=", "é", "X:register", 'quo"te'):
        reply = client.ask("PUT", f"{PIPE_PATH}/channels/{quote(name, safe='')}", b"{}")
        assert reply.json["channel_status"]["channel_name"] == name
    asked = json.dumps({"channel_names": ["é", "nobody"]}).encode()
    assert list(client.ask("POST", STATUS_PATH, asked).json["channel_statuses"]) == ["é"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", CHANNEL_PATH, 405),
        ("GET", CHANNEL_PATH, 405),
        ("PUT", ROWS_PATH, 405),
        ("GET", STATUS_PATH, 405),
        ("GET", "/v2/streaming/nothing", 404),
    ],
)
def test_a_wrong_method_is_405_and_a_wrong_path_404(
    client: Client, method: str, path: str, status: int
) -> None:
    """POST on the open URL is a 405 (live: tspann)."""
    assert client.ask(method, path).status == status


def test_a_request_without_accept_is_refused(client: Client) -> None:
    """Code 391902 (live: redpanda, estuary). http.client sends no Accept by itself."""
    reply = client.ask("PUT", CHANNEL_PATH, b"{}", Accept="")
    assert (reply.status, reply.code) == (400, "391902")


def test_a_body_of_4_194_304_bytes_passes_and_one_more_is_413(client: Client) -> None:
    """The cap is exact and counts bytes on the wire (live: supabase/etl, 2026-10-02)."""
    client.open()
    row = b'{"seq":1,"pad":"%s"}\n'
    fits = row % (b"x" * (CAP - len(row) + 2))
    assert len(fits) == CAP
    assert client.append("0_1", 1, fits + b" ").status == 413
    assert client.append("0_1", 1, fits).json["next_continuation_token"] == "0_2"
    assert client.channel_status()["rows_inserted"] == 1


def test_the_cap_counts_compressed_bytes(client: Client) -> None:
    """A body of 8 MiB passes when gzip makes it small (live: supabase/etl, 16 MiB values)."""
    client.open()
    body = b'{"seq":1,"pad":"%s"}\n' % (b"x" * (2 * CAP))
    reply = client.append("0_1", 1, gzip.compress(body), Content_Encoding="gzip")
    assert reply.status == 200
    assert client.channel_status()["rows_inserted"] == 1


def test_several_zstd_frames_are_one_body(client: Client) -> None:
    """Multi-frame zstd is accepted (live: supabase/etl)."""
    zstandard = pytest.importorskip("zstandard")
    client.open()
    frames = b"".join(zstandard.compress(b'{"seq":%d}\n' % seq) for seq in (1, 2, 3))
    assert client.append("0_1", 3, frames, Content_Encoding="zstd").status == 200
    assert client.channel_status()["rows_inserted"] == 3


@pytest.mark.parametrize("encoding", ["gzip", "zstd", "br"])
def test_a_body_that_is_not_in_its_encoding_is_a_400(client: Client, encoding: str) -> None:
    """Not documented; refused before anything is buffered."""
    client.open()
    assert client.append("0_1", 1, b"rubbish", Content_Encoding=encoding).status == 400
    assert client.append("0_1", 1).json["next_continuation_token"] == "0_2"


def test_stale_and_uncommitted_look_as_documented(client: Client, ingest: IngestServer) -> None:
    """400 ``code`` on the data plane (docs), 409 ``error_code`` on the control plane (redpanda)."""
    client.open()
    client.open()
    stale = client.append("0_1", 1)
    message = "Channel sequencer in the continuation token is stale. Please reopen the channel"
    assert stale.status == 400
    assert stale.json == {"code": "STALE_CONTINUATION_TOKEN_SEQUENCER", "message": message}
    ingest.faults.add("commits_stuck")
    client.append("1_1", 1)
    conflict = client.open(fail_on_uncommitted_rows=True)
    assert conflict.status == 409
    assert conflict.json["error_code"] == "ERR_CHANNEL_HAS_UNCOMMITTED_DATA"


def test_appends_carry_a_sticky_session_and_the_edges_headers(client: Client) -> None:
    """base64 of ip:port on appends, SF-LB-T1, Date, chunked (live: emqx 18056)."""
    assert "x-snowflake-session" not in client.open().headers
    first = client.append("0_1", 1)
    assert first.headers["x-snowflake-session"] == "MTAuNC4wLjA6MTAwMDA="
    again = client.append("0_2", 2, X_Snowflake_Session=first.headers["x-snowflake-session"])
    assert again.headers["x-snowflake-session"] == first.headers["x-snowflake-session"]
    assert first.headers["server"] == "SF-LB-T1"
    assert first.headers["transfer-encoding"] == "chunked"
    assert first.headers["date"].endswith("GMT")


def test_elastic_rows_need_no_channel(client: Client, ingest: IngestServer) -> None:
    """By pipe and by table; a message (docs) and a string token (SDK wire) in the answer."""
    for path in (f"{DATA_PATH}/channels/ELASTIC/rows", TABLE_PATH):
        reply = client.ask("POST", path, b'{"seq":1}\n')
        assert reply.json == {"message": "OK", "next_continuation_token": ""}
    asked = client.ask("POST", STATUS_PATH, b'{"channel_names":["ELASTIC"]}').json
    assert asked["channel_statuses"]["ELASTIC"]["channel_status_code"] == "SUCCESS"
    assert [row.row for row in ingest.rows()] == ['{"seq":1}'] * 2
