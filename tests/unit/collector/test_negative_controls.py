"""Negative controls of the loop's fault tests: each catches the mistakes that it is there for."""

from functools import partial
from typing import Final

import pytest

from tests.unit.collector import chip_mistakes as chip
from tests.unit.collector import loop_checks as checks
from tests.unit.collector import loop_mistakes as loop
from tests.unit.collector.planted import Planted, check_name, checks_of

DEAD_SCD: Final = partial(checks.check_dead_chip, checks.SCD, "scd4x", ("icp10125", "sgp30"))

CONTROLS: Final = (
    Planted(
        checks.check_each_measurement_is_used_once,
        chip.a_measurement_is_handed_out_twice,
        "95 rows have a value, 19 were measured",
    ),
    Planted(
        checks.check_each_measurement_is_used_once,
        chip.the_status_stays_ok,
        "rows without a value say",
    ),
    Planted(DEAD_SCD, loop.one_error_ends_the_turn_of_all, "of 20 values beside the dead chip"),
    Planted(DEAD_SCD, chip.null_becomes_the_last_value, "the dead chip has values"),
    Planted(DEAD_SCD, chip.null_becomes_zero, r"the dead chip has values .*0\.0"),
    Planted(DEAD_SCD, chip.the_status_stays_ok, "the dead chip has no reason"),
    Planted(DEAD_SCD, chip.every_group_needs_all_its_sensors, "quality is PARTIAL"),
    Planted(checks.check_required_sensor, chip.quality_is_always_valid, "quality is VALID"),
    Planted(checks.check_required_sensor, chip.no_required_group_lacks, "quality is VALID"),
    Planted(checks.check_return_of_a_chip, chip.a_lost_chip_is_never_asked, "again, .* lost"),
    Planted(checks.check_return_of_a_chip, chip.a_chip_is_never_given_up, "chip is failing"),
    Planted(checks.check_return_of_a_chip, chip.a_found_chip_stays_lost, "again, .* lost"),
    Planted(checks.check_return_of_a_chip, chip.the_ladder_never_resets, "the log says"),
    Planted(checks.check_silence_of_all, loop.silence_writes_no_row, "rows of 60 ticks"),
    Planted(
        checks.check_silence_of_all, chip.the_computer_counts_as_a_value, "of silence is PARTIAL"
    ),
    Planted(checks.check_silence_of_all, chip.quality_is_always_valid, "of silence is VALID"),
    Planted(checks.check_noise, chip.checksums_are_not_looked_at, "0 of 5 damaged answers"),
    Planted(checks.check_noise, chip.every_fault_is_logged, "noise is logged"),
    Planted(checks.check_noise, chip.a_chip_is_lost_at_its_first_fault, "noise is logged"),
    Planted(checks.check_damaged_reads, chip.the_data_read_is_repeated, "read was repeated"),
    Planted(checks.check_damaged_reads, chip.checksums_are_not_looked_at, "0 of . damaged reads"),
    Planted(checks.check_locked_bus, loop.no_lockup_is_seen, "transfers on a locked bus"),
    Planted(checks.check_locked_bus, loop.a_lockup_waits_no_time, "transfers on a locked bus"),
    Planted(checks.check_locked_bus, loop.a_lockup_is_never_reopened, "was reopened 0 times"),
    Planted(checks.check_locked_bus, loop.ticks_wait_for_the_bus, "rows of 72 ticks"),
    Planted(checks.check_lost_bus, loop.a_lost_bus_is_told_each_time, "lost and back were told"),
    Planted(checks.check_lost_bus, loop.a_lockup_is_never_reopened, "were told .0, 0. times"),
    Planted(checks.check_lost_bus, chip.a_lost_chip_is_never_asked, "the bus back the chip is"),
    Planted(checks.check_hot_plug, chip.a_lost_chip_is_never_asked, "was sent 0 messages"),
    Planted(checks.check_hot_plug, chip.a_found_chip_stays_lost, "plugged in is"),
    Planted(
        checks.check_hot_plug, chip.an_absent_chip_is_asked_every_second, "was sent .* messages"
    ),
    Planted(checks.check_chip_without_data, chip.the_ladder_never_resets, "was never reset"),
    Planted(checks.check_chip_without_data, chip.null_becomes_the_last_value, "timeout have"),
    Planted(checks.check_frozen_chip, chip.a_frozen_chip_is_never_found, "is not marked"),
    Planted(
        checks.check_frozen_chip, chip.a_frozen_chip_is_marked_and_not_reset, "was reset 0 times"
    ),
    Planted(checks.check_frozen_chip, chip.a_frozen_chip_loses_its_values, "chip are gone"),
    Planted(checks.check_frozen_chip, chip.equal_words_are_suspicious_at_once, "was reset"),
    Planted(checks.check_missed_ticks, loop.missed_ticks_come_in_a_burst, "the gaps are"),
    Planted(checks.check_missed_ticks, loop.missed_ticks_are_not_counted, "the gaps are"),
    Planted(checks.check_missed_ticks, loop.missed_ticks_are_one_too_many, "counted as .4, 4."),
    Planted(checks.check_missed_ticks, loop.every_missed_tick_has_a_row, "are .*missed.*missed"),
    Planted(checks.check_missed_ticks, loop.the_gap_comes_after_the_row, "the gap row comes late"),
    Planted(checks.check_clock_step, loop.a_step_moves_the_schedule, "the pace of rows"),
    Planted(checks.check_clock_step, loop.a_step_is_not_told, r"was told as \[\]"),
    Planted(checks.check_clock_step, loop.the_offset_is_that_before_the_step, "the offsets are"),
    Planted(checks.check_aligned_step, loop.an_aligned_grid_is_never_corrected, "ms off"),
    Planted(checks.check_aligned_step, loop.an_aligned_grid_has_a_tick_at_the_step, "ms off"),
    Planted(checks.check_suspend, loop.sleep_costs_no_ticks, "of sleep are told as"),
    Planted(checks.check_rounds, loop.the_loop_sleeps_until_something_is_due, "slept for"),
)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: c.name)
def test_a_planted_mistake_is_caught(control: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the mistake in the product the check fails, and says what is wrong."""
    control.assert_caught(monkeypatch)


def test_every_check_of_the_loop_has_a_control() -> None:
    """A fault test that no mistake was ever planted against is not known to test anything."""
    assert {check_name(control.check) for control in CONTROLS} == checks_of(checks)
