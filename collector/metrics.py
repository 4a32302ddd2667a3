"""The collector's metrics: read off at each scrape, so that sampling pays nothing for them.

All series exist from the start, at 0; a chip that never measured has a last success of 0, so that
its age is large rather than unknown.
"""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final

from collector.counts import Counts
from collector.station import RESULTS
from common.metrics import CollectorRegistry, Counter, Gauge, Histogram, start_at_zero

SENSORS: Final = ("scd4x", "icp10125", "sgp30")
DROP_REASONS: Final = ("thinned", "dropped", "memory_full")
COMMIT_BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class CollectorMetrics:
    """Registers itself first in the registry, and brings the others up to date at each scrape.

    Args:
        registry: where the metrics go.
        count: gives what is counted now.
    """

    def __init__(self, registry: CollectorRegistry, count: Callable[[], Counts]) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._told: dict[tuple[Any, ...], float] = {}
        registry.register(self)
        self._make_counters(registry)
        self._make_gauges(registry)

    def _make_counters(self, registry: CollectorRegistry) -> None:
        def counter(name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
            return Counter(name, text, labels, registry=registry)

        self._ticks = counter("thermal_collector_ticks_total", "Ticks of the grid taken.")
        self._rows = counter("thermal_collector_rows_stored_total", "Rows stored in the spool.")
        self._missed = counter(
            "thermal_collector_missed_ticks_total", "Ticks that passed unseen while running."
        )
        self._samples = counter(
            "thermal_collector_samples_total",
            "Measurements of a chip, and faults by kind.",
            ("sensor", "result"),
        )
        self._resets = counter(
            "thermal_sensor_resets_total", "Resets of a chip by the recovery.", ("sensor",)
        )
        self._failures = counter(
            "thermal_collector_store_failures_total", "Attempts to store that failed."
        )
        self._reopens = counter(
            "thermal_bus_reopens_total", "Times the bus was reopened because it timed out."
        )
        self._steps = counter("thermal_clock_steps_total", "Steps of the wall clock.")
        self._dropped = counter(
            "thermal_spool_dropped_rows_total", "Rows that were not kept.", ("reason",)
        )
        start_at_zero(self._samples, ((s, r) for s in SENSORS for r in RESULTS))
        start_at_zero(self._resets, ((s,) for s in SENSORS))
        start_at_zero(self._dropped, ((r,) for r in DROP_REASONS))

    def _make_gauges(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, text: str, labels: tuple[str, ...] = ()) -> Gauge:
            return Gauge(name, text, labels, registry=registry)

        self._success = gauge(
            "thermal_sensor_last_success_timestamp_seconds",
            "When a chip measured last, by the wall clock; 0: not since the start.",
            ("sensor",),
        )
        start_at_zero(self._success, ((s,) for s in SENSORS))
        self._waiting = gauge("thermal_collector_rows_waiting", "Rows in memory.")
        self._spool_rows = gauge("thermal_spool_rows", "Rows in the spool.")
        self._spool_bytes = gauge(
            "thermal_spool_size_bytes", "Bytes in the spool that count towards its cap."
        )
        self._synchronized = gauge(
            "thermal_clock_synchronized", "1 while the kernel holds the clock to be synchronised."
        )
        self.commit_seconds = Histogram(
            "thermal_collector_commit_seconds",
            "Time that a commit to the spool took.",
            buckets=COMMIT_BUCKETS_S,
            registry=registry,
        )

    def collect(self) -> Iterable[Any]:
        """Bring the other metrics of the registry up to date; has none of its own."""
        with self._lock:
            self._update(self._count())
        return ()

    def _update(self, counts: Counts) -> None:
        self._advance(self._ticks, counts.ticks)
        self._advance(self._rows, counts.rows_stored)
        self._advance(self._missed, counts.missed_ticks)
        self._advance(self._failures, counts.store_failures)
        self._advance(self._reopens, counts.bus_reopens)
        self._advance(self._steps, counts.clock_steps)
        dropped = {**counts.spool_dropped, "memory_full": counts.memory_dropped}
        for reason, rows in dropped.items():
            self._advance(self._dropped, rows, reason)
        for name, sensor in counts.sensors.items():
            self._advance(self._resets, sensor.resets, name)
            for result, number in sensor.results.items():
                self._advance(self._samples, number, name, result)
            if sensor.last_success is not None:
                self._success.labels(name).set(sensor.last_success)
        self._waiting.set(counts.rows_waiting)
        self._spool_rows.set(counts.spool_rows)
        self._spool_bytes.set(counts.spool_bytes)
        self._synchronized.set(counts.clock_synchronized)

    def _advance(self, counter: Counter, value: float, *labels: str) -> None:
        """Bring a counter to a value that never falls."""
        key = (counter, *labels)
        grown = value - self._told.get(key, 0.0)
        if grown > 0:
            (counter.labels(*labels) if labels else counter).inc(grown)
            self._told[key] = value
