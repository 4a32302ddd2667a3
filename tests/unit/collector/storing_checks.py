"""What storing must do while it fails: scenes that tests and negative controls share."""

import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, Final, cast

from collector import unstored
from collector.gaps import Gap, GapReason, gap_row
from collector.ring import Ring
from collector.serving import Serving
from collector.stamp import Stamp, stamped_row
from collector.unstored import LastStored
from collector.writer import ATTEMPT_S_MAX, RETRY_S_MAX
from common.logs import Log
from common.sample import Kind
from common.spool.row import NewRow
from tests.unit.collector.bench import record
from tests.unit.collector.scene import Scene, full

_NS: Final = 1_000_000_000
T0: Final = 1_792_000_000
BOOT: Final = "a" * 32
OTHER: Final = "b" * 32


def stamp(uptime_s: float, *, synced: bool = True, realtime_s: float | None = None) -> Stamp:
    """A moment of the running boot."""
    at_s = T0 + uptime_s if realtime_s is None else realtime_s
    return Stamp(round(at_s * _NS), round(uptime_s * _NS), synced)


def row(n: int) -> NewRow:
    """A sample of the n-th second."""
    return stamped_row(stamp(n), Kind.SAMPLE, {})


def check_full_disk() -> None:
    """A full disk costs attempts, not rows; it is told once, and once when it is over."""
    scene = Scene()
    scene.disk.error = full()
    scene.run(120.0, 5.0)
    stored, attempts = scene.writer.rows_stored, scene.disk.attempts
    assert stored == 0, f"{stored} rows count as stored on a full disk"
    assert 5 <= attempts <= 10, f"{attempts} attempts in two minutes"
    assert scene.writer.failures == attempts, f"{scene.writer.failures} failures were counted"
    assert scene.writer.full, "the disk is not said to be full"
    assert "disk full" in scene.writer.trouble, f"the trouble is {scene.writer.trouble!r}"
    scene.disk.error = None
    scene.run(RETRY_S_MAX + 1, 5.0)
    scene.writer.store()
    stored = sum(len(group) for group in scene.disk.groups)
    assert stored == scene.writer.rows_stored == 31, f"{stored} of 31 rows were stored"
    taken_at = [record(row)["taken_at"] for group in scene.disk.groups for row in group]
    assert taken_at == sorted(set(taken_at)), "rows are out of order or stored twice"
    assert not scene.writer.trouble, f"the trouble stays: {scene.writer.trouble}"
    told = [line.split()[0] for line in scene.text.getvalue().splitlines()]
    assert told == ["store_failed", "store_recovered"], f"the log says {told}"


def check_full_memory() -> None:
    """After long failing the newest rows are stored, and a gap row says what is not."""
    scene = Scene(rows_max=10)
    scene.disk.error = full()
    scene.run(200.0, 5.0)
    scene.disk.error = None
    scene.clock.advance(RETRY_S_MAX)
    scene.writer.store()
    stored = [record(row) for group in scene.disk.groups for row in group]
    gaps = [(r["detail"]["reason"], r["detail"]["count"]) for r in stored if r["kind"] == "gap"]
    assert gaps == [("memory_full", 30)], f"the gaps are {gaps}"
    assert stored[0]["kind"] == "gap", "the gap row does not come first"
    assert len(stored) == 11, f"{len(stored)} rows were stored"
    assert scene.writer.dropped == 30, f"{scene.writer.dropped} rows count as given up"


def check_gap_given_up() -> None:
    """Losing a gap row of 12 ticks loses 12 ticks, and an event row none."""
    ring = Ring(rows_max=1)
    ring.add(gap_row(Gap(GapReason.MISSED_TICKS, 12), stamp(0)), 0.0)
    ring.add(stamped_row(stamp(1), Kind.EVENT, {"detail": "{}"}), 1.0)
    ring.add(gap_row(Gap(GapReason.KILLED, None), stamp(2)), 2.0)
    ring.add(row(3), 3.0)
    count = record(ring.take(stamp(9))[0])["detail"]["count"]
    assert count == 12, f"a gap row of 12 ticks was given up as {count}"
    assert ring.dropped == 3, f"{ring.dropped} rows count as given up"


def check_ring(actions: Sequence[str], rows_max: int) -> None:
    """Whatever fails when: rows stored + rows in gaps = rows taken, in order, none twice."""
    ring = Ring(rows_max)
    taken, told = 0, 0
    stored: list[int] = []
    for action in (*actions, "store", "store"):
        if action == "add":
            ring.add(row(taken), float(taken))
            taken += 1
            continue
        rows = [record(one) for one in ring.take(stamp(999))]
        if action == "fail":
            ring.failed()
            continue
        told += sum(read["detail"]["count"] for read in rows if read["kind"] == "gap")
        stored += [read["boottime_ns"] for read in rows if read["kind"] != "gap"]
        ring.stored()
    assert len(stored) + told == taken, f"{len(stored)} stored + {told} in gaps of {taken} rows"
    assert stored == sorted(set(stored)), "rows are out of order or stored twice"


class Manager:
    """Stands in for systemd's notifier: when it was told that there is progress."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.pinged_s: list[float] = []

    def watchdog(self) -> None:
        """See ``Notifier``."""
        self.pinged_s.append(self.scene.clock.monotonic_s())

    def status(self, text: str) -> None:
        """See ``Notifier``."""


def _serving(scene: Scene, manager: Manager) -> Serving:
    """The service's face over a scene's writer."""
    sampler, storing = SimpleNamespace(stations=(), time=scene.time), SimpleNamespace()
    storing.writer = scene.writer
    nothing: Any = None
    log = Log("thermal-collector", stream=scene.text)
    return Serving(
        nothing, cast("Any", sampler), cast("Any", storing), scene.clock, cast("Any", manager), log
    )


def check_hanging_commit() -> None:
    """While a commit hangs the loop goes round, and the watchdog starves all the same."""
    scene = Scene()
    manager = Manager(scene)
    serving = _serving(scene, manager)
    begun, go_on = threading.Event(), threading.Event()

    def hang(rows: Sequence[NewRow]) -> range:
        begun.set()
        go_on.wait(10.0)
        return range(len(rows))

    scene.disk.append = hang  # type: ignore[method-assign]
    scene.take()
    thread = threading.Thread(target=scene.writer.store)
    thread.start()
    try:
        assert begun.wait(10.0), "no commit was begun"
        began_s = scene.clock.monotonic_s()
        for _ in range(120):
            serving.progress()
            scene.clock.advance(1.0)
            scene.take()
    finally:
        go_on.set()
        thread.join()
    last_s = max(manager.pinged_s, default=began_s) - began_s
    assert last_s >= ATTEMPT_S_MAX - 2, f"a slow commit starved the watchdog after {last_s} s"
    assert last_s <= ATTEMPT_S_MAX, f"the watchdog was fed {last_s} s into a hanging commit"
    scene.writer.store()
    serving.progress()
    assert manager.pinged_s[-1] > began_s + 100, "a commit that ended did not feed the watchdog"


def check_failing_disk_is_progress() -> None:
    """The watchdog is fed while failures are attempts that end."""
    scene = Scene()
    scene.disk.error = full()
    for second in range(300):
        scene.run(1.0, 1.0)
        fed = scene.writer.progressing(scene.clock.monotonic_s())
        assert fed, f"a failing disk starved the watchdog after {second} s"


def check_absent_storing_thread() -> None:
    """A storing thread that is gone starves the watchdog."""
    scene = Scene()
    scene.take()
    scene.clock.advance(ATTEMPT_S_MAX + 6.0)
    fed = scene.writer.progressing(scene.clock.monotonic_s())
    assert not fed, "the watchdog is fed although nobody stores"


def gap_detail(
    last: LastStored | None, now: Stamp, first_s: float, interval_s: float = 5.0
) -> dict[str, Any] | None:
    """The detail of the gap at a start; ``None``: no gap."""
    found = unstored.unstored_row(last, now, BOOT, first_s, interval_s)
    return None if found is None else cast("dict[str, Any]", record(found)["detail"])


def check_pause_within_a_boot(pause_s: float, first_s: float, count: int) -> None:
    """Ticks between the last row and the first to come, whatever the wall clock says."""
    last = LastStored(BOOT, stamp(100.0, realtime_s=T0 - 9e8), clean=True)
    told = gap_detail(last, stamp(100.0 + pause_s, synced=False), first_s)
    if count == 0:
        assert told is None, f"no tick is missing, and the gap is {told}"
        return
    assert told is not None, f"{count} ticks are missing, and no row says so"
    assert told["count"] == count, f"{count} missing ticks were counted as {told['count']}"
    assert told["reason"] == "not_running", f"a clean stop is called {told['reason']}"
    assert told["first_seq"] is None, "a tick that was never taken has a seq"


def check_kill() -> None:
    """Without a clean stop the reason is that the process was killed, or the power cut."""
    told = gap_detail(LastStored(BOOT, stamp(100.0), clean=False), stamp(160.0), 5.0)
    assert told is not None, "a kill left no gap row"
    assert told["count"] == 12, f"12 ticks lost by a kill were counted as {told['count']}"
    assert told["reason"] == "killed", f"a kill is called {told['reason']}"
    span = (told["from"], told["to"])
    assert span == (
        "2026-10-14T17:48:20.000000Z", "2026-10-14T17:49:20.000000Z",
    ), f"the gap is from {span[0]} to {span[1]}"


def check_pause_across_boots(*, before: bool, now: bool) -> None:
    """An hour without power is counted by two synchronised clocks; else the count is null."""
    last = LastStored(OTHER, stamp(9_000.0, realtime_s=T0, synced=before), clean=False)
    told = gap_detail(last, stamp(30.0, realtime_s=T0 + 3600.0, synced=now), 5.0)
    assert told is not None, "a power cut left no gap row"
    count = 720 if before and now else None
    assert told["count"] == count, f"an hour without power is {told['count']}, not {count}"
    assert (told["to"] is None) == (not now), f"the gap ends {told['to']}"
