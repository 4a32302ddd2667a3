"""The server's continuation tokens: stored, ignored, refused; one test a rule, with its source."""

import pytest

from tests.emulators.ingest.answers import Append, Appended, Refused
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.rows import NotNull
from tests.emulators.ingest.store import MemoryStore
from tests.unit.emulators.ingest_bench import NAME, PIPE, Bench, refusal


def test_a_new_channel_has_no_token_and_starts_at_0_1() -> None:
    """The first open answers 0_1 and a null token (live: published logs of 2026-02)."""
    opened = IngestModel().open(NAME, 1.5)
    assert opened.next_continuation_token == "0_1"
    assert opened.status.committed_token is None
    assert opened.status.code == "SUCCESS"
    assert opened.status.created_on_ms == 1500


def test_rows_are_buffered_at_200_and_committed_after_the_delay() -> None:
    """200 on append means buffered; the committed token alone proves a commit (docs)."""
    bench = Bench(commit_delay_s=6.0)
    bench.append("0_1", 1, 2)
    assert bench.committed(5.9) is None
    assert bench.rows() == []
    assert bench.committed(6.0) == "2"
    assert bench.rows() == ['{"seq":1}', '{"seq":2}']


def test_a_consumed_token_gets_200_and_the_current_token_and_its_rows_are_ignored() -> None:
    """A replay within the session is answered 200 and not stored (live: supabase/etl tests)."""
    bench = Bench()
    bench.append("0_1", 1)
    bench.append("0_2", 2)
    assert bench.append("0_1", 1) == Appended("0_3", buffered=False)
    assert bench.committed(10.0) == "2"
    assert bench.rows() == ['{"seq":1}', '{"seq":2}']
    assert bench.model.tally.noops_identical == 1
    assert bench.model.tally.client_bugs == 0


def test_a_consumed_token_is_remembered_after_its_rows_committed() -> None:
    """A replay after the commit is a no-op too (live for the previous token: supabase/etl)."""
    bench = Bench(commit_delay_s=0.0)
    bench.append("0_1", 1)
    assert bench.append("0_1", 1, now_s=100.0) == Appended("0_2", buffered=False)
    assert len(bench.rows()) == 1


def test_other_rows_under_a_consumed_token_are_lost_and_counted_as_the_clients_mistake() -> None:
    """The loss trap: a re-cut batch is answered 200 and ignored (follows from the live rule)."""
    bench = Bench()
    bench.append("0_1", 1)
    assert bench.append("0_1", 1, 2) == Appended("0_2", buffered=False)
    assert bench.model.tally.noops_different == 1
    assert bench.model.tally.client_bugs == 1
    assert bench.committed(10.0) == "1"


def test_the_same_rows_under_a_fresh_token_are_stored_twice() -> None:
    """The duplicate trap: offset tokens do not de-duplicate (docs; snowflake-ingest-java 644)."""
    bench = Bench(commit_delay_s=0.0)
    bench.append("0_1", 1)
    bench.append("0_2", 1)
    assert bench.rows() == ['{"seq":1}', '{"seq":1}']


def test_an_older_session_is_stale_and_never_commits() -> None:
    """400 STALE_CONTINUATION_TOKEN_SEQUENCER after a reopen (docs; live: emqx 18056, artie)."""
    bench = Bench()
    bench.model.open(NAME, 1.0)
    assert refusal(bench, "0_1", 1) == (400, "STALE_CONTINUATION_TOKEN_SEQUENCER")
    assert bench.committed(100.0) is None
    assert bench.model.tally.stale_appends == 1


def test_an_older_session_may_be_told_200_and_still_never_commits() -> None:
    """supabase/etl's live test tolerates a 200 no-op for a fenced client."""
    bench = Bench(older_session_is_noop=True)
    bench.model.open(NAME, 1.0)
    assert bench.append("0_1", 1, now_s=2.0) == Appended("1_1", buffered=False)
    assert bench.committed(100.0) is None


@pytest.mark.parametrize("token", [None, "", "x", "0-1", "0_", "_1", "0_x"])
def test_a_missing_or_unreadable_token_is_stale(token: str | None) -> None:
    """A missing token is a 400, probably STALE (inferred)."""
    bench = Bench()
    assert refusal(bench, token, 1) == (400, "STALE_CONTINUATION_TOKEN_SEQUENCER")
    assert bench.model.tally.tokens_missing == 1


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("0_2", "ERR_CHANNEL_HAS_INVALID_ROW_SEQUENCER"),
        ("1_1", "ERR_CHANNEL_HAS_INVALID_CLIENT_SEQUENCER"),
    ],
)
def test_a_token_that_was_never_given_is_refused(token: str, code: str) -> None:
    """A sequencer from the future gives 409 (codes from the docs; status inferred)."""
    bench = Bench()
    assert refusal(bench, token, 1) == (409, code)
    assert bench.model.tally.tokens_ahead == 1


def test_an_append_to_no_channel_is_a_400() -> None:
    """400 ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED (live: tspann, artie)."""
    bench = Bench()
    bench.model.lose(NAME)
    expected = (400, "ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED")
    assert refusal(bench, "0_1", 1) == expected


def test_a_bad_row_is_counted_and_the_token_moves_over_it() -> None:
    """ON_ERROR is always CONTINUE (docs; live: estuary/connectors 4937)."""
    bench = Bench(commit_delay_s=0.0, row_rules=(NotNull("seq"),))
    body = b'{"seq":1}\n\n{"seq":null}\nnot json\n{"seq":4}\r\n'
    bench.model.append(Append(NAME, "0_1", body, "1", "4"), 2.0)
    status = bench.model.status(PIPE, ["TH_01"], 2.0)["TH_01"]
    assert status.committed_token == "4"
    assert (status.rows_inserted, status.rows_parsed, status.rows_error_count) == (2, 4, 2)
    assert status.last_error_offset_upper_bound == "4"
    assert status.last_error_message == "Error parsing JSON"
    assert status.last_error_timestamp_ms == 2000
    assert bench.rows() == ['{"seq":1}', '{"seq":4}']
    assert [error.bad.row for error in bench.store.errors] == ['{"seq":null}', "not json"]


def test_a_row_that_is_refused_at_the_door_consumes_no_token() -> None:
    """A refused append buffers nothing, so that the token can be used again (inferred)."""
    bench = Bench(refuse_rules=(NotNull("seq"),))
    with pytest.raises(Refused) as caught:
        bench.model.append(Append(NAME, "0_1", b'{"seq":1}\n{}\n', "1", "2"), 0.0)
    assert caught.value.status == 400
    assert bench.append("0_1", 1) == Appended("0_2", buffered=True)


def test_the_planted_lies_do_what_they_say() -> None:
    """Negative control: a server that takes replays, or commits fenced rows, doubles rows."""
    takes = Bench(absorbs_replays=False, commit_delay_s=0.0)
    takes.append("0_1", 1)
    takes.append("0_1", 1)
    assert len(takes.rows()) == 2
    keeps = Bench(discards_on_reopen=False)
    keeps.append("0_1", 1)
    keeps.model.open(NAME, 1.0)
    keeps.append("1_1", 1, now_s=1.0)
    keeps.model.commit_now(2.0)
    assert len(keeps.rows()) == 2


def test_same_seed_same_history() -> None:
    """The jitter of commits follows from the seed."""

    def history(seed: int) -> list[float]:
        store = MemoryStore()
        model = IngestModel(store, Knobs(commit_jitter_s=3.0), seed)
        token = model.open(NAME, 0.0).next_continuation_token
        for seq in range(1, 20):
            request = Append(NAME, token, b'{"seq":%d}\n' % seq, str(seq), str(seq))
            token = model.append(request, float(seq)).next_continuation_token
        model.advance(100.0)
        return [row.committed_at_s for row in store.rows]

    assert history(1) == history(1)
    assert history(1) != history(2)
