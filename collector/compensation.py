"""What one chip's measurement tells another: air pressure to the SCD4x, humidity to the SGP30.

Pressure moves the SCD4x's CO2 by about 0.1 % per hPa (datasheet v1.7 §3.7.5); the SGP30 wants the
absolute humidity (v1.0 §6.3), taken from temperature and humidity of one and the same SCD4x
measurement, because their errors belong together.
"""

from typing import Protocol

from collector.drivers import Measurement
from common.sample import SensorStatus


class TakesPressure(Protocol):
    """The SCD4x's side."""

    ambient_pressure_pa: float | None


class TakesHumidity(Protocol):
    """The SGP30's side."""

    def set_humidity(self, temperature_c: float, humidity_percent: float) -> None:
        """Tell the air's state; the chip decides when to write it."""


class Compensation:
    """Passes measurements on to the chips that need them.

    Attributes:
        pressure: the SCD4x.
        humidity: the SGP30.
    """

    def __init__(self, pressure: TakesPressure, humidity: TakesHumidity) -> None:
        self.pressure = pressure
        self.humidity = humidity

    def learn(self, measurement: Measurement) -> None:
        """Hand on what another chip wants of this measurement; NULL values are never handed on."""
        values = {
            r.column: r.value for r in measurement.readings if r.status is SensorStatus.OK
        }
        pressure_pa = values.get("icp10125_pressure_pa")
        if pressure_pa is not None:
            self.pressure.ambient_pressure_pa = pressure_pa
        temperature_c = values.get("scd4x_temperature_c")
        humidity_percent = values.get("scd4x_humidity_percent")
        if temperature_c is not None and humidity_percent is not None:
            self.humidity.set_humidity(temperature_c, humidity_percent)
