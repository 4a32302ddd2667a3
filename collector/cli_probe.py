"""Prints what ``thermal-collector probe`` and ``read`` find: a table, or one JSON object."""

import json
import threading
from pathlib import Path
from typing import Any

from collector import startup
from collector.chips import ADDRESSES
from collector.drivers import Measurement
from collector.inspection import alone, ask, inspect, measure
from common.clock import SystemClock
from common.config import load
from common.errors import ExitCode
from common.settings import Settings


def probe(config: Path, stop: threading.Event, *, as_json: bool) -> int:
    """Print who answers; status 69 when the required sensors do not."""
    settings, clock = load(config), SystemClock(stop)
    with alone(settings), inspect(settings, clock) as inspection:
        found = ask(inspection, clock)
    enough = _enough(found, settings)
    if as_json:
        told = {name: _chip(name, found) for name in ADDRESSES}
        _print_json({"ok": enough, "bus": inspection.where, "sensors": told})
        return _status(enough)
    for name, address in ADDRESSES.items():
        if name in found.found:
            print(f"[OK]   {name:8} 0x{address:02x}  {found.found[name]}")
        else:
            print(f"[FAIL] {name:8} 0x{address:02x}  {found.refused[name]}")
    return _status(enough, settings, inspection.where)


def read(config: Path, stop: threading.Event, *, as_json: bool) -> int:
    """Print one measurement of each chip; status 69 when a required one gave none."""
    settings, clock = load(config), SystemClock(stop)
    with alone(settings), inspect(settings, clock) as inspection:
        found = ask(inspection, clock)
        startup.verify(found, settings.collector.required_sensors, inspection.where)
        taken = measure(inspection, found, clock)
    measured = startup.Probe({name: found.found[name] for name in taken}, found.refused)
    enough = _enough(measured, settings)
    if as_json:
        told = {name: _readings(m) for name, m in taken.items()}
        _print_json({"ok": enough, "bus": inspection.where, "sensors": told})
        return _status(enough)
    print(f"{'quantity':24} {'value':>12}  status")
    for measurement in taken.values():
        for reading in measurement.readings:
            value = "NULL" if reading.value is None else f"{reading.value:.2f}"
            print(f"{reading.column:24} {value:>12}  {reading.status.value}")
    return _status(enough, settings, inspection.where)


def _enough(found: startup.Probe, settings: Settings) -> bool:
    """Whether every required group has a sensor."""
    groups = settings.collector.required_sensors
    return bool(found.found) and all(
        any(name in found.found for name in group.split("|")) for group in groups
    )


def _status(enough: bool, settings: Settings | None = None, where: str = "") -> int:
    """The exit status; with settings, what is missing is said too."""
    if enough:
        return ExitCode.OK
    if settings is not None:
        needed = ", ".join(settings.collector.required_sensors)
        print(f"required and missing on {where}: {needed}")
        print("Try: check wiring, 3.3 V supply and [collector] i2c_bus")
    return ExitCode.UNAVAILABLE


def _chip(name: str, found: startup.Probe) -> dict[str, Any]:
    """One chip for ``--json``."""
    refused = found.refused.get(name)
    return {
        "address": f"0x{ADDRESSES[name]:02x}",
        "found": name in found.found,
        "description": found.found.get(name),
        "error": None if refused is None else str(refused),
    }


def _readings(measurement: Measurement) -> dict[str, Any]:
    """One measurement for ``--json``."""
    return {
        r.column: {"value": r.value, "status": r.status.value, "ticks": r.ticks}
        for r in measurement.readings
    }


def _print_json(value: dict[str, Any]) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))
