"""The grid of measurements."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.drivers.grid import Grid


def test_due_times_do_not_drift() -> None:
    """A caller that is always 30 ms late still measures every second."""
    grid, now_s, due = Grid(1.0), 10.03, 0
    grid.start(10.0)
    for _ in range(1000):
        assert grid.is_due(now_s)
        assert grid.advance(now_s) == 0
        due += 1
        now_s += grid.wait_s(now_s) + 0.03
    assert now_s == pytest.approx(10.03 + due)


@given(late_s=st.floats(0.0, 1e6), period_s=st.floats(0.1, 3600.0))
def test_missed_times_are_skipped_never_made_up(late_s: float, period_s: float) -> None:
    """However late the caller comes, the next is due 0.9 to 1 period later."""
    grid = Grid(period_s)
    grid.start(100.0)
    now_s = 100.0 + late_s
    skipped = grid.advance(now_s)
    assert skipped == pytest.approx(late_s // period_s, abs=1)
    assert period_s * 0.899 <= grid.wait_s(now_s) <= period_s * 1.001
