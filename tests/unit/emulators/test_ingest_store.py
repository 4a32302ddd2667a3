"""The store on disk against the one in memory: a server that restarts at every step is the same."""

from pathlib import Path
from random import Random

import pytest

from tests.emulators.ingest.answers import Append, Refused
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.rows import NotNull
from tests.emulators.ingest.sqlite_store import SqliteStore
from tests.emulators.ingest.store import MemoryStore
from tests.unit.emulators.ingest_bench import NAME, PIPE

EVENTS = ["open"] + ["append"] * 6 + ["replay", "old", "status", "status", "rewind"]
RARE = ["invalidate", "drop", "fail"]


def knobs() -> Knobs:
    """Commits after 3 s; a row without seq is a row error."""
    return Knobs(commit_delay_s=3.0, row_rules=(NotNull("seq"),))


def step(model: IngestModel, event: str, number: int, now_s: float) -> object:
    """Do one thing; returns what a client would see of it."""
    channel = model.channels.get(NAME)
    token = channel.token if channel else "0_1"
    if event == "old" and channel:
        token = f"{channel.client_sequencer}_{max(1, channel.row_sequencer - 1)}"
    body = b'{"seq":%d}\n{"seq":null}\n' % number if number % 7 == 0 else b'{"seq":%d}' % number
    request = Append(NAME, token, body, str(number), str(number), request_id=str(number))
    try:
        match event:
            case "append" | "replay" | "old":
                return model.append(request, now_s)
            case "open" | "fail":
                return model.open(NAME, now_s, fail_on_uncommitted_rows=event == "fail")
            case "rewind":
                return model.open(NAME, now_s, offset_token="rewound")
            case "drop":
                model.drop(NAME, now_s)
            case "invalidate" if channel:
                model.invalidate(NAME)
        return model.status(PIPE, [NAME.channel], now_s)
    except Refused as refused:
        return refused.status, refused.code, refused.message


@pytest.mark.parametrize("seed", range(8))
def test_a_server_that_restarts_at_every_step_answers_the_same(tmp_path: Path, seed: int) -> None:
    """Same answers, same rows, same row errors, same count of replays."""
    random = Random(seed)
    memory = MemoryStore()
    steady = IngestModel(memory, knobs())
    replays, now_s = 0, 1000.0
    for number in range(1, 120):
        event = random.choice(RARE if random.random() < 0.1 else EVENTS)
        now_s += random.choice((0.1, 0.5, 2.0))
        disk = SqliteStore(tmp_path / "rows.db")
        restarted = IngestModel(disk, knobs())
        expected = step(steady, event, number, now_s)
        assert step(restarted, event, number, now_s) == expected, (seed, number, event)
        assert [row[:3] for row in disk.committed_rows()] == [row[:3] for row in memory.rows]
        replays += restarted.tally.noops_different
        disk.close()
    assert len(memory.rows) > 10
    assert len(memory.errors) > 0
    assert replays == steady.tally.noops_different > 0
