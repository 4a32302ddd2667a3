"""What the running collector tells: watchdog and status to systemd, metrics to Prometheus."""

import os
from typing import TYPE_CHECKING, Final

from collector.counts import Counts, SensorCounts
from collector.sampling import Sampler
from collector.station import Station
from collector.storing import Storing
from common import __version__
from common.clock import Clock
from common.errors import ThermalError
from common.logs import Log
from common.notify import Notifier
from common.settings import Settings

if TYPE_CHECKING:
    from common.metrics import MetricsServer

STATUS_S: Final = 5.0
"""Least time between two status lines."""

READY_INTERVALS: Final = 3
"""``/-/ready`` says no when no row was stored for this many intervals."""


class Serving:
    """The collector's face to the outside.

    Args:
        settings: where metrics are served.
        sampler: the sampling side.
        storing: the storing side.
        clock: monotonic time.
        notifier: systemd.
        log: a port that cannot be had is told here.
    """

    def __init__(
        self,
        settings: Settings,
        sampler: Sampler,
        storing: Storing,
        clock: Clock,
        notifier: Notifier,
        log: Log,
    ) -> None:
        self._settings = settings
        self._sampler = sampler
        self._storing = storing
        self._clock = clock
        self._notifier = notifier
        self._log = log
        self._status_s: float | None = None
        self._server: MetricsServer | None = None

    def progress(self) -> None:
        """A round of the loop ended: the watchdog is fed if storing goes on too."""
        now_s = self._clock.monotonic_s()
        if self._storing.writer.progressing(now_s):
            self._notifier.watchdog()
        if self._status_s is None or now_s - self._status_s >= STATUS_S:
            self._status_s = now_s
            self._notifier.status(self.status(now_s))

    def status(self, now_s: float) -> str:
        """One line for ``systemctl status``."""
        writer = self._storing.writer
        working = sum(station.working for station in self._sampler.stations)
        parts = [f"sampling {working} sensor{'' if working == 1 else 's'}"]
        if writer.trouble:
            parts.append(f"storing fails ({writer.trouble}), {_grouped(writer.waiting)} rows kept")
        parts.append(f"{_grouped(writer.rows_stored)} rows stored")
        if writer.committed_s is not None:
            parts.append(f"last commit {now_s - writer.committed_s:.0f} s ago")
        if not self._sampler.time.synced:
            parts.append("clock not synchronised")
        return ", ".join(parts)

    def start_metrics(self) -> None:
        """Serve metrics, if wanted; a port that cannot be had does not stop the sampling."""
        if not self._settings.collector.metrics_port and "LISTEN_FDS" not in os.environ:
            return
        from collector.metrics import CollectorMetrics
        from common.metrics import MetricsServer, new_registry

        collector = self._settings.collector
        registry = new_registry(__version__, self._settings.device.site)
        metrics = CollectorMetrics(registry, self.counts)
        server = MetricsServer(
            registry, collector.metrics_address, collector.metrics_port, ready=self.fresh
        )
        try:
            server.start()
        except ThermalError as error:
            self._log.error("metrics_unavailable", str(error), hint=error.hint or "")
            return
        self._storing.writer.observe = metrics.commit_seconds.observe
        self._server = server
        if server.port:
            self._log.info("metrics", address=collector.metrics_address, port=server.port)

    def stop_metrics(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.stop()

    def fresh(self) -> bool:
        """Whether rows were stored lately."""
        committed_s = self._storing.writer.committed_s
        if committed_s is None:
            return False
        collector = self._settings.collector
        limit_s = READY_INTERVALS * max(collector.interval_s, collector.store_interval_s, 1.0)
        return self._clock.monotonic_s() - committed_s <= limit_s

    def counts(self) -> Counts:
        """Everything that is counted, now."""
        sampler, writer, care = self._sampler, self._storing.writer, self._storing.care
        return Counts(
            ticks=sampler.ticks,
            rows_stored=writer.rows_stored,
            rows_waiting=writer.waiting,
            missed_ticks=sampler.missed,
            memory_dropped=writer.dropped,
            store_failures=writer.failures,
            bus_reopens=sampler.lockup.reopens,
            clock_steps=sampler.time.steps,
            clock_synchronized=sampler.time.synced,
            spool_rows=care.rows,
            spool_bytes=0 if care.report is None else care.report.used_bytes,
            spool_dropped=dict(care.removed),
            sensors={station.name: self._sensor(station) for station in sampler.stations},
        )

    def _sensor(self, station: Station) -> SensorCounts:
        last_success = None
        if station.measured_s is not None:
            age_s = self._clock.monotonic_s() - station.measured_s
            last_success = self._clock.realtime_ns() / 1e9 - age_s
        return SensorCounts(dict(station.results), last_success, station.health.resets)


def _grouped(number: int) -> str:
    """12041 as "12 041"."""
    return f"{number:,}".replace(",", " ")
