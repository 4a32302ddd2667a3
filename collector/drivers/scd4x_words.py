"""What the words of an SCD4x mean, and the words for what it is told; pure.

Datasheet v1.7 (April 2025).
"""

from typing import Final

from collector.drivers import Measurement, Reading
from common.errors import ConfigError
from common.sample import SensorStatus

NAME: Final = "scd4x"
CO2_PPM_MAX: Final = 40_000
TEMPERATURE_C_RANGE: Final = (-40.0, 120.0)
"""Beyond it the formula still gives numbers, down to -45: a wrapped offset or a dead sensor."""
PRESSURE_HPA_RANGE: Final = (700, 1200)
TEMPERATURE_OFFSET_C_RANGE: Final = (0.0, 20.0)

_READY_MASK: Final = 0x07FF
_VARIANTS: Final = {0x0: "SCD40", 0x1: "SCD41", 0x2: "SCD42", 0x5: "SCD43"}

CO2_COLUMN: Final = "scd4x_co2_ppm"
TEMPERATURE_COLUMN: Final = "scd4x_temperature_c"
HUMIDITY_COLUMN: Final = "scd4x_humidity_percent"


def temperature_c(ticks: int) -> float:
    """Degrees Celsius (§3.6.2; the divisor was 65536 before v1.4)."""
    return -45.0 + 175.0 * ticks / 65535.0


def humidity_percent(ticks: int) -> float:
    """Relative humidity (§3.6.2)."""
    return 100.0 * ticks / 65535.0


def temperature_offset_word(offset_c: float) -> int:
    """The word of an offset that the chip subtracts, rounded to the nearest (§3.7.1).

    Raises:
        ConfigError: outside 0 to 20 °C; a negative one would wrap to 370 °C and more.
    """
    low, high = TEMPERATURE_OFFSET_C_RANGE
    if not low <= offset_c <= high:
        raise ConfigError(
            f"temperature offset of the SCD4x is {offset_c} °C, expected {low:g} to {high:g} °C",
            hint="new offset = reading of the SCD4x - reading of a reference + offset until now",
        )
    return round(offset_c * 65535.0 / 175.0)


def ambient_pressure_word(pressure_pa: float) -> int:
    """Hectopascals, clamped to what the chip accepts (§3.7.5)."""
    low, high = PRESSURE_HPA_RANGE
    return max(low, min(high, round(pressure_pa / 100.0)))


def data_ready(word: int) -> bool:
    """Whether a measurement waits: any of the low 11 bits; an idle chip says 0x8000 (§3.9.2)."""
    return word & _READY_MASK != 0


def variant_name(word: int) -> str:
    """Product name by the upper four bits; an unknown one is named by its number (§3.10.6)."""
    return _VARIANTS.get(word >> 12, f"SCD4x variant 0x{word:04x}")


def serial_number(words: tuple[int, ...]) -> int:
    """The 48-bit serial number (§3.10.2)."""
    return words[0] << 32 | words[1] << 16 | words[2]


def measurement(words: tuple[int, ...]) -> Measurement:
    """The readings of one frame.

    CO2 of 0 with good temperature and humidity is an invalid sample (Sensirion's own examples skip
    it), and the output ends at 40 000 ppm (§1.1), though 47 867 has been seen in the field.
    """
    co2, temperature, humidity = words
    celsius = temperature_c(temperature)
    low, high = TEMPERATURE_C_RANGE
    return Measurement(
        NAME,
        (
            _reading(CO2_COLUMN, float(co2), co2, good=0 < co2 <= CO2_PPM_MAX),
            _reading(TEMPERATURE_COLUMN, celsius, temperature, good=low <= celsius <= high),
            _reading(HUMIDITY_COLUMN, humidity_percent(humidity), humidity, good=True),
        ),
    )


def _reading(column: str, value: float, ticks: int, *, good: bool) -> Reading:
    if good:
        return Reading(column, value, SensorStatus.OK, ticks)
    return Reading(column, None, SensorStatus.OUT_OF_RANGE, ticks)
