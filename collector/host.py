"""The computer's own readings, from /proc, /sys and statvfs, without any package.

A reading that cannot be had is ``None``, never an error: a row without the processor's temperature
is still a row.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

_MEGABYTE: Final = 1_000_000
_MILLI: Final = 1000.0
_IDLE_FIELD: Final = 3
_IOWAIT_FIELD: Final = 4
_BUSY_FIELDS: Final = 8
"""user nice system idle iowait irq softirq steal; guest time is already in user (proc(5))."""

CPU_ZONE_TYPES: Final = ("cpu-thermal", "cpu_thermal", "soc_thermal", "x86_pkg_temp")
"""Names of the processor's thermal zone, best first; a Raspberry Pi has the first."""


@dataclass(frozen=True, slots=True)
class HostReadings:
    """What the computer says of itself at one moment; ``None``: it could not be read.

    Attributes:
        cpu_temperature_c: of the processor, not of the air.
        cpu_percent: busy share of all cores since the reading before; ``None`` at the first.
        memory_percent: share of memory that is not available.
        disk_free_mb: free for this user in the directory's file system, 10^6 bytes.
    """

    cpu_temperature_c: float | None
    cpu_percent: float | None
    memory_percent: float | None
    disk_free_mb: float | None


class _CpuTimes(NamedTuple):
    """Jiffies of all cores since boot."""

    busy: int
    total: int


class Host:
    """Reads the computer.

    Args:
        directory: whose file system's free space counts.
        proc: root of procfs.
        thermal: directory of the thermal zones.
    """

    def __init__(
        self,
        directory: Path,
        *,
        proc: Path = Path("/proc"),
        thermal: Path = Path("/sys/class/thermal"),
    ) -> None:
        self._directory = directory
        self._proc = proc
        self._thermal = thermal
        self._zone: Path | None = None
        self._cpu_before = self._cpu_times()

    def read(self) -> HostReadings:
        """All readings, taken now."""
        return HostReadings(
            cpu_temperature_c=self._cpu_temperature_c(),
            cpu_percent=self._cpu_percent(),
            memory_percent=self._memory_percent(),
            disk_free_mb=self._disk_free_mb(),
        )

    def _cpu_temperature_c(self) -> float | None:
        """Milli-degrees as text in the zone's ``temp`` (kernel thermal sysfs)."""
        if self._zone is None:
            self._zone = self._find_zone()
        if self._zone is None:
            return None
        try:
            return int((self._zone / "temp").read_text()) / _MILLI
        except (OSError, ValueError):
            self._zone = None
            return None

    def _find_zone(self) -> Path | None:
        """The processor's zone by its ``type``; its number differs between boards and kernels."""
        found: dict[str, Path] = {}
        try:
            zones = sorted(self._thermal.glob("thermal_zone*"))
        except OSError:
            return None
        for zone in zones:
            try:
                found.setdefault((zone / "type").read_text().strip(), zone)
            except (OSError, ValueError):
                continue
        return next((found[kind] for kind in CPU_ZONE_TYPES if kind in found), None)

    def _cpu_times(self) -> _CpuTimes | None:
        try:
            with (self._proc / "stat").open() as file:
                name, *fields = file.readline().split()
            times = [int(field) for field in fields[:_BUSY_FIELDS]]
            if name != "cpu" or len(times) <= _IOWAIT_FIELD:
                return None
        except (OSError, ValueError):
            return None
        total = sum(times)
        return _CpuTimes(total - times[_IDLE_FIELD] - times[_IOWAIT_FIELD], total)

    def _cpu_percent(self) -> float | None:
        before, now = self._cpu_before, self._cpu_times()
        self._cpu_before = now
        if before is None or now is None or now.total <= before.total:
            return None
        share = 100.0 * (now.busy - before.busy) / (now.total - before.total)
        # iowait may go back on idle cores (proc(5)), which would make the share leave its range.
        return max(0.0, min(100.0, share))

    def _memory_percent(self) -> float | None:
        try:
            lines = (self._proc / "meminfo").read_text().splitlines()
            sizes = {
                name: int(rest.split()[0]) for name, _, rest in (x.partition(":") for x in lines)
            }
            return 100.0 * (1.0 - sizes["MemAvailable"] / sizes["MemTotal"])
        except (OSError, ValueError, KeyError, IndexError, ZeroDivisionError):
            return None

    def _disk_free_mb(self) -> float | None:
        try:
            room = os.statvfs(self._directory)
        except OSError:
            return None
        return room.f_bavail * room.f_frsize / _MEGABYTE
