"""Arithmetic of the ICP-10125: raw numbers and calibration words in, pascals and degrees out.

TDK DS-000329 r1.1 §5.9 to §5.13, in double precision: single precision is off by up to 0.2 Pa.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple, Self

from collector.drivers import UnexpectedChip

_PRESSURES_PA: Final = (45_000.0, 80_000.0, 105_000.0)
_LOW_POINT: Final = 3.5 * 2**20
_HIGH_POINT: Final = 11.5 * 2**20
_MIDDLE_STEP: Final = 2048.0
_QUADRATIC: Final = 2.0**24
_MIDDLE_TEMPERATURE: Final = 32768

C4_BOUNDS: Final = (int(_LOW_POINT / _MIDDLE_STEP), int(_HIGH_POINT / _MIDDLE_STEP))
"""c4 places the calibration point at 80 kPa between those at 45 and 105 kPa: 1792 < c4 < 5888."""


class OtpInvalid(UnexpectedChip):
    """The calibration words cannot be those of an ICP-10125, or did not read the same twice."""


@dataclass(frozen=True, slots=True)
class Otp:
    """The four calibration words, signed (§5.10).

    Some drivers read them unsigned, and are wrong by tens of kilopascals when one is negative.
    """

    c1: int
    c2: int
    c3: int
    c4: int

    @classmethod
    def from_words(cls, words: tuple[int, int, int, int]) -> Self:
        """Take the unsigned words as they came.

        Raises:
            OtpInvalid: c4 is impossible, as that of an empty or foreign memory.
        """
        otp = cls(*(word - 0x10000 if word & 0x8000 else word for word in words))
        low, high = C4_BOUNDS
        if not low < otp.c4 < high:
            raise OtpInvalid(
                f"calibration word c4 of the ICP-10125 is {otp.c4}, "
                f"expected between {low} and {high}",
                hint="the memory was read wrongly or the chip is not an ICP-10125",
            )
        return otp


class Compensation(NamedTuple):
    """The intermediate values of §5.11, for one temperature."""

    a: float
    b: float
    c: float


def temperature_c(ticks: int) -> float:
    """Degrees Celsius (§5.9)."""
    return -45.0 + 175.0 * ticks / 65536.0


def compensation(otp: Otp, temperature_ticks: int) -> Compensation:
    """The curve through the three calibration points at this temperature.

    Raises:
        OtpInvalid: the points coincide, so there is no curve.
    """
    low_pa, middle_pa, high_pa = _PRESSURES_PA
    square = float(temperature_ticks - _MIDDLE_TEMPERATURE) ** 2 / _QUADRATIC
    s1 = _LOW_POINT + otp.c1 * square
    s2 = _MIDDLE_STEP * otp.c4 + otp.c2 * square
    s3 = _HIGH_POINT + otp.c3 * square
    denominator = s3 * (low_pa - middle_pa) + s1 * (middle_pa - high_pa) + s2 * (high_pa - low_pa)
    if denominator == 0.0 or s1 == s2:
        raise OtpInvalid(
            f"calibration {otp} has no solution at temperature ticks {temperature_ticks}",
            hint="the calibration memory was read wrongly",
        )
    c = (
        s1 * s2 * (low_pa - middle_pa)
        + s2 * s3 * (middle_pa - high_pa)
        + s3 * s1 * (high_pa - low_pa)
    ) / denominator
    a = (low_pa * s1 - middle_pa * s2 - (middle_pa - low_pa) * c) / (s1 - s2)
    return Compensation(a, (low_pa - a) * (s1 + c), c)


def pressure_pa(otp: Otp, pressure_ticks: int, temperature_ticks: int) -> float:
    """Pascals (§5.11).

    Args:
        otp: calibration of this very chip.
        pressure_ticks: 24-bit raw pressure.
        temperature_ticks: 16-bit raw temperature of the same measurement.

    Raises:
        OtpInvalid: the calibration has no solution here.
    """
    a, b, c = compensation(otp, temperature_ticks)
    if c + pressure_ticks == 0.0:
        raise OtpInvalid(
            f"calibration {otp} has a pole at pressure ticks {pressure_ticks}",
            hint="the calibration memory was read wrongly",
        )
    return a + b / (c + pressure_ticks)
