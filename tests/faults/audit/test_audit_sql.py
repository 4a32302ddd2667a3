"""``audit.sql`` over the table of a real history: clean, and every planted fault is named."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import pytest

from collector.gaps import GapReason, Merged
from shipper.audit.told import NUMBERED
from tests.faults.audit.history import History, whole_life
from tests.faults.audit.planting import epochs, of_epoch, ranges, without
from tests.faults.audit.table import SQL_FILE, Row, audit, statements

REMOVED: Final = 20
"""Single rows that are taken away, one at a time, by a seed."""

Change = Callable[[list[Row]], list[Row]]


def test_a_whole_life_is_clean_and_everything_in_it_is_explained(table: list[Row]) -> None:
    """Reboots, poison, thinning, roll-backs, a lost channel, quarantine, a drop: no finding."""
    answer = audit(table)
    assert answer.clean, answer.unexplained
    assert answer.verdict.what.startswith("NOTHING MISSING, NOTHING DOUBLE")
    assert answer.number("rows") == len(table)
    assert answer.number("tombstone") == 1
    assert answer.number("missing") == 1, "the row that the table refused, told by its event"
    assert answer.number("rows flagged in_doubt") == 20
    told = {line.finding.removeprefix("told by gap rows: ") for line in answer.lines}
    assert {"killed", "thinned", "lost_by_cut", "dropped"} <= told
    assert answer.number("told by gap rows: dropped") > 1_000_000, "the jump of seq is told on"
    assert len(epochs(table)) == 8


def test_the_file_only_reads() -> None:
    """One setting and one query: nothing in the account is changed."""
    words = [statement.split()[0] for statement in statements()]
    assert words == ["SET", "WITH"]
    assert "INSERT" not in statements()[1]


def test_every_reason_of_numbered_rows_is_counted() -> None:
    """Where gap rows are taken over, the query and the command add up the collector's reasons."""
    unnumbered = {"not_running", "killed", "missed_ticks", "memory_full", "inherited"}
    assert {reason.value for reason in GapReason} - unnumbered == NUMBERED
    assert all(f"merged.{reason}" in SQL_FILE.read_text() for reason in NUMBERED)


def test_an_empty_table_proves_nothing() -> None:
    """No rows are no proof: the verdict does not say that all is well."""
    answer = audit([])
    assert [line.finding for line in answer.lines] == ["verdict"]
    assert not answer.clean


@pytest.mark.heavy
def test_each_single_row_that_is_taken_away_is_named(table: list[Row]) -> None:
    """Any row but the newest of an unfinished branch: its number is named, or its gap row's lie."""
    branch_ends = {max(of_epoch(table, n), key=lambda r: int(r["seq"]))["seq"] for n in range(8)}
    candidates = [r for r in table if r["kind"] == "sample" and r["seq"] not in branch_ends]
    for row in Random(5).sample(candidates, REMOVED):
        answer = audit(without(table, [row]))
        named = (row["seq"], row["seq"]) in ranges(answer)
        hidden = any(
            (line.first_seq or 0) <= row["seq"] <= (line.last_seq or 0) and line.n == 1
            for line in answer.of("gap row hides a loss")
        )
        assert named or hidden, row["seq"]
        assert answer.verdict.level == "unexplained"


def first_rows(epoch: int, count: int) -> Change:
    """Take an epoch's beginning away."""
    return lambda rows: without(rows, of_epoch(rows, epoch)[:count])


def last_rows(epoch: int, count: int) -> Change:
    """Take an epoch's end away."""
    return lambda rows: without(rows, of_epoch(rows, epoch)[-count:])


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        (first_rows(0, 5), [(1, 5)]),
        (first_rows(1, 4), [(101, 104)]),
        (last_rows(0, 5), [(96, 100)]),
        (first_rows(2, 7), [(6217, 6223)]),
        (lambda rows: without(rows, of_epoch(rows, 0)), [(1, 100)]),
        (lambda rows: without(rows, of_epoch(rows, 5)), [(6384, 6422)]),
    ],
    ids=["first", "start", "end", "start inside a dead branch", "first epoch", "middle epoch"],
)
def test_a_range_that_is_taken_away_is_named(
    table: list[Row], change: Change, missing: list[tuple[int, int]]
) -> None:
    """At an epoch's start or end, or all of it: first and last seq, nothing more."""
    answer = audit(change(table))
    assert set(missing) <= set(ranges(answer))
    assert answer.verdict.level == "unexplained"


def test_a_row_of_a_dead_branch_is_proven_too(table: list[Row]) -> None:
    """Rows that only the server has, since the card rolled back, are audited by their own epoch."""
    dead = [row for row in of_epoch(table, 1) if row["seq"] in (6230, 6231)]
    assert len(dead) == 2
    assert any(row["seq"] == 6230 for row in of_epoch(table, 2)), "the number is there twice"
    answer = audit(without(table, dead))
    assert ranges(answer) == [(6230, 6231)]
    assert [line.epoch for line in answer.unexplained[:1]] == [epochs(table)[1]]


def test_a_branch_that_no_event_tells_is_named(table: list[Row]) -> None:
    """Without the event nobody knows where the new epoch begins, and the audit says so."""
    told = [r for r in table if r["kind"] == "event" and r["detail"]["event"] == "tail_lost"]
    answer = audit(without(table, told[:1]))
    assert epochs(table)[2] in {line.epoch for line in answer.of("overlap")}


def test_limit_the_newest_rows_cannot_be_missed_from_the_table_alone(table: list[Row]) -> None:
    """Nothing in the table tells that more is to come: that is what the device's audit is for."""
    cut = without(table, of_epoch(table, 7))
    assert len(cut) < len(table)
    assert audit(cut).clean


@pytest.mark.heavy
def test_a_drop_that_forgets_what_its_gap_rows_told_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gap rows of a quarantine, dropped before they were sent, are told on by the drop."""

    def forgetful(merged: Merged, detail: str) -> None:
        told = json.loads(detail)
        merged.rows += 1
        merged.by_reason[told["reason"]] = told["count"]

    monkeypatch.setattr(Merged, "add", forgetful)
    answer = audit(whole_life(tmp_path).rows())
    assert any((last or 0) - (first or 0) >= 999_999 for first, last in ranges(answer))


@pytest.mark.parametrize("honest", [True, False])
def test_a_server_that_takes_a_batch_twice_is_named(tmp_path: Path, honest: bool) -> None:
    """Answers are lost, batches repeated: with a server that keeps its word no row is double."""
    life = History(tmp_path)
    life.model.knobs.absorbs_replays = honest
    life.transport.line.lost_reply = 0.2
    life.take(300)
    with contextlib.suppress(AssertionError):
        # Counters that never balance keep the rows: the lying server is never acknowledged.
        life.ship()
    life.stop()
    answer = audit(life.rows())
    assert bool(answer.of("double")) is not honest
    assert answer.clean is honest


def test_a_server_that_fell_back_has_copies_that_are_flagged(tmp_path: Path) -> None:
    """Its token is of yesterday: rows go again, and count once for their flag alone."""
    life = History(tmp_path, retain_rows=1000)
    life.take(20)
    life.ship()
    older = life.model.channels[life.channel].committed_token
    life.take(20)
    life.ship()
    life.stop()
    life.model.channels[life.channel].committed_token = older
    life.take(5)
    life.ship()
    life.stop()
    rows = life.rows()
    answer = audit(rows)
    assert answer.clean, answer.unexplained
    assert answer.number("double") == 20
    unflagged = audit([{**row, "in_doubt": False} for row in rows])
    assert sum(line.finding == "double" for line in unflagged.unexplained) == 20
