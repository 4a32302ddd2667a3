"""Steps and synchronisation of the wall clock, as the collector sees them."""

from collector.stamp import Stamp
from collector.timekeeping import ClockWatch, Step, Synchronised, Timekeeper, clock_step_row
from tests.emulators.clock import ManualClock
from tests.unit.collector.bench import record

_NS = 1_000_000_000
START = Stamp(1_792_000_000 * _NS, 50 * _NS, False)


def later(stamp: Stamp, seconds: float, *, step_s: float = 0.0, synced: bool) -> Stamp:
    """A moment after another, the wall clock set by so much in between."""
    return Stamp(
        stamp.realtime_ns + round((seconds + step_s) * _NS),
        stamp.boottime_ns + round(seconds * _NS),
        synced,
    )


def test_time_that_passes_is_no_event() -> None:
    """As long as both clocks move alike, nothing happens."""
    watch = ClockWatch(START)
    stamp = START
    for _ in range(100):
        stamp = later(stamp, 1.0, synced=False)
        assert watch.look(stamp) == []


def test_a_step_is_told_with_its_size() -> None:
    """More than half a second is a step, forwards and backwards; less is slewing."""
    watch = ClockWatch(START)
    forward = later(START, 1.0, step_s=86_400.0, synced=False)
    assert watch.look(forward) == [Step(86_400 * _NS, forward)]
    slewed = later(forward, 1.0, step_s=0.4, synced=False)
    assert watch.look(slewed) == []
    back = later(slewed, 1.0, step_s=-3.0, synced=False)
    assert watch.look(back) == [Step(-3 * _NS, back)]
    assert watch.steps == 2


def test_the_offset_is_established_once_after_two_synchronised_looks() -> None:
    """The first look after the sync may still be followed by the step; the second is believed."""
    watch = ClockWatch(START)
    first = later(START, 1.0, step_s=1000.0, synced=True)
    assert watch.look(first) == [Step(1000 * _NS, first)]
    second = later(first, 1.0, synced=True)
    assert watch.look(second) == [Synchronised(second.offset_ns, second)]
    third = later(second, 1.0, step_s=700.0, synced=True)
    assert watch.look(third) == [Step(700 * _NS, third)]
    assert watch.look(later(third, 1.0, synced=True)) == []


def test_a_step_after_the_sync_flag_delays_the_offset() -> None:
    """A source that says synchronised first and steps then does not leave a wrong offset behind."""
    watch = ClockWatch(START)
    flagged = later(START, 1.0, synced=True)
    assert watch.look(flagged) == []
    stepped = later(flagged, 1.0, step_s=500.0, synced=True)
    assert [type(e) for e in watch.look(stepped)] == [Step]
    settled = later(stepped, 1.0, synced=True)
    assert watch.look(settled) == [Synchronised(settled.offset_ns, settled)]
    assert settled.offset_ns == START.offset_ns + 500 * _NS


def test_the_kernel_is_asked_at_most_once_a_second() -> None:
    """A loop that comes round a hundred times a second does not ask as often."""

    class Counting(ManualClock):
        asked = 0

        def synchronised(self) -> bool:
            self.asked += 1
            return super().synchronised()

    clock = Counting()
    time = Timekeeper(clock)
    for _ in range(500):
        clock.advance(0.01)
        time.look()
    assert clock.asked <= 7


def test_stamps_carry_what_the_kernel_said() -> None:
    """Rows are unsynchronised until the kernel says otherwise."""
    clock = ManualClock(synchronised=False)
    time = Timekeeper(clock)
    assert time.stamp().synced is False
    clock.advance(1.1)
    clock.synchronise(by_s=300.0)
    assert [type(e) for e in time.look()] == [Step]
    assert (time.stamp().synced, time.steps) == (True, 1)


def test_the_event_row_of_a_step_says_from_where_to_where() -> None:
    """The detail has the size and both times."""
    stamp = later(START, 1.0, step_s=-3600.0, synced=True)
    row = record(clock_step_row(Step(-3600 * _NS, stamp)))
    assert row["kind"] == "event"
    assert row["detail"] == {
        "event": "clock_step",
        "by_s": -3600.0,
        "from": "2026-10-14T17:46:41.000000Z",
        "to": "2026-10-14T16:46:41.000000Z",
    }
    assert (row["taken_at"], row["clock_synced"]) == (stamp.realtime_ns // 1000, 1)
