"""What happens to the server itself, while sending or idle, and that healing undoes its rules."""

import pytest

from tests.emulators.ingest.server import IngestServer
from tests.unit.emulators.ingest_client import Client


def test_a_channel_is_invalidated_while_idle(client: Client, ingest: IngestServer) -> None:
    """Only a poll can see it (kafka connector's chaos test found clients that never poll)."""
    client.open()
    ingest.faults.add("invalidate")
    assert client.channel_status()["channel_status_code"] == "ERR_CHANNEL_MUST_BE_REOPENED"
    assert client.append("0_1", 1).code == "STALE_CONTINUATION_TOKEN_SEQUENCER"


def test_a_channel_is_invalidated_while_sending(client: Client, ingest: IngestServer) -> None:
    """Aimed at append, it strikes between two of them."""
    client.open()
    ingest.faults.add("invalidate:endpoint=append,skip=1")
    assert client.append("0_1", 1).status == 200
    assert client.append("0_2", 2).code == "STALE_CONTINUATION_TOKEN_SEQUENCER"


@pytest.mark.parametrize("spec", ["lose", "replace_table"])
def test_a_channel_is_gone(client: Client, ingest: IngestServer, spec: str) -> None:
    """Thirty idle days or CREATE OR REPLACE TABLE: absent in the status, null token at open."""
    client.open()
    client.append("0_1", 1)
    before = client.channel_status()
    ingest.faults.add(spec)
    assert client.channel_status() is None
    assert client.append("0_2", 2).code == "ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED"
    after = client.open().json["channel_status"]
    assert after["last_committed_offset_token"] is None
    assert after["created_on_ms"] != before["created_on_ms"]
    assert len(ingest.rows()) == 1


def test_a_second_writer_takes_the_channel(client: Client, ingest: IngestServer) -> None:
    """It fences the first one (live: emqx 18056)."""
    client.open()
    ingest.faults.add("steal")
    assert client.append("0_1", 1).code == "STALE_CONTINUATION_TOKEN_SEQUENCER"
    assert client.open().json["next_continuation_token"] == "2_1"


def test_a_broken_pipe_says_200_and_is_mended_by_healing(
    client: Client, ingest: IngestServer
) -> None:
    """200 with another code on open, 409 on bulk status (live: redpanda)."""
    ingest.faults.add("break_pipe:endpoint=open")
    code = client.open().json["channel_status"]["channel_status_code"]
    assert code == "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"
    client.append("0_1", 1)
    ingest.faults.heal()
    assert client.channel_status()["rows_inserted"] == 0
    assert ingest.rows() == []


def test_row_rules_and_refusals_until_healed(client: Client, ingest: IngestServer) -> None:
    """A poisoned row is counted, a refused one is a 400; afterwards both pass."""
    client.open()
    ingest.faults.add("poison:column=seq,value=1;refuse:column=seq,value=2;not_null:column=seq")
    assert client.append("0_1", 1).status == 200
    assert client.append("0_2", 2).code == "ERR_INVALID_ROW"
    assert client.append("0_2", 3, b"{}\n").status == 200
    assert client.channel_status()["rows_error_count"] == 2
    ingest.faults.heal()
    assert client.append("0_3", 2).status == 200
    assert client.channel_status()["rows_inserted"] == 1


def test_scoped_tokens_expire_and_can_be_revoked(client: Client, ingest: IngestServer) -> None:
    """401 afterwards; a new one works (SDK wire: it renews and repeats the request)."""

    def scoped() -> str:
        grant = b"grant_type=urn:ietf:params:oauth:grant-type:jwt-bearer"
        return f"Bearer {client.ask('POST', '/oauth/token', grant).body.decode()}"

    token = scoped()
    client.headers["Authorization"] = token
    assert client.open().status == 200
    ingest.faults.add("revoke_tokens")
    assert client.open().status == 401
    client.headers["Authorization"] = "Bearer made-up-token"
    ingest.faults.add("token_lifetime:s=-1")
    client.headers["Authorization"] = scoped()
    assert client.open().status == 401


def test_rates_above_the_limit_are_throttled(client: Client, ingest: IngestServer) -> None:
    """429 390701 above so many requests a second and channel (docs; live: estuary)."""
    client.open()
    ingest.faults.add("rate_limit:rps=3")
    replies = [client.append(f"0_{number}", number) for number in range(1, 6)]
    assert [reply.status for reply in replies[:3]] == [200] * 3
    assert replies[-1].code == "390701"


def test_stuck_commits_lagging_counters_and_healing(client: Client, ingest: IngestServer) -> None:
    """The token stays while stuck; after healing it moves."""
    client.open()
    ingest.faults.add("commits_stuck")
    client.append("0_1", 1)
    assert client.channel_status()["last_committed_offset_token"] is None
    ingest.faults.heal()
    assert client.channel_status()["last_committed_offset_token"] == "1"
    ingest.faults.add("counters_lag:s=60")
    client.append("0_2", 2)
    status = client.channel_status()
    assert (status["last_committed_offset_token"], status["rows_inserted"]) == ("2", 1)
