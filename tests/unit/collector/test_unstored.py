"""Ticks that were never stored, as a start counts them."""

import pytest

from collector.spool.decide import LastRow
from collector.unstored import LastStored, last_stored
from tests.unit.collector import storing_checks as checks
from tests.unit.collector.storing_checks import OTHER, T0, gap_detail, stamp

_NS = 1_000_000_000


def test_nothing_is_missing_before_the_first_row_ever() -> None:
    """An empty spool has no gap."""
    assert gap_detail(None, stamp(100.0), 5.0) is None


@pytest.mark.parametrize(
    ("pause_s", "first_s", "count"),
    [(1.0, 5.0, 0), (5.0, 5.0, 1), (12.0, 5.0, 2), (60.0, 5.0, 12), (0.0, 5.0, 0)],
)
def test_within_a_boot_the_uptime_counts(pause_s: float, first_s: float, count: int) -> None:
    """Ticks between the last row and the first to come, whatever the wall clock says."""
    checks.check_pause_within_a_boot(pause_s, first_s, count)


def test_a_kill_is_told_as_one() -> None:
    """Without a clean stop the reason is that the process was killed, or the power cut."""
    checks.check_kill()


def test_across_boots_two_synchronised_clocks_count() -> None:
    """An hour without power is counted by the wall clock."""
    checks.check_pause_across_boots(before=True, now=True)


@pytest.mark.parametrize(("before", "now"), [(False, True), (True, False), (False, False)])
def test_across_boots_an_unsynchronised_clock_counts_nothing(*, before: bool, now: bool) -> None:
    """What nobody can know is null, and the row is written all the same."""
    checks.check_pause_across_boots(before=before, now=now)


def test_a_wall_clock_that_went_back_counts_nothing_less_than_nothing() -> None:
    """A negative pause is none."""
    last = LastStored(OTHER, stamp(9_000.0, realtime_s=T0 + 50.0), clean=True)
    assert gap_detail(last, stamp(30.0, realtime_s=T0), 5.0) is None


def test_the_last_row_is_re_dated_when_its_boot_was_synchronised_later() -> None:
    """The offset of its boot makes an unsynchronised row's time a known one."""
    row = LastRow(OTHER, 40 * _NS, 123, False, (T0 + 5) * _NS, False)
    found = last_stored(row)
    assert found is not None
    assert (found.stamp.realtime_ns, found.stamp.synced) == ((T0 + 45) * _NS, True)
    assert last_stored(None) is None
    undated = last_stored(row._replace(offset_ns=None))
    assert undated is not None
    assert (undated.stamp.realtime_ns, undated.stamp.synced) == (123_000, False)
