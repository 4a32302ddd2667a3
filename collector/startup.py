"""The start: who answers on the bus, whether that is enough, and the messages people watch for.

Failing fast belongs to the start alone: exit status 69, and systemd tries again. Once running, the
collector stays, whatever the chips do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from collector.bus import BusError, BusGone, Nack
from collector.chips import ADDRESSES, TITLES
from collector.drivers import Chip, UnexpectedChip
from common.clock import Clock
from common.errors import ThermalError, Unavailable
from common.logs import Log

PROBE_S_MAX: Final = 1.2
"""Longest probe phase: a chip that executes a command answers within 0.5 s, and one that has just
got power within 1 s (SCD4x before datasheet v1.4)."""

PROBE_PAUSE_S: Final = 0.1

ENFORCED: Final = "PRODUCTION MODE: Real sensors required and enforced"
INITIALIZED: Final = "Physical sensors initialized successfully"
VERIFIED: Final = "[OK] Sensor verification passed - physical sensors available"
NO_LIBRARIES: Final = "PRODUCTION MODE FAILED: Physical sensor libraries not available. "
NO_SENSORS: Final = (
    "PRODUCTION MODE FAILED: No sensors initialized. At least SCD4X or ICP10125 must be available."
)

SYSFS_I2C: Final = Path("/sys/bus/i2c/devices")

_ANY_PRIMARY: Final = ("scd4x|icp10125",)


class LibrariesMissing(Unavailable):
    """The package that reaches the bus cannot be imported."""

    def __init__(self, cause: ImportError) -> None:
        super().__init__(
            f"{NO_LIBRARIES}{cause}",
            hint="install the release into its virtual environment again; it brings smbus2",
        )


class SensorsMissing(Unavailable):
    """None of a required group of sensors answers."""


@dataclass
class Probe:
    """Who answered the first questions.

    Attributes:
        found: description by chip.
        refused: why not, by chip.
    """

    found: dict[str, str] = field(default_factory=dict)
    refused: dict[str, ThermalError] = field(default_factory=dict)


def probe(chips: Sequence[Chip], clock: Clock, patience_s: float = PROBE_S_MAX) -> Probe:
    """Ask every chip who it is, until all have answered or the patience ends.

    Raises:
        BusGone: there is no bus.
    """
    result = Probe()
    deadline_s = clock.monotonic_s() + patience_s
    silent = list(chips)
    while True:
        silent = [chip for chip in silent if not _answers(chip, result)]
        if not silent or clock.monotonic_s() + PROBE_PAUSE_S > deadline_s:
            return result
        if clock.sleep(PROBE_PAUSE_S):
            return result


def _answers(chip: Chip, result: Probe) -> bool:
    """Ask one chip; returns whether there is no use in asking again."""
    try:
        result.found[chip.name] = chip.probe()
    except BusGone:
        raise
    except UnexpectedChip as error:
        result.refused[chip.name] = error
        return True
    except ThermalError as error:
        result.refused[chip.name] = error
        return False
    result.refused.pop(chip.name, None)
    return True


def verify(result: Probe, required: Sequence[str], where: str) -> None:
    """Check that the required sensors answered.

    Args:
        result: of the probe.
        required: groups such as ``scd4x|icp10125``: one of each must be there.
        where: the bus, for the message.

    Raises:
        SensorsMissing: a group has none.
    """
    lacking = [g for g in required if not any(name in result.found for name in g.split("|"))]
    if not lacking and result.found:
        return
    if not result.found or tuple(lacking) == _ANY_PRIMARY:
        message = NO_SENSORS
    else:
        names = ", ".join(" or ".join(TITLES.get(n, n) for n in g.split("|")) for g in lacking)
        message = f"PRODUCTION MODE FAILED: Required sensors not available: {names}."
    raise SensorsMissing(message, hint=_remedy(result, where))


def _remedy(result: Probe, where: str) -> str:
    """What was seen on the bus, and what to look at."""
    said = [_said(name, result) for name in ADDRESSES]
    hint = f"on {where}: {'; '.join(said)}; check wiring, 3.3 V supply and [collector] i2c_bus"
    hints = {error.hint for error in result.refused.values() if error.hint}
    return "; ".join([hint, *sorted(hints)])


def _said(name: str, result: Probe) -> str:
    """One chip of the remedy."""
    place = f"{name} at 0x{ADDRESSES[name]:02x}"
    if name in result.found:
        return f"{place} answers"
    match result.refused.get(name):
        case Nack() | None:
            return f"{place} does not answer"
        case BusError() as error:
            return f"{place} fails (errno {error.errno})"
        case error:
            return f"{place}: {error}"


def bound_drivers(bus: int | str, sysfs: Path = SYSFS_I2C) -> Mapping[str, Path]:
    """Chips that a kernel driver has taken; its traffic would mix with ours unnoticed.

    Args:
        bus: number, or path ``/dev/i2c-N``; other paths tell no number.
        sysfs: where the kernel lists I2C devices.

    Returns:
        The driver's link by chip.
    """
    number = str(bus).removeprefix("/dev/i2c-")
    if not number.isdigit():
        return {}
    links = {n: sysfs / f"{number}-{address:04x}" / "driver" for n, address in ADDRESSES.items()}
    return {name: link for name, link in links.items() if link.exists()}


def announce(journal: Log, result: Probe) -> None:
    """Say once what was found, in the words that people watch for."""
    for name, description in result.found.items():
        journal.info("sensor_found", sensor=name, chip=description)
    for name, error in result.refused.items():
        journal.warning("sensor_absent", str(error), sensor=name)
    journal.info("sensors_initialized", INITIALIZED, found=",".join(result.found))
    journal.info("sensors_verified", VERIFIED)
