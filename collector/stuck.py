"""A chip that answers but has frozen: the same raw words again and again.

Real air never gives the SCD4x three equal words, nor the ICP-10125 an equal 24-bit pressure, for
ten minutes; a chip whose supply dipped does (Sensirion/arduino-i2c-scd4x issues 10 and 14). The
SGP30 reads 400 ppm and 0 ppb for hours in clean air: ``collector.relapse`` judges it.
"""

from dataclasses import replace
from typing import Final

from collector.drivers import Measurement
from common.sample import SensorStatus

REPEATS_MIN: Final = 60
STUCK_S_MIN: Final = 600.0


class Repeats:
    """Counts equal measurements in a row of one chip."""

    def __init__(self) -> None:
        self._words: tuple[int, ...] = ()
        self._count = 0
        self._since_s = 0.0
        self._told = False

    @property
    def stuck(self) -> bool:
        """Whether the chip counts as frozen."""
        return self._told

    def see(self, measurement: Measurement, now_s: float) -> bool:
        """Count one measurement; returns whether the chip is found frozen just now.

        True comes once in each further run of ``STUCK_S_MIN``, so that a remedy tried on it can
        show its effect.
        """
        words = tuple(reading.ticks for reading in measurement.readings)
        if words != self._words:
            self._words = words
            self._begin(now_s)
            self._told = False
            return False
        self._count += 1
        if self._count < REPEATS_MIN or now_s - self._since_s < STUCK_S_MIN:
            return False
        self._begin(now_s)
        self._told = True
        return True

    def marked(self, measurement: Measurement) -> Measurement:
        """The measurement, its good readings marked when the chip is frozen.

        Their values stay: the chip did measure them, and they are the proof.
        """
        if not self._told:
            return measurement
        readings = tuple(
            replace(r, status=SensorStatus.STUCK) if r.status is SensorStatus.OK else r
            for r in measurement.readings
        )
        return replace(measurement, readings=readings)

    def _begin(self, now_s: float) -> None:
        """Start a new run."""
        self._count = 1
        self._since_s = now_s
