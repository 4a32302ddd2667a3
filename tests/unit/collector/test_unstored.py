"""Ticks that were never stored, as a start counts them."""

import pytest

from collector.spool.decide import LastRow
from collector.stamp import Stamp
from collector.unstored import LastStored, last_stored, unstored_row
from tests.unit.collector.bench import record

_NS = 1_000_000_000
BOOT, OTHER = "a" * 32, "b" * 32
T0 = 1_792_000_000


def stamp(uptime_s: float, *, synced: bool = True, realtime_s: float | None = None) -> Stamp:
    """A moment of the running boot."""
    at_s = T0 + uptime_s if realtime_s is None else realtime_s
    return Stamp(round(at_s * _NS), round(uptime_s * _NS), synced)


def detail(last: LastStored | None, now: Stamp, first_s: float, interval_s: float = 5.0) -> object:
    """The gap's detail; ``None``: no gap."""
    row = unstored_row(last, now, BOOT, first_s, interval_s)
    return None if row is None else record(row)["detail"]


def test_nothing_is_missing_before_the_first_row_ever() -> None:
    """An empty spool has no gap."""
    assert detail(None, stamp(100.0), 5.0) is None


@pytest.mark.parametrize(
    ("pause_s", "first_s", "count"),
    [(1.0, 5.0, 0), (5.0, 5.0, 1), (12.0, 5.0, 2), (60.0, 5.0, 12), (0.0, 5.0, 0)],
)
def test_within_a_boot_the_uptime_counts(pause_s: float, first_s: float, count: int) -> None:
    """Ticks between the last row and the first to come, whatever the wall clock says."""
    last = LastStored(BOOT, stamp(100.0, realtime_s=T0 - 9e8), clean=True)
    told = detail(last, stamp(100.0 + pause_s, synced=False), first_s)
    if count == 0:
        assert told is None
        return
    assert isinstance(told, dict)
    assert (told["count"], told["reason"], told["first_seq"]) == (count, "not_running", None)


def test_a_kill_is_told_as_one() -> None:
    """Without a clean stop the reason is that the process was killed, or the power cut."""
    last = LastStored(BOOT, stamp(100.0), clean=False)
    told = detail(last, stamp(160.0), 5.0)
    assert isinstance(told, dict)
    assert (told["reason"], told["count"]) == ("killed", 12)
    assert (told["from"], told["to"]) == (
        "2026-10-14T17:48:20.000000Z", "2026-10-14T17:49:20.000000Z",
    )


def test_across_boots_two_synchronised_clocks_count() -> None:
    """An hour without power is counted by the wall clock."""
    last = LastStored(OTHER, stamp(9_000.0, realtime_s=T0), clean=False)
    told = detail(last, stamp(30.0, realtime_s=T0 + 3600.0), 5.0)
    assert isinstance(told, dict)
    assert told["count"] == 720


@pytest.mark.parametrize(("before", "now"), [(False, True), (True, False), (False, False)])
def test_across_boots_an_unsynchronised_clock_counts_nothing(*, before: bool, now: bool) -> None:
    """What nobody can know is null, and the row is written all the same."""
    last = LastStored(OTHER, stamp(9_000.0, realtime_s=T0, synced=before), clean=False)
    told = detail(last, stamp(30.0, realtime_s=T0 + 3600.0, synced=now), 5.0)
    assert isinstance(told, dict)
    assert (told["count"], told["to"] is None) == (None, not now)


def test_a_wall_clock_that_went_back_counts_nothing_less_than_nothing() -> None:
    """A negative pause is none."""
    last = LastStored(OTHER, stamp(9_000.0, realtime_s=T0 + 50.0), clean=True)
    assert detail(last, stamp(30.0, realtime_s=T0), 5.0) is None


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
