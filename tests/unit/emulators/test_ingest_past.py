"""What a network keeps of the past: late requests, statuses as they were, answers without end."""

import http.client

import pytest

from tests.emulators.ingest.server import IngestServer
from tests.emulators.scripted import wait_until
from tests.unit.emulators.ingest_client import STATUS_PATH, Client

NO_ANSWER = (ConnectionError, http.client.HTTPException)
ASKED = b'{"channel_names":["TH_01"]}'


def test_a_late_request_is_carried_out_after_its_connection_ended(
    client: Client, ingest: IngestServer
) -> None:
    """Nobody hears the answer; in its own session it is taken, and its retry absorbed."""
    client.open()
    ingest.faults.add("late:endpoint=append,s=0.3")
    with pytest.raises(NO_ANSWER):
        client.append("0_1", 1)
    assert ingest.rows() == []
    assert wait_until(lambda: ingest.model.tally.appends == 1)


def test_a_late_request_of_an_older_session_changes_nothing(
    client: Client, ingest: IngestServer
) -> None:
    """After a reopen it is stale, and its rows are nowhere."""
    client.open()
    ingest.faults.add("late:endpoint=append,s=0.3")
    with pytest.raises(NO_ANSWER):
        client.append("0_1", 1)
    client.open()
    assert wait_until(lambda: ingest.model.tally.stale_appends == 1)
    assert ingest.rows() == []


@pytest.mark.parametrize(("name", "age"), [("behind", None), ("cached", "1")])
def test_a_status_can_be_an_old_one(
    client: Client, ingest: IngestServer, name: str, age: str | None
) -> None:
    """As it was: the token of a later commit is not in it; only a cache tells its age."""
    client.open()
    before = client.ask("POST", STATUS_PATH, ASKED)
    client.append("0_1", 1)
    assert wait_until(lambda: len(ingest.rows()) == 1)
    fresh = client.ask("POST", STATUS_PATH, ASKED)
    ingest.faults.add(f"{name}:s=3600")
    older = client.ask("POST", STATUS_PATH, ASKED)
    assert fresh.json != older.json == before.json
    assert older.headers.get("age") == age


def test_an_answer_can_be_longer_than_any(client: Client, ingest: IngestServer) -> None:
    """Three MiB of blanks before the object."""
    ingest.faults.add("oversize:endpoint=open")
    assert len(client.open().body) > 3 << 20
