"""An SGP30 that has to begin anew: it forgot its start, or its sensor is saturated.

A chip whose supply dipped sleeps and still answers, with the 400 ppm and 0 ppb of its first
seconds, whatever the air is. Clean air reads the same, so the value alone tells nothing; but no air
gets from bad to perfect within a second. Saturation by solvents ends by a new start when it has
lasted for ten minutes (esphome issue 950, Adafruit_SGP30 issue 10).
"""

from dataclasses import replace
from typing import Final

from collector.drivers import Measurement
from common.sample import SensorStatus

FLOOR: Final = (400, 0)
"""CO2eq and TVOC of a chip in its first 15 s, and of one that was never started."""

ECO2_PPM_BAD: Final = 500
TVOC_PPB_BAD: Final = 60
"""From here on air is too bad to be perfect a second later."""

FALL_S_MAX: Final = 600.0
"""A fall is one from the last reading before a pause, too. Ten minutes may clean the air, but a new
start that was not needed costs 15 s only: the chip's baseline is given back to it."""

FALLS_MAX: Final = 2
"""New starts after one bad reading: the supply may dip again while the chip warms up."""

SATURATED_S_MAX: Final = 600.0


class Relapse:
    """Judges the measurements of one SGP30, as ``Repeats`` does those of the other chips."""

    def __init__(self) -> None:
        self._bad_at_s: float | None = None
        self._falls = 0
        self._fell = False
        self._saturated_since_s: float | None = None

    @property
    def stuck(self) -> bool:
        """Whether the last measurement was none."""
        return self._fell

    def see(self, measurement: Measurement, now_s: float) -> bool:
        """Take one measurement; returns whether the chip must begin anew."""
        ticks = tuple(reading.ticks for reading in measurement.readings)
        statuses = {reading.status for reading in measurement.readings}
        self._fell = ticks == FLOOR and statuses == {SensorStatus.OK} and self._falls_now(now_s)
        if not self._fell and SensorStatus.WARMING_UP not in statuses:
            bad = ticks[0] >= ECO2_PPM_BAD or ticks[1] >= TVOC_PPB_BAD
            self._bad_at_s, self._falls = now_s if bad else None, 0
        return self._fell or self._saturated(statuses, now_s)

    def _falls_now(self, now_s: float) -> bool:
        """Whether a reading of perfect air follows a bad one too soon."""
        if self._bad_at_s is None or now_s - self._bad_at_s > FALL_S_MAX:
            return False
        self._falls += 1
        return self._falls <= FALLS_MAX

    def _saturated(self, statuses: set[SensorStatus], now_s: float) -> bool:
        """Whether it has been saturated for too long; once in each such time."""
        if SensorStatus.SATURATED not in statuses:
            self._saturated_since_s = None
            return False
        if self._saturated_since_s is None:
            self._saturated_since_s = now_s
        if now_s - self._saturated_since_s < SATURATED_S_MAX:
            return False
        self._saturated_since_s = now_s
        return True

    def marked(self, measurement: Measurement) -> Measurement:
        """The measurement, without its values when they are those of a chip that sleeps."""
        if not self._fell:
            return measurement
        readings = (
            replace(r, value=None, status=SensorStatus.STUCK) for r in measurement.readings
        )
        return replace(measurement, readings=tuple(readings))
