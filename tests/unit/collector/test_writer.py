"""Groups of rows, a spool that refuses them, and what the watchdog is told of it."""

from tests.unit.collector import storing_checks as checks
from tests.unit.collector.scene import Scene


def test_the_first_row_after_a_quiet_time_is_stored_at_once() -> None:
    """A row that comes after more than the interval does not wait."""
    scene = Scene(store_interval_s=5.0)
    scene.take()
    assert scene.writer.due_in_s() == 0
    assert scene.writer.store() is True
    scene.clock.advance(60.0)
    scene.take()
    assert scene.writer.due_in_s() == 0


def test_rows_are_stored_together_every_interval() -> None:
    """At ten rows a second and 5 s, a minute has about twelve commits, and no row waits longer."""
    scene = Scene(store_interval_s=5.0)
    scene.run(60.0, 0.1)
    assert 12 <= len(scene.disk.groups) <= 14
    assert max(len(group) for group in scene.disk.groups) <= 52
    assert sum(len(group) for group in scene.disk.groups) == scene.writer.rows_stored


def test_a_refused_group_is_kept_and_tried_with_growing_pauses() -> None:
    """A full disk costs attempts, not rows; it is told once, and once when it is over."""
    checks.check_full_disk()


def test_what_does_not_fit_into_memory_is_told_by_a_gap_row() -> None:
    """After days of a failing disk the newest rows are stored, and a gap row says what is not."""
    checks.check_full_memory()


def test_a_failing_disk_is_progress_while_memory_takes_rows() -> None:
    """The watchdog is fed while failures are attempts that end."""
    checks.check_failing_disk_is_progress()


def test_a_commit_that_never_ends_is_no_progress() -> None:
    """An attempt that hangs starves the watchdog."""
    checks.check_hanging_commit()


def test_rows_that_nobody_stores_are_no_progress() -> None:
    """A storing thread that is gone starves the watchdog."""
    checks.check_absent_storing_thread()


def test_no_rows_are_progress() -> None:
    """With a long interval nothing is stored for an hour, and that is fine."""
    scene = Scene()
    scene.take()
    scene.writer.store()
    scene.clock.advance(3600.0)
    assert scene.writer.progressing(scene.clock.monotonic_s())


def test_a_wake_before_the_wait_ends_it() -> None:
    """A stop that comes between two looks is not slept over."""
    scene = Scene()
    scene.writer.wake()
    assert scene.writer.wait(30.0) is False
