"""The sampling grid: no drift, no bursts, and multiples of the wall clock when aligned."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.schedule import ALIGN_MARGIN_S, Alignment, Grid, chip_periods

_NS = 1_000_000_000
_HOUR_NS = 3600 * _NS
NOON_NS = 1_792_000_000 * _NS // _HOUR_NS * _HOUR_NS


def test_points_lie_on_the_grid_without_drift() -> None:
    """After a million points at 0.1 s, the next one is still where arithmetic says."""
    grid = Grid(0.1, 100.0)
    for n in range(0, 1_000_000, 1000):
        tick = grid.due(100.0 + (n + 0.5) * 0.1)
        assert tick is not None
        assert tick.at_s == pytest.approx(100.0 + n * 0.1, abs=1e-6)
    assert grid.next_s == pytest.approx(100.0 + 999_001 * 0.1, abs=1e-6)


def test_nothing_is_due_before_the_next_point() -> None:
    """Between two points there is no tick, and asking changes nothing."""
    grid = Grid(5.0, 10.0)
    assert grid.due(9.999) is None
    assert grid.due(10.0) is not None
    assert grid.due(10.0) is None
    assert grid.due(14.999) is None
    assert grid.next_s == 15.0


def test_missed_points_are_skipped_and_counted_not_made_up() -> None:
    """A late call gets one tick, the newest, and the number of those before it."""
    grid = Grid(5.0, 10.0)
    tick = grid.due(31.0)
    assert tick is not None
    assert (tick.at_s, tick.missed) == (30.0, 4)
    assert grid.due(31.0) is None
    assert grid.next_s == 35.0


@given(
    interval_s=st.floats(0.1, 900.0),
    late_s=st.lists(st.floats(0.0, 5_000.0), min_size=1, max_size=40),
)
def test_ticks_and_missed_ones_together_are_all_points(
    interval_s: float, late_s: list[float]
) -> None:
    """However late the calls come: taken + missed = points passed, each point counted once."""
    grid = Grid(interval_s, 0.0)
    now_s, taken, missed = 0.0, 0, 0
    for pause_s in late_s:
        now_s += pause_s
        tick = grid.due(now_s)
        if tick is not None:
            taken, missed = taken + 1, missed + tick.missed
    assert (taken + missed) * interval_s == pytest.approx(grid.next_s)


@pytest.mark.parametrize("interval_s", [900.0, 60.0, 5.0, 0.1])
def test_an_aligned_grid_begins_on_a_multiple_of_the_wall_clock(interval_s: float) -> None:
    """The first point is at or just after a multiple, never before it, and within an interval."""
    alignment = Alignment(interval_s)
    realtime_ns = NOON_NS + 123_456_789_012
    first_s = alignment.first_s(50.0, realtime_ns, 50.0)
    assert 50.0 <= first_s <= 50.0 + interval_s + ALIGN_MARGIN_S
    at_ns = realtime_ns + round((first_s - 50.0) * _NS)
    behind_ns = at_ns % round(interval_s * _NS)
    assert behind_ns / _NS == pytest.approx(ALIGN_MARGIN_S, abs=1e-4)


def test_fifteen_minutes_aligned_are_96_ticks_a_day_on_the_quarters() -> None:
    """A day of the aligned grid has 96 ticks, at :00 :15 :30 :45."""
    alignment = Alignment(900.0)
    midnight_ns = NOON_NS // (24 * _HOUR_NS) * 24 * _HOUR_NS
    grid = Grid(900.0, alignment.first_s(7.0, midnight_ns - 3 * _NS, 7.0))
    quarters = set()
    ticks = 0
    for second in range(7, 7 + 86_400):
        realtime_ns = midnight_ns + (second - 10) * _NS
        assert not alignment.corrected(grid, float(second), realtime_ns)
        if grid.due(second + 0.01) is not None:
            ticks += 1
            quarters.add(realtime_ns // _NS // 60 % 60)
    assert (ticks, quarters) == (96, {0, 15, 30, 45})


@pytest.mark.parametrize("step_s", [-4000.0, -10.0, 10.0, 433.0, 90_001.0])
def test_a_step_of_the_wall_clock_anchors_the_grid_anew(step_s: float) -> None:
    """After a step the next point is on a multiple again, half to one and a half intervals on."""
    alignment = Alignment(900.0)
    grid = Grid(900.0, alignment.first_s(0.0, NOON_NS, 0.0))
    assert grid.due(0.5) is not None
    stepped_ns = NOON_NS + 60 * _NS + round(step_s * _NS)
    assert alignment.corrected(grid, 60.0, stepped_ns)
    assert 450.0 <= grid.next_s <= 1350.0 + 1
    at_ns = stepped_ns + round((grid.next_s - 60.0) * _NS)
    assert (at_ns % (900 * _NS)) / _NS == pytest.approx(ALIGN_MARGIN_S, abs=1e-4)
    tick = grid.due(grid.next_s + 0.01)
    assert tick is not None
    assert tick.missed == 0


def test_slewing_within_the_tolerance_leaves_the_grid_alone() -> None:
    """A few milliseconds of slew are not worth a new anchor."""
    alignment = Alignment(60.0)
    grid = Grid(60.0, alignment.first_s(0.0, NOON_NS, 0.0))
    assert not alignment.corrected(grid, 0.0, NOON_NS + 15_000_000)
    assert alignment.corrected(grid, 0.0, NOON_NS + 50_000_000)


def test_a_grid_without_distance_is_refused() -> None:
    """An interval of 0 would be an endless burst."""
    with pytest.raises(ValueError, match="interval_s is 0"):
        Grid(0.0, 1.0)


@pytest.mark.parametrize(
    ("interval_s", "scd4x_s", "icp_s"), [(0.1, 0.02, 0.05), (5.0, 1.0, 2.5), (900.0, 1.0, 10.0)]
)
def test_chips_are_asked_as_often_as_rows_need(
    interval_s: float, scd4x_s: float, icp_s: float
) -> None:
    """Polls follow the interval up to their own limit; the SGP30 keeps its 1 Hz always."""
    periods = chip_periods(interval_s)
    assert periods["scd4x"] == pytest.approx(scd4x_s)
    assert periods["icp10125"] == pytest.approx(icp_s)
    assert periods["sgp30"] == 1.0
