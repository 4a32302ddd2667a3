"""Absolute humidity, as the SGP30 wants it for its compensation (datasheet v1.0 §6.3).

The formula is the datasheet's; its worked example (25 °C, 50 % give 11.8 g/m3) contradicts it,
the formula gives 11.48.
"""

import math
from typing import Final

WORD_MAX: Final = 0xFFFF
_FRACTION: Final = 256.0


def absolute_humidity_g_m3(temperature_c: float, humidity_percent: float) -> float:
    """Grams of water in a cubic metre of air."""
    saturation_hpa = 6.112 * math.exp(17.62 * temperature_c / (243.12 + temperature_c))
    vapour_hpa = humidity_percent / 100.0 * saturation_hpa
    return 216.7 * vapour_hpa / (273.15 + temperature_c)


def humidity_word(humidity_g_m3: float) -> int:
    """8.8 fixed point, rounded; 0 would switch the compensation off, so the least word is 1."""
    return max(1, min(WORD_MAX, round(humidity_g_m3 * _FRACTION)))
