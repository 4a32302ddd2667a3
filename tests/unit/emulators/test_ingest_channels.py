"""The server's channels: open, commit, counters, loss. One test a rule, with its source."""

import pytest

from tests.emulators.ingest.answers import Append, ChannelName, Pipe, Refused
from tests.emulators.ingest.knobs import IDLE_EXPIRY_S
from tests.unit.emulators.ingest_bench import NAME, PIPE, Bench, refusal


def test_reopen_discards_what_is_not_committed() -> None:
    """Accepted rows are gone after a reopen; the committed token comes back (docs)."""
    bench = Bench(commit_delay_s=6.0)
    bench.append("0_1", 1, now_s=0.0)
    bench.append("0_2", 2, now_s=3.0)
    opened = bench.model.open(NAME, 7.0)
    assert opened.next_continuation_token == "1_1"
    assert opened.status.committed_token == "1"
    assert bench.committed(100.0) == "1"
    assert bench.rows() == ['{"seq":1}']
    assert bench.model.tally.rows_discarded == 1


def test_open_with_fail_on_uncommitted_rows_is_a_409_until_they_commit() -> None:
    """409 ERR_CHANNEL_HAS_UNCOMMITTED_DATA instead of discarding (docs; live: supabase/etl)."""
    bench = Bench(commit_delay_s=6.0)
    bench.append("0_1", 1)
    with pytest.raises(Refused) as caught:
        bench.model.open(NAME, 1.0, fail_on_uncommitted_rows=True)
    assert (caught.value.status, caught.value.code) == (409, "ERR_CHANNEL_HAS_UNCOMMITTED_DATA")
    assert bench.append("0_2", 2, now_s=1.5).buffered, "a refused open must not fence anybody"
    opened = bench.model.open(NAME, 8.0, fail_on_uncommitted_rows=True)
    assert opened.status.committed_token == "2"


def test_a_drop_with_the_flag_is_refused_too() -> None:
    """A drop that succeeds with the flag proves that nothing was in flight (live: supabase/etl)."""
    bench = Bench()
    bench.append("0_1", 1)
    with pytest.raises(Refused) as caught:
        bench.model.drop(NAME, 1.0, fail_on_uncommitted_rows=True)
    assert caught.value.status == 409
    bench.model.drop(NAME, 7.0, fail_on_uncommitted_rows=True)
    assert bench.rows() == ['{"seq":1}']


def test_drop_then_open_is_a_fresh_channel_and_its_rows_stay() -> None:
    """Null token and zero counters after a drop (live: estuary/connectors 4965)."""
    bench = Bench(commit_delay_s=0.0)
    bench.append("0_1", 1)
    before = bench.model.open(NAME, 0.0).status
    bench.model.drop(NAME, 0.0)
    after = bench.model.open(NAME, 0.0).status
    assert (after.committed_token, after.rows_inserted) == (None, 0)
    assert after.created_on_ms != before.created_on_ms
    assert len(bench.rows()) == 1
    bench.model.drop(NAME, 0.0)
    with pytest.raises(Refused) as caught:
        bench.model.drop(NAME, 0.0)
    assert caught.value.status == 404


def test_open_with_an_offset_token_overwrites_the_stored_one_even_backwards() -> None:
    """A rewind keeps created_on_ms and counters (live: supabase/etl)."""
    bench = Bench(commit_delay_s=0.0)
    bench.append("0_1", 1, 2, 3)
    before = bench.model.open(NAME, 1.0).status
    after = bench.model.open(NAME, 2.0, offset_token="1").status
    assert after.committed_token == "1"
    assert (after.created_on_ms, after.rows_inserted) == (before.created_on_ms, 3)


def test_an_append_without_an_offset_token_leaves_the_stored_one() -> None:
    """An empty endOffsetToken keeps the token (not documented: our choice)."""
    bench = Bench(commit_delay_s=0.0)
    bench.append("0_1", 1)
    bench.model.append(Append(NAME, "0_2", b'{"seq":2}\n', "", ""), 0.0)
    assert bench.committed(0.0) == "1"
    assert len(bench.rows()) == 2


def test_bulk_status_leaves_unknown_channels_out_and_minds_case() -> None:
    """Only channels that exist are reported; names are case-sensitive (docs)."""
    bench = Bench()
    assert list(bench.model.status(PIPE, ["TH_01", "th_01", "NONE"], 0.0)) == ["TH_01"]


def test_counters_may_lag_the_token() -> None:
    """The token may move before the counters do (live experience of supabase/etl)."""
    bench = Bench(commit_delay_s=6.0, counters_lag_s=2.0)
    bench.append("0_1", 1)
    early = bench.model.status(PIPE, ["TH_01"], 7.0)["TH_01"]
    late = bench.model.status(PIPE, ["TH_01"], 8.0)["TH_01"]
    assert (early.committed_token, early.rows_inserted) == ("1", 0)
    assert (late.committed_token, late.rows_inserted) == ("1", 1)


def test_commits_keep_their_order_and_may_come_together() -> None:
    """Commits of a channel come in order and in batches, whatever their jitter (docs)."""
    bench = Bench(commit_delay_s=1.0, commit_jitter_s=5.0, commit_grain_s=4.0)
    token = "0_1"
    for seq in range(1, 40):
        token = bench.append(token, seq, now_s=seq / 4).next_continuation_token
    seen = [bench.committed(now_s) for now_s in range(8, 40)]
    numbers = [int(each) for each in seen if each]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 39
    assert len(set(numbers)) < 10
    times = [row.committed_at_s for row in bench.store.rows]
    assert times == sorted(times)
    assert bench.rows() == [f'{{"seq":{seq}}}' for seq in range(1, 40)]


def test_a_stuck_server_commits_later_and_says_when() -> None:
    """Nothing commits while stuck, all of it afterwards, at a time after the heal."""
    bench = Bench(commit_delay_s=1.0, commits_stuck=True)
    bench.append("0_1", 1)
    assert bench.committed(500.0) is None
    bench.model.knobs.commits_stuck = False
    assert bench.committed(501.0) == "1"
    assert bench.store.rows[0].committed_at_s == 500.0


def test_an_invalidated_channel_says_so_in_the_status_and_is_stale_until_reopened() -> None:
    """Status carries ERR_CHANNEL_MUST_BE_REOPENED with HTTP 200; appends are 400 (docs, kafka)."""
    bench = Bench()
    bench.append("0_1", 1)
    bench.model.invalidate(NAME)
    status = bench.model.status(PIPE, ["TH_01"], 100.0)["TH_01"]
    assert (status.code, status.committed_token) == ("ERR_CHANNEL_MUST_BE_REOPENED", None)
    assert refusal(bench, "0_2", 2) == (400, "STALE_CONTINUATION_TOKEN_SEQUENCER")
    assert bench.model.open(NAME, 101.0).status.code == "SUCCESS"


def test_thirty_idle_days_delete_the_channel() -> None:
    """Channels and tokens go after 30 days without ingestion (docs)."""
    bench = Bench(commit_delay_s=0.0)
    bench.append("0_1", 1, now_s=10.0)
    assert bench.committed(10.0 + IDLE_EXPIRY_S) == "1"
    assert bench.model.status(PIPE, ["TH_01"], 11.0 + IDLE_EXPIRY_S) == {}


def test_replacing_the_table_takes_its_channels_only() -> None:
    """CREATE OR REPLACE TABLE destroys the channels of its pipe (live: kafka connector 1400)."""
    bench = Bench()
    other = ChannelName(Pipe("DB", "SCHEMA", "OTHER-STREAMING"), "TH_01")
    bench.model.open(other, 0.0)
    assert bench.model.replace_table(PIPE) == 1
    assert set(bench.model.channels) == {other}


def test_a_second_writer_fences_the_first() -> None:
    """Two writers on one name steal it from each other (live: emqx 18056)."""
    bench = Bench()
    bench.append("0_1", 1)
    thief = bench.model.steal(NAME, 1.0)
    assert refusal(bench, "0_2", 2) == (400, "STALE_CONTINUATION_TOKEN_SEQUENCER")
    assert bench.append(thief.next_continuation_token, 1).buffered


def test_a_broken_pipe_opens_with_200_and_throws_rows_away() -> None:
    """200 with a code other than SUCCESS, then 2xx on appends for nothing (live: redpanda)."""
    bench = Bench(commit_delay_s=0.0)
    bench.model.break_pipe(PIPE)
    opened = bench.model.open(NAME, 1.0)
    assert opened.status.code == "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"
    assert bench.append("1_1", 1).next_continuation_token == "1_2"
    with pytest.raises(Refused) as caught:
        bench.model.status(PIPE, ["TH_01"], 2.0)
    assert (caught.value.status, caught.value.code) == (409, "ERR_PIPE_IN_INVALID_STATE")
    bench.model.mend_pipe(PIPE)
    assert bench.committed(100.0) is None
    assert bench.rows() == []
