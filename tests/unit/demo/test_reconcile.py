"""The verdict of the demo: what it counts, and that each planted mistake is found."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.demo.reconcile import Verdict, reconcile
from tests.demo.rows import Key, Row, Run

INTERVAL_NS = 250_000_000
INSTALL, EPOCH, BOOT = "0123456789ABCDEF", "9f3c00000000000e", "b" * 32
START_US = 1_790_000_000_000_000


def row(seq: int, tick: float, kind: str = "sample", **values: Any) -> Row:
    """A stored row taken at a tick of the grid."""
    boottime_ns = round(tick * INTERVAL_NS)
    return Row(
        Key(INSTALL, EPOCH, seq),
        {
            "kind": kind, "boot_id": BOOT, "boottime_ns": boottime_ns,
            "taken_at": START_US + boottime_ns // 1000, "clock_synced": True,
            "scd4x_co2_ppm": 400.0 + seq, **values,
        },
    )


def gap(seq: int, tick: float, count: int, first: float, last: float) -> Row:
    """A gap row about ticks that were never stored, from tick ``first`` to tick ``last``."""
    def text(at: float) -> str:
        seconds, microseconds = divmod(START_US % 60_000_000 + round(at * 250_000), 1_000_000)
        return f"2026-09-21T14:13:{seconds:02d}.{microseconds:06d}Z"

    detail = {
        "first_seq": None, "last_seq": None, "count": count, "reason": "killed",
        "from": text(first), "to": text(last),
    }
    return row(seq, tick, "gap", detail=detail)


def world() -> tuple[list[Run], list[Row], list[Row]]:
    """Two lives of a collector: 10 ticks of which 8 were stored, then 6; 5 ticks without a row."""
    stored = [row(seq, seq) for seq in range(1, 9)]
    stored.append(gap(9, 13, 5, 8, 13))
    stored += [row(seq + 9, seq + 13) for seq in range(1, 7)]
    runs = [Run(0, 11 * INTERVAL_NS, 10), Run(12 * INTERVAL_NS, 20 * INTERVAL_NS, 6)]
    return runs, stored, [Row(r.key, {**r.values, "in_doubt": False}) for r in stored]


def judge(runs: list[Run], stored: list[Row], committed: list[Row]) -> Verdict:
    """The verdict on the grid of these tests."""
    return reconcile(runs, stored, committed, INTERVAL_NS)


def test_a_run_with_a_kill_and_nothing_lost_is_kept() -> None:
    """Rows that all arrived once, and a hole that its gap row tells of, make no finding."""
    verdict = judge(*world())
    assert verdict.findings == ()
    assert verdict.line == (
        "taken 16 · stored 15 · committed 15 · lost 0 · duplicated 0 · "
        "unstored ticks 5, all in gap rows"
    )


def test_late_ticks_are_no_holes() -> None:
    """A tick that comes most of an interval late moves no other tick and makes no finding."""
    runs, stored, _ = world()
    late = {5: 5.7, 6: 6.4}
    stored = [row(r.key.seq, late[r.key.seq]) if r.key.seq in late else r for r in stored]
    assert judge(runs, stored, stored).findings == ()


def test_missed_ticks_told_together_later_are_covered() -> None:
    """One gap row may tell of several holes, and come after the samples behind them."""
    ticks = [1, 2, 4, 5, 8, 9, 10, 11, 12]
    stored = [row(seq, tick) for seq, tick in enumerate(ticks, 1)]
    stored.append(gap(10, 12.1, 3, 3, 12.1))
    verdict = judge([Run(0, 20 * INTERVAL_NS, 9)], stored, stored)
    assert (verdict.findings, verdict.unstored, verdict.covered) == ((), 3, 3)


def test_a_row_that_was_dated_anew_is_unchanged() -> None:
    """A row of a boot with an offset may arrive with the time that the offset gives."""
    runs, stored, committed = world()
    true_us = START_US + 77
    stored[0] = Row(
        stored[0].key, {**stored[0].values, "clock_synced": False, "taken_at": 5}, true_us
    )
    committed[0] = Row(
        stored[0].key, {**stored[0].values, "clock_synced": True, "taken_at": true_us}
    )
    assert judge(runs, stored, committed).findings == ()


def _lose(runs: list[Run], stored: list[Row], committed: list[Row]) -> None:
    del committed[4]


def _double(runs: list[Run], stored: list[Row], committed: list[Row]) -> None:
    committed.append(committed[4])


def _invent(runs: list[Run], stored: list[Row], committed: list[Row]) -> None:
    committed.append(row(16, 20))


def _change(runs: list[Run], stored: list[Row], committed: list[Row]) -> None:
    committed[4] = Row(committed[4].key, {**committed[4].values, "scd4x_co2_ppm": 0.0})


def _null(runs: list[Run], stored: list[Row], committed: list[Row]) -> None:
    values = dict(committed[4].values)
    del values["scd4x_co2_ppm"]
    committed[4] = Row(committed[4].key, values)


def _redate_wrongly(runs: list[Run], stored: list[Row], committed: list[Row]) -> None:
    values = {**stored[0].values, "clock_synced": False}
    stored[0] = Row(stored[0].key, values, 1_000)
    committed[0] = Row(stored[0].key, {**values, "clock_synced": True, "taken_at": 2_000})


def _skip_seq(runs: list[Run], stored: list[Row], committed: list[Row]) -> None:
    for rows in (stored, committed):
        rows[-1] = replace(rows[-1], key=rows[-1].key._replace(seq=17))


def _forget_gap(runs: list[Run], stored: list[Row], committed: list[Row]) -> None:
    for rows in (stored, committed):
        rows[8] = replace(rows[8], values={**rows[8].values, "kind": "event", "detail": {}})


def _miscount_gap(runs: list[Run], stored: list[Row], committed: list[Row]) -> None:
    stored[8] = committed[8] = gap(9, 13, 4, 8, 13)


def _one_tick_unseen(runs: list[Run], stored: list[Row], committed: list[Row]) -> None:
    for rows in (stored, committed):
        rows[3] = replace(rows[3], values={**rows[3].values, "kind": "event", "detail": {}})


def _count_more(runs: list[Run], stored: list[Row], committed: list[Row]) -> None:
    runs[1] = replace(runs[1], ticks=20)


@pytest.mark.parametrize(
    ("plant", "sort"),
    [
        (_lose, "lost"), (_double, "duplicated"), (_invent, "invented"), (_change, "changed"),
        (_null, "changed"), (_redate_wrongly, "changed"), (_skip_seq, "hole in seq"),
        (_forget_gap, "uncovered hole"), (_miscount_gap, "uncovered hole"),
        (_one_tick_unseen, "uncovered hole"), (_count_more, "untold ticks"),
    ],
)
def test_a_planted_mistake_is_found(
    plant: Callable[[list[Run], list[Row], list[Row]], None], sort: str
) -> None:
    """Negative controls: each mistake, alone in a good run, gives a finding of its sort."""
    runs, stored, committed = world()
    assert judge(runs, stored, committed).kept
    plant(runs, stored, committed)
    verdict = judge(runs, stored, committed)
    assert sort in {finding.sort for finding in verdict.findings}
    assert not verdict.kept


def test_findings_name_the_row() -> None:
    """A person can look up what is said to be lost."""
    runs, stored, committed = world()
    del committed[4]
    assert f"row 5 of epoch {EPOCH}, install {INSTALL}" in judge(
        runs, stored, committed
    ).findings[0].text


def test_numbers_that_a_gap_row_names_are_no_holes() -> None:
    """Thinned rows leave a hole in seq that their gap row explains."""
    stored = [row(1, 1), row(4, 4), row(5, 5)]
    detail = {"first_seq": 2, "last_seq": 3, "count": 2, "reason": "thinned"}
    stored.append(row(6, 5, "gap", detail=detail))
    sorts = [finding.sort for finding in judge([], stored, stored).findings]
    assert "hole in seq" not in sorts
