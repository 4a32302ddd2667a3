"""Groups of rows, a spool that refuses them, and what the watchdog is told of it."""

import io
import threading
from collections.abc import Sequence

from collector.ring import Ring
from collector.stamp import stamped_row
from collector.timekeeping import Timekeeper
from collector.writer import ATTEMPT_S_MAX, RETRY_S_MAX, Writer
from common.database import SpoolFull
from common.errors import SpoolError
from common.logs import Log
from common.sample import Kind
from common.spool.row import NewRow
from tests.emulators.clock import ManualClock
from tests.unit.collector.bench import record


class Disk:
    """A spool that can be told to refuse."""

    def __init__(self) -> None:
        self.groups: list[list[NewRow]] = []
        self.error: SpoolError | None = None
        self.attempts = 0

    def append(self, rows: Sequence[NewRow]) -> range:
        """See ``SpoolStore.append``."""
        self.attempts += 1
        if self.error is not None:
            raise self.error
        self.groups.append(list(rows))
        return range(len(rows))


class Scene:
    """A writer with its disk and a clock that jumps."""

    def __init__(self, store_interval_s: float = 5.0, rows_max: int = 100) -> None:
        self.clock = ManualClock()
        self.disk = Disk()
        self.text = io.StringIO()
        log = Log("thermal-collector", stream=self.text)
        self.time = Timekeeper(self.clock)
        self.writer = Writer(
            self.disk, store_interval_s, self.clock, self.time, log, Ring(rows_max)
        )

    def take(self) -> None:
        """One row."""
        self.writer.keep(stamped_row(self.time.stamp(), Kind.SAMPLE, {}))

    def run(self, seconds: float, row_every_s: float) -> None:
        """Rows at that pace, stored when due."""
        end_s = self.clock.monotonic_s() + seconds
        next_s = self.clock.monotonic_s()
        while self.clock.monotonic_s() < end_s:
            if self.clock.monotonic_s() >= next_s:
                self.take()
                next_s += row_every_s
            if self.writer.due_in_s() == 0:
                self.writer.store()
            self.clock.advance(0.1)


def full() -> SpoolFull:
    """What a full disk says."""
    return SpoolFull("disk full", op="append", path="spool.db", hint="free space")


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
    scene = Scene()
    scene.disk.error = full()
    scene.run(120.0, 5.0)
    assert scene.writer.rows_stored == 0
    assert 5 <= scene.disk.attempts <= 10
    assert scene.writer.failures == scene.disk.attempts
    assert scene.writer.full
    assert "disk full" in scene.writer.trouble
    scene.disk.error = None
    scene.run(RETRY_S_MAX + 1, 5.0)
    scene.writer.store()
    assert scene.writer.rows_stored == 31
    assert not scene.writer.trouble
    assert [line.split()[0] for line in scene.text.getvalue().splitlines()] == [
        "store_failed",
        "store_recovered",
    ]


def test_what_does_not_fit_into_memory_is_told_by_a_gap_row() -> None:
    """After days of a failing disk the newest rows are stored, and a gap row says what is not."""
    scene = Scene(rows_max=10)
    scene.disk.error = full()
    scene.run(200.0, 5.0)
    scene.disk.error = None
    scene.clock.advance(RETRY_S_MAX)
    scene.writer.store()
    stored = [record(row) for group in scene.disk.groups for row in group]
    assert stored[0]["detail"]["reason"] == "memory_full"
    assert stored[0]["detail"]["count"] == 30
    assert len(stored) == 11
    assert scene.writer.dropped == 30


def test_a_failing_disk_is_progress_while_memory_takes_rows() -> None:
    """The watchdog is fed while failures are attempts that end."""
    scene = Scene()
    scene.disk.error = full()
    for _ in range(300):
        scene.run(1.0, 1.0)
        assert scene.writer.progressing(scene.clock.monotonic_s())


def test_a_commit_that_never_ends_is_no_progress() -> None:
    """An attempt that hangs starves the watchdog."""
    scene = Scene()
    begun, go_on = threading.Event(), threading.Event()

    def hang(rows: Sequence[NewRow]) -> range:
        begun.set()
        go_on.wait(10.0)
        return range(0)

    scene.disk.append = hang  # type: ignore[method-assign]
    scene.take()
    thread = threading.Thread(target=scene.writer.store)
    thread.start()
    try:
        assert begun.wait(10.0)
        now_s = scene.clock.monotonic_s()
        assert scene.writer.progressing(now_s + ATTEMPT_S_MAX - 1)
        assert not scene.writer.progressing(now_s + ATTEMPT_S_MAX + 1)
    finally:
        go_on.set()
        thread.join()


def test_rows_that_nobody_stores_are_no_progress() -> None:
    """A storing thread that is gone starves the watchdog."""
    scene = Scene()
    scene.take()
    scene.clock.advance(ATTEMPT_S_MAX + 6.0)
    assert not scene.writer.progressing(scene.clock.monotonic_s())


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
