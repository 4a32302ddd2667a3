"""Emulated TDK ICP-10125, after DS-000329 r1.1.

Where the datasheet is silent: a result can be read once, a fifth calibration word reads as ones,
and the chip ignores general calls.
"""

from collections.abc import Callable
from typing import Final

from tests.emulators.chips import CommandChip, crc
from tests.emulators.environment import Environment

ADDRESS: Final = 0x63

MODES_S: Final[dict[int, float]] = {
    0x609C: 0.0018, 0x6825: 0.0063, 0x70DF: 0.0238, 0x7866: 0.0945,
    0x401A: 0.0018, 0x48A3: 0.0063, 0x5059: 0.0238, 0x58E0: 0.0945,
}  # fmt: skip
"""Maximum time of each measure command; those from 0x6000 on answer temperature first."""

_SOFT_RESET, _READ_ID, _SET_POINTER, _READ_OTP = 0x805D, 0xEFC8, 0xC595, 0xC7F7
_PRESSURES_PA: Final = (45_000.0, 80_000.0, 105_000.0)


def raw_temperature(temperature_c: float) -> int:
    """The 16-bit word of a temperature."""
    return min(0xFFFF, max(0, round((temperature_c + 45.0) * 65536.0 / 175.0)))


def raw_pressure(otp: tuple[int, int, int, int], pressure_pa: float, ticks: int) -> int:
    """The 24-bit number that this calibration turns into this pressure: the model run backwards.

    The three calibration points lie on P = A + B / (C + p), which is solved here from the points
    themselves rather than by the datasheet's formula.
    """
    c1, c2, c3, c4 = otp
    square = (ticks - 32768) ** 2 / 2**24
    points = (3.5 * 2**20 + c1 * square, 2048.0 * c4 + c2 * square, 11.5 * 2**20 + c3 * square)
    (s1, s2, s3), (p0, p1, p2) = points, _PRESSURES_PA
    slope12, slope23 = (p0 - p1) / (s2 - s1), (p1 - p2) / (s3 - s2)
    # (P0-P1)/(s2-s1) = B / ((C+s1)(C+s2)); the ratio of two such slopes is linear in C.
    ratio = slope12 / slope23
    c = (s3 - ratio * s1) / (ratio - 1.0)
    b = slope12 * (c + s1) * (c + s2)
    a = p0 - b / (c + s1)
    return min(0xFFFFFF, max(0, round(b / (pressure_pa - a) - c)))


class Icp10125Chip(CommandChip):
    """One ICP-10125.

    Args:
        clock: the chip's seconds.
        environment: the air.
        otp: the calibration, signed.
        id_word: what it answers to the question for its product.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        environment: Environment,
        *,
        otp: tuple[int, int, int, int] = (-1200, -850, 430, 4150),
        id_word: int = 0x0048,
    ) -> None:
        super().__init__(ADDRESS, clock, environment, power_up_s=0.00017)
        self.otp = otp
        self.id_word = id_word
        self.raw: tuple[int, int] | None = None
        """Knob: raw pressure and temperature to answer instead of the air's."""
        self.otp_noise: list[int] = []
        """Fault: XORed into the next calibration words, one after the other."""
        self.stuck_measuring = False
        """Fault: a measurement never ends."""
        self.measurements = 0
        self._pointer: int | None = None
        self._noise = 0x5A

    def power_cycle(self) -> None:
        """See ``Chip``."""
        super().power_cycle()
        self._pointer = None

    def execute(self, code: int, data: bytes) -> None:
        """See ``CommandChip``."""
        if code in MODES_S and not data:
            self._measure(code)
        elif code == _SOFT_RESET and not data:
            self._pointer = None
            self.busy(0.00017)
        elif code == _READ_ID and not data:
            self.answer(self.id_word)
        elif code == _SET_POINTER and data == b"\x00\x66\x9c":
            self._pointer = 0
        elif code == _READ_OTP and not data:
            self._read_otp()
        else:
            self.violate(f"unknown command {code:04x} {data.hex()}")

    def _read_otp(self) -> None:
        if self._pointer is None:
            self.violate("calibration read without its pointer")
        if self._pointer >= len(self.otp):
            self._answer = b"\xff\xff\xff"
            return
        noise = self.otp_noise.pop(0) if self.otp_noise else 0
        self.answer((self.otp[self._pointer] & 0xFFFF) ^ noise)
        self._pointer += 1

    def _measure(self, code: int) -> None:
        self.measurements += 1
        air = self.air
        ticks = raw_temperature(air.temperature_c)
        pressure, ticks = self.raw or (raw_pressure(self.otp, air.pressure_pa, ticks), ticks)
        # The last byte means nothing but is under the checksum: noise catches who uses it.
        self._noise = (self._noise * 73 + 41) & 0xFF
        middle, low = pressure >> 8, (pressure & 0xFF) << 8 | self._noise
        words = (ticks, middle, low) if code >= 0x6000 else (middle, low, ticks)
        self.answer(*words)
        self.busy(float("inf") if self.stuck_measuring else MODES_S[code])


def otp_frame(word: int) -> bytes:
    """One calibration word as on the wire."""
    data = (word & 0xFFFF).to_bytes(2, "big")
    return data + bytes((crc(data),))
