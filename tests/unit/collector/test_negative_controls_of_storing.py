"""Negative controls of the storing side: each fault test catches what it is there for."""

from functools import partial
from typing import Final

import pytest

from tests.unit.collector import storing_checks as checks
from tests.unit.collector import storing_mistakes as wrong
from tests.unit.collector.planted import Planted, check_name, checks_of

RING: Final = partial(
    checks.check_ring, [*["add"] * 5, "fail", *["add"] * 3, "store", *["add"] * 2], 3
)
ROOMY_RING: Final = partial(checks.check_ring, ["add", "add", "fail", "add", "store", "add"], 8)
PAUSE: Final = partial(checks.check_pause_within_a_boot, 60.0, 5.0, 12)
NO_PAUSE: Final = partial(checks.check_pause_within_a_boot, 1.0, 5.0, 0)
POWER_CUT: Final = partial(checks.check_pause_across_boots, before=True, now=True)
UNKNOWN: Final = partial(checks.check_pause_across_boots, before=False, now=True)

CONTROLS: Final = (
    Planted(checks.check_full_disk, wrong.rows_of_a_failed_commit_are_forgotten, "of 31 rows"),
    Planted(checks.check_full_disk, wrong.a_failing_disk_is_asked_all_the_time, "attempts in two"),
    Planted(checks.check_full_disk, wrong.every_failed_attempt_is_logged, "the log says"),
    Planted(checks.check_full_disk, wrong.a_stored_chunk_comes_again, "of 31 rows"),
    Planted(checks.check_full_memory, wrong.rows_are_dropped_without_a_word, r"gaps are \[\]"),
    Planted(checks.check_full_memory, wrong.dropped_rows_are_not_counted, "0 rows count as given"),
    Planted(checks.check_full_memory, wrong.a_later_loss_replaces_an_earlier_one, "gaps are"),
    Planted(checks.check_gap_given_up, wrong.a_gap_row_counts_as_one, "was given up as 3"),
    Planted(checks.check_gap_given_up, wrong.dropped_rows_are_not_counted, "0 rows count as given"),
    Planted(RING, wrong.rows_are_dropped_without_a_word, "in gaps of 10 rows"),
    Planted(RING, wrong.a_failed_commit_forgets_its_gap, "in gaps of 10 rows"),
    Planted(ROOMY_RING, wrong.rows_of_a_failed_commit_are_forgotten, "2 stored . 0 in gaps of 4"),
    Planted(ROOMY_RING, wrong.a_stored_chunk_comes_again, "in gaps of 4 rows"),
    Planted(checks.check_hanging_commit, wrong.the_watchdog_is_fed_by_a_timer, "was fed 119.0 s"),
    Planted(checks.check_hanging_commit, wrong.an_attempt_counts_as_progress, "was fed 119.0 s"),
    Planted(checks.check_hanging_commit, wrong.a_slow_commit_is_a_hang, "slow commit starved"),
    Planted(
        checks.check_failing_disk_is_progress, wrong.a_failing_disk_is_no_progress, "failing disk"
    ),
    Planted(checks.check_absent_storing_thread, wrong.waiting_rows_are_progress, "nobody stores"),
    Planted(PAUSE, wrong.no_gap_at_the_start, "no row says so"),
    Planted(PAUSE, wrong.the_gap_counts_one_too_many, "counted as 13"),
    Planted(PAUSE, wrong.the_gap_counts_one_too_few, "counted as 11"),
    Planted(PAUSE, wrong.the_wall_clock_counts_within_a_boot, "12 missing ticks were counted as"),
    Planted(PAUSE, wrong.no_stop_was_clean, "a clean stop is called killed"),
    Planted(NO_PAUSE, wrong.the_gap_counts_one_too_many, "no tick is missing"),
    Planted(checks.check_kill, wrong.no_gap_at_the_start, "a kill left no gap row"),
    Planted(checks.check_kill, wrong.the_gap_counts_one_too_many, "counted as 13"),
    Planted(checks.check_kill, wrong.the_gap_counts_one_too_few, "counted as 11"),
    Planted(checks.check_kill, wrong.every_stop_was_clean, "a kill is called not_running"),
    Planted(POWER_CUT, wrong.the_uptime_counts_across_boots, "a power cut left no gap row"),
    Planted(POWER_CUT, wrong.the_gap_counts_one_too_few, "is 719, not 720"),
    Planted(UNKNOWN, wrong.an_unsynchronised_clock_is_believed, "is 720, not None"),
)


@pytest.mark.parametrize("control", CONTROLS, ids=lambda c: c.name)
def test_a_planted_mistake_is_caught(control: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the mistake in the product the check fails, and says what is wrong."""
    control.assert_caught(monkeypatch)


def test_every_check_of_storing_has_a_control() -> None:
    """A fault test that no mistake was ever planted against is not known to test anything."""
    assert {check_name(control.check) for control in CONTROLS} == checks_of(checks)


def test_a_control_without_a_mistake_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The controls' own control: an honest product passes the check, which fails the control."""

    def nothing_at_all(_patch: pytest.MonkeyPatch) -> None:
        """Leave the product as it is."""

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        Planted(checks.check_kill, nothing_at_all, "a kill").assert_caught(monkeypatch)
