"""Rows in memory: nothing is lost silently, whatever the disk does."""

from hypothesis import given
from hypothesis import strategies as st

from collector.ring import CHUNK_ROWS, Ring
from tests.unit.collector import storing_checks as checks
from tests.unit.collector.bench import record
from tests.unit.collector.storing_checks import row, stamp


def test_rows_are_stored_in_the_order_they_were_taken() -> None:
    """A chunk holds the oldest rows, at most so many of one transaction."""
    ring = Ring()
    rows = [row(n) for n in range(CHUNK_ROWS + 10)]
    for n, one in enumerate(rows):
        ring.add(one, float(n))
    assert ring.take(stamp(0)) == rows[:CHUNK_ROWS]
    ring.stored()
    assert ring.take(stamp(0)) == rows[CHUNK_ROWS:]
    ring.stored()
    assert (len(ring), ring.oldest_s) == (0, None)


def test_a_chunk_that_was_not_stored_comes_again() -> None:
    """After a failure the same rows come again, before those taken meanwhile."""
    ring = Ring()
    ring.add(row(1), 1.0)
    assert ring.take(stamp(9)) == [row(1)]
    ring.add(row(2), 2.0)
    assert (len(ring), ring.oldest_s) == (2, 1.0)
    ring.failed()
    assert ring.take(stamp(9)) == [row(1), row(2)]


def test_what_is_given_up_becomes_one_gap_row_before_the_rest() -> None:
    """A full ring gives up its oldest rows, and says how many and from when to when."""
    ring = Ring(rows_max=3)
    for n in range(8):
        ring.add(row(n), float(n))
    gap, *rest = ring.take(stamp(20))
    assert rest == [row(5), row(6), row(7)]
    detail = record(gap)["detail"]
    assert (detail["count"], detail["reason"], detail["first_seq"]) == (5, "memory_full", None)
    assert detail["from"] == "2026-10-14T17:46:40.000000Z"
    assert detail["to"] == "2026-10-14T17:46:44.000000Z"
    ring.stored()
    assert ring.take(stamp(21)) == []
    assert ring.dropped == 5


def test_rows_given_up_while_a_chunk_is_stored_are_told_by_the_next_gap() -> None:
    """A gap row that was stored is never told again, and what came after it is not forgotten."""
    ring = Ring(rows_max=2)
    for n in range(4):
        ring.add(row(n), float(n))
    assert record(ring.take(stamp(9))[0])["detail"]["count"] == 2
    for n in range(4, 9):
        ring.add(row(n), float(n))
    ring.stored()
    assert record(ring.take(stamp(9))[0])["detail"]["count"] == 3


def test_a_gap_row_that_is_given_up_counts_what_it_told() -> None:
    """Losing a gap row of 12 ticks loses 12 ticks, and an event row none."""
    checks.check_gap_given_up()


@given(
    actions=st.lists(st.sampled_from(["add", "add", "add", "store", "fail"]), max_size=200),
    rows_max=st.integers(1, 8),
)
def test_every_row_is_stored_once_or_told_in_a_gap(actions: list[str], rows_max: int) -> None:
    """Whatever fails when: rows stored + rows in gaps = rows taken, in order, none twice."""
    checks.check_ring(actions, rows_max)
