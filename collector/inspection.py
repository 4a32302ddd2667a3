"""Looking at the bus by hand: who answers, and one measurement of each chip.

Only while no collector runs: the lock of the spool is held, so that none starts meanwhile.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from collector import startup
from collector.app import bus_name, open_bus
from collector.baseline import BaselineFile
from collector.baseline_keeper import BaselineKeeper
from collector.bus import Bus
from collector.chips import Chips, make_chips, make_stations
from collector.drivers import Measurement
from collector.station import Station
from collector.timekeeping import Timekeeper
from common.clock import Clock
from common.errors import LockHeld
from common.lock import FileLock
from common.logs import Log
from common.sample import SensorStatus
from common.settings import Settings
from common.spool.schema import COLLECTOR_LOCK

READ_S_MAX: Final = 25.0
"""Longest ``read``: the SGP30 warms up for 15 s, an SCD4x needs 6 s and a retry of that."""


@contextlib.contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """Keep the collector away from the bus.

    Raises:
        LockHeld: it runs.
    """
    lock = FileLock(settings.spool.directory / COLLECTOR_LOCK)
    if not settings.spool.directory.exists():
        # No spool directory was ever made here, so no collector of these settings runs.
        yield
        return
    try:
        lock.acquire()
    except LockHeld as error:
        raise LockHeld(
            f"the running collector samples this bus: {error}",
            hint="stop it first (systemctl stop thermal-collector), or look at its newest rows",
        ) from error
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class Inspection:
    """An open bus with its chips, to be looked at.

    Attributes:
        where: the bus as people call it.
        bus: to be closed after use.
        chips: nothing has been sent to them yet.
    """

    where: str
    bus: Bus
    chips: Chips


@contextlib.contextmanager
def inspect(settings: Settings, clock: Clock, bus: Bus | None = None) -> Iterator[Inspection]:
    """Open the bus and make the drivers.

    Raises:
        LibrariesMissing: smbus2 cannot be imported.
        BusGone: the device is missing or refused.
    """
    number = settings.collector.i2c_bus
    opened = bus if bus is not None else open_bus(number)
    keeper = BaselineKeeper(
        BaselineFile(settings.spool.directory), clock, Timekeeper(clock), Log("thermal-collector")
    )
    try:
        chips = make_chips(opened, 1.0, lambda: clock.realtime_ns() / 1e9, keeper.kept())
        yield Inspection(bus_name(number), opened, chips)
    finally:
        opened.close()


def ask(inspection: Inspection, clock: Clock) -> startup.Probe:
    """Who answers."""
    return startup.probe(inspection.chips.all, clock)


def measure(inspection: Inspection, found: startup.Probe, clock: Clock) -> dict[str, Measurement]:
    """One measurement of each chip that was found, warmed up if there is time for it."""
    stations = [
        station
        for station in make_stations(inspection.chips.all, 1.0, clock.monotonic_s())
        if station.name in found.found
    ]
    taken: dict[str, Measurement] = {}
    deadline_s = clock.monotonic_s() + READ_S_MAX
    while clock.monotonic_s() < deadline_s and not clock.stopping:
        waiting = [s for s in stations if not _ready(taken.get(s.name))]
        if not waiting:
            break
        _serve(waiting, clock, taken, deadline_s)
    return taken


def _serve(
    waiting: Sequence[Station], clock: Clock, taken: dict[str, Measurement], deadline_s: float
) -> None:
    """Give the chip whose turn is next its turn."""
    station = min(waiting, key=lambda s: s.due_s)
    wait_s = min(station.due_s, deadline_s) - clock.monotonic_s()
    if wait_s > 0 and clock.sleep(wait_s):
        return
    turn = station.turn(clock.monotonic_s())
    if turn.measurement is not None:
        taken[station.name] = turn.measurement


def _ready(measurement: Measurement | None) -> bool:
    """Whether it is more than a sign of life."""
    return measurement is not None and all(
        reading.status is not SensorStatus.WARMING_UP for reading in measurement.readings
    )
