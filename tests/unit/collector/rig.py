"""Chips, drivers and a bus on one clock that tests move."""

import json
from pathlib import Path
from typing import Any, Final

from collector.drivers import Chip as Driver
from collector.drivers import Measurement
from tests.emulators.bus import EmulatedBus
from tests.emulators.chips import ChipTime
from tests.emulators.chips.icp10125 import Icp10125Chip
from tests.emulators.chips.scd4x import Scd4xChip
from tests.emulators.chips.sgp30 import Sgp30Chip
from tests.emulators.environment import StillAir

VECTORS: Final[dict[str, Any]] = json.loads(
    (Path(__file__).parents[2] / "data" / "sensor-vectors.json").read_text()
)


def word(text: str) -> int:
    """A word of the vectors, written in hexadecimal."""
    return int(text, 16)


class Rig:
    """All three chips on an emulated bus, powered for a second."""

    def __init__(self) -> None:
        self.time = ChipTime()
        self.air = StillAir()
        self.scd4x = Scd4xChip(self.time, self.air)
        self.icp10125 = Icp10125Chip(self.time, self.air)
        self.sgp30 = Sgp30Chip(self.time, self.air)
        self.bus = EmulatedBus(
            (self.scd4x, self.icp10125, self.sgp30), pause=self.time.advance, keep_messages=200_000
        )
        self.time.advance(1.0)

    def run(self, driver: Driver, seconds: float) -> list[Measurement]:
        """Step a driver whenever it asks to be, for so long; its errors come through."""
        until_s = self.time() + seconds
        taken = []
        while True:
            step = driver.step(self.time())
            if step.measurement is not None:
                taken.append(step.measurement)
            if self.time() + step.wait_s > until_s:
                self.time.now_s = max(self.time(), until_s)
                return taken
            self.time.advance(step.wait_s)

    def sent(self) -> list[str]:
        """Hexadecimal of every write so far."""
        return [m.data.hex() for m in self.bus.messages if m.op == "write"]


class ScriptedBus:
    """A bus that gives canned frames and remembers what was asked of it."""

    def __init__(self, *frames: bytes) -> None:
        self.frames = list(frames)
        self.transfers: list[tuple[int, str, int, float]] = []

    def transfer(self, address: int, write: bytes, read_length: int, pause_s: float) -> bytes:
        """See ``Bus``."""
        self.transfers.append((address, write.hex(), read_length, pause_s))
        return self.frames.pop(0) if read_length else b""

    def reopen(self) -> None:
        """See ``Bus``."""

    def close(self) -> None:
        """See ``Bus``."""


def values(measurement: Measurement) -> dict[str, float | None]:
    """Values by column."""
    return {reading.column: reading.value for reading in measurement.readings}


def statuses(measurement: Measurement) -> list[str]:
    """Statuses in the order of the columns."""
    return [reading.status.value for reading in measurement.readings]
