"""One suite over the machine's clock and the clock that tests move."""

import re
import threading
from collections.abc import Callable

import pytest

from common.clock import Clock, SystemClock
from tests.emulators.clock import ManualClock

_NS = 1_000_000_000


def _system() -> tuple[Clock, Callable[[], None]]:
    stop = threading.Event()
    return SystemClock(stop), stop.set


def _manual() -> tuple[Clock, Callable[[], None]]:
    clock = ManualClock()
    return clock, clock.stop


@pytest.fixture(params=[_system, _manual], ids=["system", "manual"])
def clock_and_stop(request: pytest.FixtureRequest) -> tuple[Clock, Callable[[], None]]:
    """A clock, and what asks it to stop."""
    made: tuple[Clock, Callable[[], None]] = request.param()
    return made


def test_sleeping_passes_the_same_time_on_all_clocks(
    clock_and_stop: tuple[Clock, Callable[[], None]],
) -> None:
    """A sleep moves monotonic, boottime and realtime by at least its length, and about equally."""
    clock, _ = clock_and_stop
    before = (clock.monotonic_s(), clock.boottime_ns(), clock.realtime_ns())
    assert clock.sleep(0.02) is False
    passed_s = clock.monotonic_s() - before[0]
    assert passed_s >= 0.02 - 1e-6
    assert abs((clock.boottime_ns() - before[1]) / _NS - passed_s) < 0.05
    assert abs((clock.realtime_ns() - before[2]) / _NS - passed_s) < 0.05


def test_a_stop_ends_every_sleep_at_once(
    clock_and_stop: tuple[Clock, Callable[[], None]],
) -> None:
    """After a stop was asked for, sleep returns True without waiting, and ``stopping`` is true."""
    clock, stop = clock_and_stop
    stopping_before = clock.stopping
    stop()
    before_s = clock.monotonic_s()
    assert clock.sleep(30.0) is True
    assert (stopping_before, clock.stopping) == (False, True)
    assert clock.monotonic_s() - before_s < 5.0


def test_a_negative_sleep_returns_at_once(
    clock_and_stop: tuple[Clock, Callable[[], None]],
) -> None:
    """A wait whose time has passed already is no wait, and no error."""
    clock, _ = clock_and_stop
    before_s = clock.monotonic_s()
    assert clock.sleep(-1.0) is False
    assert 0.0 <= clock.monotonic_s() - before_s < 1.0


def test_the_boot_id_is_32_hex_digits_and_stays(
    clock_and_stop: tuple[Clock, Callable[[], None]],
) -> None:
    """The boot id is the kernel's without dashes, the same at each question."""
    clock, _ = clock_and_stop
    assert re.fullmatch(r"[0-9a-f]{32}", clock.boot_id())
    assert clock.boot_id() == clock.boot_id()


def test_synchronised_is_a_plain_answer(
    clock_and_stop: tuple[Clock, Callable[[], None]],
) -> None:
    """Whether the clock is synchronised can be asked without any right."""
    clock, _ = clock_and_stop
    assert clock.synchronised() in (True, False)


def test_a_manual_step_moves_the_wall_clock_alone() -> None:
    """Setting the clock leaves monotonic and boottime where they are."""
    clock = ManualClock()
    before = (clock.monotonic_s(), clock.boottime_ns(), clock.realtime_ns())
    clock.step(-3600.0)
    assert (clock.monotonic_s(), clock.boottime_ns()) == before[:2]
    assert clock.realtime_ns() == before[2] - 3600 * _NS


def test_a_manual_suspend_hides_from_the_monotonic_clock() -> None:
    """Suspended time counts in boottime and wall clock only, as CLOCK_BOOTTIME does."""
    clock = ManualClock()
    before = (clock.monotonic_s(), clock.boottime_ns(), clock.realtime_ns())
    clock.suspend(60.0)
    assert clock.monotonic_s() == before[0]
    assert clock.boottime_ns() == before[1] + 60 * _NS
    assert clock.realtime_ns() == before[2] + 60 * _NS


def test_a_manual_drift_makes_the_wall_clock_run_fast() -> None:
    """Drift is told in parts per million of passed time."""
    clock = ManualClock(drift_ppm=100.0)
    before_ns = clock.realtime_ns()
    clock.advance(10_000.0)
    assert clock.realtime_ns() - before_ns == 10_001 * _NS


def test_a_planned_action_happens_in_the_middle_of_a_sleep() -> None:
    """A stop that is planned for later cuts the sleep that passes over it, at its own moment."""
    clock = ManualClock()
    began_s = clock.monotonic_s()
    clock.at(2.0, clock.stop)
    assert clock.sleep(10.0) is True
    assert clock.monotonic_s() == began_s + 2.0
