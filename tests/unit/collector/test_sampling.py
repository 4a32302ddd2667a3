"""The loop on emulated chips and a clock that jumps: what rows say while things go wrong."""

import pytest

from tests.emulators.environment import RecordedRoom
from tests.unit.collector import loop_checks as checks
from tests.unit.collector.bench import Bench


def test_a_quiet_hour_gives_every_tick_and_every_chip() -> None:
    """720 rows in an hour at 5 s, VALID, all values there once the chips have warmed up."""
    bench = Bench(room=RecordedRoom())
    bench.run(3600.0)
    samples = bench.samples
    assert len(samples) == 720
    warm = samples[4:]
    assert {s["quality"] for s in warm} == {"VALID"}
    assert all(s["icp10125_pressure_pa"] is not None for s in warm)
    assert all(s["sgp30_eco2_ppm"] is not None for s in warm)
    with_co2 = [s for s in warm if s["scd4x_co2_ppm"] is not None]
    assert len(with_co2) >= len(warm) * 0.99
    for chip in (bench.scd4x, bench.icp10125, bench.sgp30):
        assert chip.counters.violations == []


def test_no_measurement_is_used_twice() -> None:
    """At 1 s rows, an SCD4x that measures every 5 s gives one row in five a value."""
    checks.check_each_measurement_is_used_once()


def test_the_sgp30_is_asked_every_second_whatever_the_interval() -> None:
    """Rows every 15 minutes leave the chip's 1 Hz alone, and take its latest second."""
    bench = Bench(900.0)
    bench.run(1900.0)
    assert len(bench.samples) == 2
    assert bench.samples[-1]["sgp30_eco2_ppm"] is not None
    gaps = bench.sgp30.gaps_s
    assert len(gaps) > 1800
    assert max(gaps) < 1.11


@pytest.mark.parametrize(
    ("address", "silent", "others"),
    [
        (checks.SCD, "scd4x", ("icp10125", "sgp30")),
        (checks.ICP, "icp10125", ("scd4x", "sgp30")),
        (checks.SGP, "sgp30", ("scd4x", "icp10125")),
    ],
)
def test_a_dead_chip_is_null_with_its_status_and_the_others_go_on(
    address: int, silent: str, others: tuple[str, str]
) -> None:
    """One chip that no longer answers never costs another one a value."""
    checks.check_dead_chip(address, silent, others)


def test_a_row_without_a_required_sensor_is_partial() -> None:
    """The verdict follows the chips that the settings require, and recovers with them."""
    checks.check_required_sensor()


def test_a_chip_that_comes_back_is_found_and_measured_again() -> None:
    """After the fault the chip is started anew and gives values, without a restart."""
    checks.check_return_of_a_chip()


def test_every_tick_is_written_when_all_chips_are_silent() -> None:
    """With nobody answering, rows go on as INVALID: absence is data."""
    checks.check_silence_of_all()


def test_noise_costs_single_values_and_no_line_in_the_log() -> None:
    """A flipped bit now and then is counted and mended by the next measurement."""
    checks.check_noise()


def test_a_damaged_data_read_is_never_repeated() -> None:
    """The ladder goes on with the next question, not with the read that emptied the buffer."""
    checks.check_damaged_reads()


def test_a_locked_bus_is_left_alone_and_reopened() -> None:
    """Three timeouts in a row stop all polling; the bus is reopened, ever more rarely."""
    checks.check_locked_bus()


def test_a_bus_that_is_gone_is_told_once_and_found_again() -> None:
    """While the device node is missing rows say absent; one line at each end of it."""
    checks.check_lost_bus()


def test_a_chip_plugged_in_later_is_found() -> None:
    """A chip that was not there at the start is found within a minute or so of its plugging in."""
    checks.check_hot_plug()


def test_an_scd4x_without_new_data_is_started_anew() -> None:
    """A chip that acknowledges all and measures nothing is reset; rows say timeout meanwhile."""
    checks.check_chip_without_data()


def test_a_frozen_chip_is_marked_stuck_and_reset() -> None:
    """Ten minutes of the same raw words: the values stay, marked, and the chip is started anew."""
    checks.check_frozen_chip()


def test_chips_learn_from_each_other() -> None:
    """The ICP's pressure reaches the SCD4x, the SCD4x's humidity the SGP30."""
    bench = Bench()
    written: list[bytes] = []
    bench.bus.on_message = lambda m: written.append(m.data) if m.address == checks.SCD else None
    bench.run(120.0)
    assert any(data[:4] == bytes.fromhex("e00003dc") for data in written)
    assert bench.sgp30.humidity_words


def test_missed_ticks_are_counted_and_become_one_gap_row() -> None:
    """A process that did not run for a while counts the points it missed, in one row."""
    checks.check_missed_ticks()


def test_sleep_is_told_as_missed_ticks() -> None:
    """See ``check_suspend``."""
    checks.check_suspend()


def test_the_clock_is_set_by_a_day_and_sampling_does_not_notice() -> None:
    """A step changes times of rows, never their pace; it becomes an event row."""
    checks.check_clock_step()


def test_an_aligned_grid_follows_the_clock_over_a_step() -> None:
    """After the clock was set, ticks are on its multiples again."""
    checks.check_aligned_step()


def test_the_loop_comes_round_every_second_for_the_watchdog() -> None:
    """No wait is longer than a second, also when nothing is due for an hour."""
    checks.check_rounds()


def test_ten_rows_a_second_are_taken() -> None:
    """At the least interval every point becomes a row."""
    bench = Bench(0.1)
    bench.run(30.0)
    assert len(bench.samples) + bench.sampler.missed == pytest.approx(300, abs=2)
    assert bench.sampler.missed <= 3
