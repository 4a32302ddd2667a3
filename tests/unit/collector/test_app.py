"""The whole service in this process, on emulated chips: what it stores, tells, and survives."""

import io
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

from collector.app import make_plan, run, spool_options
from collector.counts import Counts, SensorCounts
from collector.metrics import CollectorMetrics
from collector.startup import NO_SENSORS, SensorsMissing
from common.errors import LockHeld
from common.logs import Log
from common.metrics import CollectorRegistry
from common.settings import CollectorSettings, DeviceSettings, Settings, SpoolSettings
from common.spool.reader import SpoolReader
from tests.emulators.bus import EmulatedBus, FaultKind
from tests.emulators.chips import HurriedClock
from tests.emulators.chips.icp10125 import Icp10125Chip
from tests.emulators.chips.scd4x import Scd4xChip
from tests.emulators.chips.sgp30 import Sgp30Chip
from tests.emulators.clock import ManualClock
from tests.emulators.environment import RecordedRoom
from tests.unit.collector.bench import record


def make_settings(directory: Path, **collector: Any) -> Settings:
    """Settings for ten rows a second, without metrics."""
    values = {"interval_s": 0.1, "store_interval_s": 0.2, "metrics_port": 0} | collector
    return Settings(
        directory / "thermal.toml",
        device=DeviceSettings(
            id="bench", board_serial_file=directory / "board", card_serial_file=directory / "card"
        ),
        spool=SpoolSettings(directory=directory, free_reserve_bytes=0),
        collector=CollectorSettings(**values),
    )


def make_bus() -> EmulatedBus:
    """The three chips, twenty times as fast as life."""
    clock, room = HurriedClock(20.0), RecordedRoom()
    return EmulatedBus(
        [Scd4xChip(clock, room), Icp10125Chip(clock, room), Sgp30Chip(clock, room)],
        keep_messages=0,
    )


class Running:
    """The service on a thread."""

    def __init__(self, settings: Settings, bus: EmulatedBus | None = None) -> None:
        self.stop = threading.Event()
        self.text = io.StringIO()
        self.status: int | None = None
        self.error: BaseException | None = None
        self._args = (settings, bus or make_bus())
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *rest: object) -> None:
        self.stop.set()
        self.thread.join(20.0)

    def _run(self) -> None:
        settings, bus = self._args
        try:
            self.status = run(
                settings, self.stop, bus=bus, log=Log("thermal-collector", stream=self.text)
            )
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error


def until(look: Callable[[], object], limit_s: float = 15.0) -> None:
    """Look until something true is seen."""
    end_s = time.monotonic() + limit_s
    while not look():
        assert time.monotonic() < end_s, "not seen in time"
        time.sleep(0.02)


def stored(directory: Path) -> list[dict[str, Any]]:
    """The rows in the spool."""
    with SpoolReader(directory) as reader:
        return [record(row.values) for row in reader.read_after(None, 10_000)]


def test_a_run_stores_rows_and_ends_cleanly(tmp_path: Path) -> None:
    """From an empty directory to rows of three chips, and status 0 at the stop."""
    with Running(make_settings(tmp_path)) as running:
        until(lambda: "sensor_measuring sensor=icp10125" in running.text.getvalue())
        time.sleep(1.0)
    assert (running.status, running.error) == (0, None)
    samples = [r for r in stored(tmp_path) if r["kind"] == "sample"]
    assert len(samples) >= 8
    assert any(s["icp10125_pressure_pa"] is not None for s in samples)
    assert running.text.getvalue().splitlines()[-1].startswith("stopped rows_stored=")


def test_a_second_run_on_the_same_spool_is_refused(tmp_path: Path) -> None:
    """The lock of the spool is the first thing that a start takes."""
    with Running(make_settings(tmp_path)) as first:
        until(lambda: "ready" in first.text.getvalue())
        with Running(make_settings(tmp_path)) as second:
            second.thread.join(10.0)
        assert isinstance(second.error, LockHeld)
        assert "ready" not in second.text.getvalue()


def test_a_start_without_sensors_settles_the_spool_first(tmp_path: Path) -> None:
    """Rule 1: install and epoch are there although no sensor answers."""
    bus = make_bus()
    bus.inject(FaultKind.NACK)
    with Running(make_settings(tmp_path), bus) as running:
        running.thread.join(10.0)
    assert isinstance(running.error, SensorsMissing)
    assert str(running.error) == NO_SENSORS
    with SpoolReader(tmp_path) as reader:
        assert reader.lineage().newest is not None


def test_a_run_that_has_begun_outlives_all_its_chips(tmp_path: Path) -> None:
    """Fail-fast belongs to the start: later every tick is a row, with NULL and the reason."""
    bus = make_bus()
    with Running(make_settings(tmp_path), bus) as running:
        until(lambda: "sensor_measuring" in running.text.getvalue())
        bus.inject(FaultKind.NACK)
        until(lambda: running.text.getvalue().count("sensor_lost") >= 2, 30.0)
        assert running.thread.is_alive()
    assert running.status == 0
    assert stored(tmp_path)[-1]["quality"] == "INVALID"


def test_a_stop_during_the_probe_is_a_stop(tmp_path: Path) -> None:
    """SIGTERM while chips are silent ends with 0, not with 69."""
    bus = make_bus()
    bus.inject(FaultKind.NACK)
    with Running(make_settings(tmp_path), bus) as running:
        until(lambda: "new_epoch" in running.text.getvalue())
        running.stop.set()
    assert (running.status, running.error) == (0, None)


def test_the_plan_of_a_long_interval_begins_soon(tmp_path: Path) -> None:
    """A row an hour means a first row after seconds, not after an hour; aligned waits for it."""
    clock = ManualClock()
    soon = make_plan(make_settings(tmp_path, interval_s=3600.0).collector, clock)
    assert soon.grid.next_s - clock.monotonic_s() == pytest.approx(8.0)
    aligned = make_plan(
        make_settings(tmp_path, interval_s=900.0, align="15min").collector, clock
    )
    assert aligned.alignment is not None
    at_s = clock.realtime_ns() / 1e9 + aligned.grid.next_s - clock.monotonic_s()
    assert at_s % 900 == pytest.approx(0.002, abs=1e-3)


def test_the_retained_rows_are_those_of_a_day_unless_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """0 means one day of this interval; the runtime directory is the first that systemd names."""
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}/a:{tmp_path}/b")
    options = spool_options(make_settings(tmp_path, interval_s=60.0))
    assert options.limits.retain_rows == 1440
    assert options.runtime_directory == tmp_path / "a"
    assert options.names.device_id == "bench"


def test_metrics_stand_at_zero_and_never_fall() -> None:
    """Every series is there before anything happened, and follows what is counted."""
    counted = {"ticks": 0}

    def count() -> Counts:
        sensor = SensorCounts({"ok": counted["ticks"], "nack": 2}, 1.5e9, 1)
        return Counts(
            counted["ticks"], 5, 1, 3, 2, 4, 1, 0, True, 9, 4096, {"thinned": 7}, {"scd4x": sensor}
        )

    registry = CollectorRegistry()
    CollectorMetrics(registry, count)
    assert list(registry.collect())
    value = registry.get_sample_value
    assert value("thermal_collector_ticks_total") == 0
    assert value("thermal_collector_samples_total", {"sensor": "sgp30", "result": "crc"}) == 0
    assert value("thermal_sensor_last_success_timestamp_seconds", {"sensor": "icp10125"}) == 0
    assert value("thermal_spool_dropped_rows_total", {"reason": "thinned"}) == 7
    assert value("thermal_spool_dropped_rows_total", {"reason": "memory_full"}) == 2
    counted["ticks"] = 12
    list(registry.collect())
    list(registry.collect())
    assert value("thermal_collector_ticks_total") == 12
    assert value("thermal_collector_samples_total", {"sensor": "scd4x", "result": "ok"}) == 12
    assert value("thermal_clock_synchronized") == 1
