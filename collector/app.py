"""Puts the collector together: the only file that makes the real bus, clock and spool.

The order of the start: lock, install and epoch (so that a Pi without sensors still drains), bus,
probe, READY. Metrics come after READY; the network never.
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from collector import memory, startup
from collector.baseline import BaselineFile
from collector.baseline_keeper import BaselineKeeper
from collector.bus import Bus
from collector.care import Care
from collector.chips import Chips, make_chips, make_sgp30, make_stations
from collector.host import Host
from collector.ring import Ring
from collector.sampling import Around, Outlets, Plan, Sampler
from collector.schedule import FIRST_TICK_S_MAX, Alignment, Grid
from collector.serving import Serving
from collector.spool.options import Limits, Names, SpoolOptions
from collector.spool.store import SpoolStore, open_and_settle
from collector.station import Station
from collector.storing import Storing
from collector.timekeeping import Timekeeper
from collector.unstored import last_stored, unstored_row
from collector.writer import Writer
from common import __version__
from common.clock import Clock, SystemClock
from common.errors import ExitCode
from common.hardware import read_hardware
from common.logs import Log
from common.notify import Notifier
from common.settings import CollectorSettings, Settings

SERVICE: Final = "thermal-collector"
_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True)
class Sampling:
    """The sampling side, put together."""

    sampler: Sampler
    stations: list[Station]
    grid: Grid


def run(
    settings: Settings,
    stop: threading.Event,
    *,
    bus: Bus | None = None,
    clock: Clock | None = None,
    log: Log | None = None,
) -> int:
    """Sample and store until ``stop``.

    Args:
        settings: of the configuration file.
        stop: ends it; what was taken is stored first.
        bus: instead of the one that the settings name; for tests.
        clock: instead of the machine's; for tests.
        log: instead of one to stdout.

    Returns:
        The exit status: 0, or 74 when rows could not be stored.

    Raises:
        ThermalError: the start failed; its ``exit_code`` says how.
    """
    clock = clock or SystemClock(stop)
    log = log or Log(SERVICE)
    log.info("starting", startup.ENFORCED, version=__version__, pid=os.getpid())
    collector = Collector(settings, clock, log)
    collector.open_spool()
    try:
        collector.start(bus)
        collector.loop()
    finally:
        left = collector.close()
    return ExitCode.IOERR if left else ExitCode.OK


def open_bus(bus: int | str) -> Bus:
    """Open the I2C bus.

    Raises:
        LibrariesMissing: smbus2 cannot be imported.
        BusGone: the device is missing or refused; the hint says which.
    """
    try:
        from collector.bus.linux import LinuxBus
    except ImportError as error:
        raise startup.LibrariesMissing(error) from error
    return LinuxBus(bus)


def bus_name(bus: int | str) -> str:
    """The bus as people call it."""
    return f"/dev/i2c-{bus}" if isinstance(bus, int) else bus


def spool_options(settings: Settings) -> SpoolOptions:
    """The spool of these settings, on this machine."""
    hostname = os.uname().nodename
    retain_rows = settings.spool.retain_committed_rows or round(
        _DAY_S / settings.collector.interval_s
    )
    runtime = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
    return SpoolOptions(
        settings.spool.directory,
        Names(settings.device.id or hostname, hostname, __version__),
        read_hardware(settings.device),
        Limits(settings.spool.cap_bytes, settings.spool.free_reserve_bytes, max(1, retain_rows)),
        Path(runtime) if runtime else None,
    )


def make_plan(settings: CollectorSettings, clock: Clock) -> Plan:
    """The sampling grid, its first point not long from now."""
    now_s = clock.monotonic_s()
    alignment = Alignment(settings.interval_s) if settings.align_s is not None else None
    first_s = now_s + min(settings.interval_s, FIRST_TICK_S_MAX)
    if alignment is not None:
        first_s = alignment.first_s(now_s, clock.realtime_ns(), now_s)
    return Plan(Grid(settings.interval_s, first_s), alignment, settings.required_sensors)


class Collector:
    """One run of the service; its methods are called in the order in which they stand here."""

    def __init__(self, settings: Settings, clock: Clock, log: Log) -> None:
        self._settings = settings
        self._clock = clock
        self._log = log
        self._time = Timekeeper(clock)
        self._notifier = Notifier(clock)
        self._keeper = BaselineKeeper(
            BaselineFile(settings.spool.directory), clock, self._time, log
        )
        self._storing = Storing(
            lambda: open_and_settle(spool_options(settings), clock), self._writer, self._care, log
        )
        self._stations: list[Station] = []
        self._sampler: Sampler | None = None
        self._serving: Serving | None = None
        self._bus: Bus | None = None

    def open_spool(self) -> None:
        """Settle who we are, before any sensor is asked (rule 1)."""
        self._storing.start()

    def start(self, bus: Bus | None) -> None:
        """Open the bus, find the sensors, say READY, begin to serve metrics."""
        collector = self._settings.collector
        where = bus_name(collector.i2c_bus)
        for name, link in startup.bound_drivers(collector.i2c_bus).items():
            self._log.warning(
                "kernel_driver_bound",
                "remove the dtoverlay that binds it: its traffic mixes with ours",
                sensor=name,
                driver=link,
            )
        self._bus = bus = bus if bus is not None else open_bus(collector.i2c_bus)
        chips = make_chips(bus, collector.interval_s, self._realtime_s, self._keeper.kept())
        found = startup.probe(chips.all, self._clock)
        if self._clock.stopping:
            return
        startup.verify(found, collector.required_sensors, where)
        startup.announce(self._log, found)
        self._prepare(bus, chips, found)
        self._notifier.ready()
        self._log.info("ready", sensors=len(found.found), interval_s=collector.interval_s)
        assert self._sampler is not None
        self._serving = Serving(
            self._settings, self._sampler, self._storing, self._clock, self._notifier, self._log
        )
        self._serving.start_metrics()
        memory.release()

    def loop(self) -> None:
        """Sample until a stop is asked for."""
        sampler, serving = self._sampler, self._serving
        while sampler is not None and serving is not None and not self._clock.stopping:
            wait_s = sampler.step()
            serving.progress()
            if wait_s > 0:
                self._clock.sleep(wait_s)

    def close(self) -> int:
        """Store what is left, let go of everything; returns how many rows could not be stored."""
        self._notifier.stopping()
        if self._serving is not None:
            self._serving.stop_metrics()
        left = self._storing.stop()
        if self._bus is not None:
            self._bus.close()
        if left:
            self._log.error("rows_lost", "the spool could not take them at the end", rows=left)
        if self._sampler is not None:
            self._log.info("stopped", rows_stored=self._storing.writer.rows_stored)
        self._notifier.close()
        return left

    def _prepare(self, bus: Bus, chips: Chips, found: startup.Probe) -> None:
        """Put the sampling side together and tell the spool what was not stored before."""
        settings, clock = self._settings.collector, self._clock
        self._stations = make_stations(chips.all, settings.interval_s, clock.monotonic_s())
        for station in self._stations:
            if station.name not in found.found:
                station.missing(clock.monotonic_s())
        plan = make_plan(settings, clock)
        compensation = chips.compensation()
        sgp30 = self._stations[-1]

        def clock_known() -> None:
            self._keeper.clock_known(
                sgp30, compensation, lambda kept: make_sgp30(bus, self._realtime_s, kept)
            )

        writer, care = self._storing.writer, self._storing.care
        self._sampler = Sampler(
            bus,
            self._stations,
            plan,
            Outlets(writer.keep, care.offset, clock_known),
            Around(clock, self._time, Host(self._settings.spool.directory), self._log),
            compensation,
        )
        gap = unstored_row(
            last_stored(self._storing.store.last_row()),
            self._time.stamp(),
            clock.boot_id(),
            plan.grid.next_s - clock.monotonic_s(),
            settings.interval_s,
        )
        if gap is not None:
            writer.keep(gap)

    def _writer(self, store: SpoolStore) -> Writer:
        interval_s = self._settings.collector.store_interval_s
        return Writer(store, interval_s, self._clock, self._time, self._log, Ring())

    def _care(self, store: SpoolStore) -> Care:
        return Care(store, self._save_baseline)

    def _save_baseline(self) -> None:
        if self._stations:
            self._keeper.save(self._stations[-1])

    def _realtime_s(self) -> float:
        return self._clock.realtime_ns() / 1e9
