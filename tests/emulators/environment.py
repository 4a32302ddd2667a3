"""The air that the emulated chips measure.

Temperature, humidity and CO2 are a recording of a real office (``tests/data/README.md``). Pressure,
eCO2 and TVOC were not recorded there: what stands for them is a slow made-up drift, no measurement.
"""

import csv
import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

RECORDING: Final = Path(__file__).parent.parent / "data" / "occupancy.csv"
_HOLE_S: Final = 600.0
_MINUTE_S: Final = 60.0
_DAY_S: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Air:
    """The state of the air at one moment.

    Attributes:
        temperature_c: °C.
        humidity_percent: relative, at that temperature.
        co2_ppm: carbon dioxide.
        pressure_pa: absolute.
        eco2_ppm: what an SGP30 would make of it.
        tvoc_ppb: likewise.
    """

    temperature_c: float = 22.5
    humidity_percent: float = 41.0
    co2_ppm: float = 640.0
    pressure_pa: float = 98_765.0
    eco2_ppm: float = 520.0
    tvoc_ppb: float = 35.0


class Environment(Protocol):
    """Where the chips are."""

    def air(self, at_s: float) -> Air:
        """The air at this second of the chips' clock."""


class StillAir:
    """Air that changes only when a test says so."""

    def __init__(self, air: Air = Air()) -> None:
        self.now = air

    def air(self, at_s: float) -> Air:
        """See ``Environment``."""
        return self.now

    def change(self, **values: float) -> None:
        """Replace some of the values."""
        self.now = replace(self.now, **values)


class RecordedRoom:
    """The recorded office, played from its beginning and over again from its end.

    Holes of hours between the files of the recording are played as one minute.

    Args:
        path: the recording.
        playback: recorded seconds per second of the chips' clock; 60 plays a minute each second.
        start_s: second of the chips' clock at which the recording begins.
    """

    def __init__(
        self, path: Path = RECORDING, *, playback: float = 60.0, start_s: float = 0.0
    ) -> None:
        self._playback = playback
        self._start_s = start_s
        self._at: list[float] = []
        self._values: list[tuple[float, float, float]] = []
        with path.open(newline="") as file:
            before: datetime | None = None
            for row in csv.DictReader(file):
                time = datetime.fromisoformat(row["time"])
                self._append(before, time)
                before = time
                self._values.append(
                    (
                        float(row["temperature_c"]),
                        float(row["humidity_percent"]),
                        float(row["co2_ppm"]),
                    )
                )

    @property
    def duration_s(self) -> float:
        """Recorded seconds, holes taken out."""
        return self._at[-1]

    def air(self, at_s: float) -> Air:
        """See ``Environment``."""
        played_s = max(0.0, at_s - self._start_s) * self._playback
        temperature_c, humidity_percent, co2_ppm = self._interpolated(played_s % self.duration_s)
        return Air(
            temperature_c,
            humidity_percent,
            co2_ppm,
            pressure_pa=drift(played_s, 99_200.0, 900.0, period_s=3.1 * _DAY_S),
            eco2_ppm=drift(played_s, 620.0, 180.0, period_s=0.7 * _DAY_S),
            tvoc_ppb=drift(played_s, 90.0, 75.0, period_s=0.9 * _DAY_S),
        )

    def _append(self, before: datetime | None, time: datetime) -> None:
        if before is None:
            self._at.append(0.0)
            return
        gap_s = (time - before).total_seconds()
        self._at.append(self._at[-1] + (gap_s if 0 < gap_s <= _HOLE_S else _MINUTE_S))

    def _interpolated(self, played_s: float) -> tuple[float, float, float]:
        index = min(bisect_right(self._at, played_s), len(self._at) - 1)
        left, right = self._at[index - 1], self._at[index]
        share = (played_s - left) / (right - left)
        pairs = zip(self._values[index - 1], self._values[index], strict=True)
        first, second, third = (a + (b - a) * share for a, b in pairs)
        return first, second, third


def drift(at_s: float, middle: float, swing: float, *, period_s: float) -> float:
    """A made-up slow wave, standing for a quantity that nobody recorded."""
    return middle + swing * math.sin(2.0 * math.pi * at_s / period_s)
