"""The stages of ``thermal-collector check``: could sampling work here, and if not, why."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from collector import startup
from collector.inspection import alone, ask, inspect
from common.cli_check import Result
from common.clock import Clock
from common.config import load
from common.errors import LockHeld, ThermalError, Unavailable
from common.settings import Settings
from common.spool import SpoolAbsent
from common.spool.reader import SpoolReader

_MEGABYTE: Final = 1_000_000
_VOLATILE: Final = ("tmpfs", "ramfs", "overlay")
_MOUNTS: Final = Path("/proc/self/mounts")


def stages(config: Path, clock: Clock) -> Iterator[Result]:
    """All stages; without a configuration there is only one."""
    loaded: list[Settings] = []

    def read_config() -> str:
        loaded.append(load(config))
        return f"{config} is valid"

    yield _stage("config", read_config)
    if not loaded:
        return
    settings = loaded[0]
    yield _stage("spool", lambda: _spool(settings))
    yield _stage("clock", lambda: _clock(clock))
    yield from _bus(settings, clock)


def _stage(name: str, look: Callable[[], str]) -> Result:
    """Run one stage."""
    try:
        return Result(name, True, look())
    except ThermalError as error:
        reason = type(error).__name__
        code = f"{name}.{''.join(f'_{c.lower()}' if c.isupper() else c for c in reason)[1:]}"
        return Result(name, False, str(error), code, error.hint or "", error.exit_code)


def _spool(settings: Settings) -> str:
    """The directory, its disk, and what is in it."""
    directory = settings.spool.directory
    if not directory.is_dir():
        raise Unavailable(
            f"{directory} is not there",
            hint="systemd makes it (StateDirectory=thermal), or: install -d -o thermal "
            f"-m 0750 {directory}",
        )
    if not os.access(directory, os.W_OK | os.X_OK):
        raise Unavailable(
            f"{directory} may not be written by user {os.geteuid()}",
            hint="run this as the service's user: sudo -u thermal thermal-collector check",
        )
    room = os.statvfs(directory)
    free_bytes = room.f_bavail * room.f_frsize
    if free_bytes <= settings.spool.free_reserve_bytes:
        raise Unavailable(
            f"{directory} has {free_bytes // _MEGABYTE} MB free, and [spool] free_reserve_bytes "
            f"leaves {settings.spool.free_reserve_bytes // _MEGABYTE} MB to the system",
            hint="free space on the card, or lower free_reserve_bytes",
        )
    parts = [f"{directory}, {free_bytes // _MEGABYTE} MB free", _stored(directory)]
    kind = file_system(directory)
    if kind in _VOLATILE:
        parts.append(f"on {kind}: what is stored is gone after a reboot")
    return "; ".join(parts)


def _stored(directory: Path) -> str:
    """How many rows wait in the spool."""
    try:
        with SpoolReader(directory) as reader:
            newest = reader.newest()
            rows = reader.backlog(None).rows
    except SpoolAbsent:
        return "no row yet"
    return f"{rows} rows, newest seq {0 if newest is None else newest.seq}"


def file_system(directory: Path, mounts: Path = _MOUNTS) -> str:
    """Type of the file system that a directory lies on; "" when it cannot be told."""
    path, best, kind = str(directory.resolve()), "", ""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return ""
    for line in lines:
        _, point, found, *_ = line.split(" ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, found
    return kind


def _clock(clock: Clock) -> str:
    """Whether times can be trusted; an offline Pi may well go without."""
    if clock.synchronised():
        return "synchronised"
    return "not synchronised: rows wait for it or go as clock_synced = false"


def _bus(settings: Settings, clock: Clock) -> Iterator[Result]:
    """The bus and the chips, unless a collector is at work on them."""
    number = settings.collector.i2c_bus
    if settings.spool.directory.is_dir():
        try:
            with alone(settings):
                pass
        except LockHeld as error:
            yield Result("bus", True, "in use by the running collector")
            yield Result("chips", True, f"left alone: {error}")
            return
        except ThermalError as error:
            yield Result("bus", False, str(error), "bus.lock", error.hint or "", error.exit_code)
            return
    found: list[startup.Probe] = []

    def open_and_ask() -> str:
        with alone(settings), inspect(settings, clock) as inspection:
            found.append(ask(inspection, clock))
        return f"{inspection.where} can be opened"

    yield _stage("bus", open_and_ask)
    if not found:
        return

    def chips() -> str:
        bound = startup.bound_drivers(number)
        if bound:
            raise Unavailable(
                f"a kernel driver has {', '.join(bound)}: its traffic mixes with ours",
                hint="remove the dtoverlay that binds it from config.txt, and reboot",
            )
        startup.verify(found[0], settings.collector.required_sensors, str(number))
        silent = [name for name in found[0].refused if name not in found[0].found]
        names = ", ".join(f"{name} ({text})" for name, text in found[0].found.items())
        return f"{names}{'; silent: ' + ', '.join(silent) if silent else ''}"

    yield _stage("chips", chips)
