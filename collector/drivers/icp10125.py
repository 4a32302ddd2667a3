"""TDK InvenSense ICP-10125: pressure and temperature, low-noise mode.

DS-000329 r1.1. The chip has no status: it does not acknowledge while it measures (up to 23.8 ms in
this mode), goes idle by itself, and hands each result out once. A measurement that failed is
simply measured again. Its calibration is read twice and compared at every start, because a
wrong word shifts the pressure without any other sign.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from collector.bus import Bus
from collector.drivers import Measurement, Reading, Step, UnexpectedChip
from collector.drivers.grid import Grid
from collector.drivers.icp10125_compensation import Otp, OtpInvalid, pressure_pa, temperature_c
from collector.drivers.sensirion import ChecksumMismatch, Command, execute
from common.sample import SensorStatus

ADDRESS: Final = 0x63

SOFT_RESET = Command(0x805D, execution_s=0.001)
READ_ID = Command(0xEFC8, words_in=1)
SET_OTP_POINTER = Command(0xC595, words_out=1)
READ_OTP = Command(0xC7F7, words_in=1)
MEASURE_LOW_NOISE = Command(0x70DF, words_in=3, execution_s=0.0248)
"""Temperature first; the datasheet's maximum of 23.8 ms and 1 ms for the host's clock."""

PRESSURE_PA_RANGE: Final = (25_000.0, 115_000.0)
TEMPERATURE_C_RANGE: Final = (-40.0, 85.0)

_ID_MASK: Final = 0x3F
_ID: Final = 0x08
_OTP_ADDRESS: Final = 0x0066
_OTP_WORDS: Final = 4
_OTP_PASSES: Final = 2

PRESSURE_COLUMN: Final = "icp10125_pressure_pa"
TEMPERATURE_COLUMN: Final = "icp10125_temperature_c"


def accepts(id_word: int) -> bool:
    """Whether the product is ours; bits 15 to 6 vary from chip to chip (§5.7)."""
    return id_word & _ID_MASK == _ID


def pressure_ticks(middle: int, low: int) -> int:
    """24-bit raw pressure; the last byte is covered by its checksum but means nothing (§5.5)."""
    return middle << 8 | low >> 8


def measurement(otp: Otp, words: tuple[int, ...]) -> Measurement:
    """The readings of one temperature-first frame.

    The pressure is compensated with the temperature of the same frame, so an impossible
    temperature takes the pressure with it.

    Raises:
        OtpInvalid: the calibration has no solution for these words.
    """
    temperature, middle, low = words
    ticks = pressure_ticks(middle, low)
    celsius = temperature_c(temperature)
    pascals = pressure_pa(otp, ticks, temperature)
    warm = _within(celsius, TEMPERATURE_C_RANGE)
    return Measurement(
        Icp10125.name,
        (
            _reading(
                PRESSURE_COLUMN, pascals, ticks, good=warm and _within(pascals, PRESSURE_PA_RANGE)
            ),
            _reading(TEMPERATURE_COLUMN, celsius, temperature, good=warm),
        ),
    )


def _within(value: float, bounds: tuple[float, float]) -> bool:
    low, high = bounds
    return low <= value <= high


def _reading(column: str, value: float, ticks: int, *, good: bool) -> Reading:
    if good:
        return Reading(column, value, SensorStatus.OK, ticks)
    return Reading(column, None, SensorStatus.OUT_OF_RANGE, ticks)


class Icp10125:
    """One ICP-10125 on a bus.

    Args:
        bus: where it is.
        period_s: seconds between two measurements.
    """

    name: Final = "icp10125"
    columns: Final = (PRESSURE_COLUMN, TEMPERATURE_COLUMN)

    def __init__(self, bus: Bus, *, period_s: float = 1.0) -> None:
        self._bus = bus
        self._grid = Grid(period_s)
        self._otp: Otp | None = None
        self._words: list[int] = []
        self._next: Callable[[float], Step] = self._soft_reset

    @property
    def otp(self) -> Otp | None:
        """The calibration in use; ``None`` until it has been read."""
        return self._otp

    def probe(self) -> str:
        """See ``Chip``."""
        with suppress(ChecksumMismatch):
            return self._identify()
        try:
            return self._identify()
        except ChecksumMismatch as error:
            raise UnexpectedChip(
                f"the chip at 0x{ADDRESS:02x} does not answer in the words of an ICP-10125: "
                f"{error}",
                hint="look for another device at this address (some pH and ORP probes use it)",
            ) from error

    def reset(self) -> None:
        """See ``Chip``."""
        self._otp = None
        self._next = self._soft_reset

    def step(self, now_s: float) -> Step:
        """See ``Chip``."""
        return self._next(now_s)

    def _identify(self) -> str:
        (word,) = execute(self._bus, ADDRESS, READ_ID)
        if not accepts(word):
            raise UnexpectedChip(
                f"the chip at 0x{ADDRESS:02x} has product id 0x{word:04x}, expected low bits "
                f"0x{_ID:02x} of an ICP-10125",
                hint="look for another device at this address",
            )
        return f"ICP-10125 id {word:04x}"

    def _soft_reset(self, now_s: float) -> Step:
        execute(self._bus, ADDRESS, SOFT_RESET)
        self._next = self._check_id
        return Step(0.0)

    def _check_id(self, now_s: float) -> Step:
        self._identify()
        self._words = []
        self._next = self._point_at_otp
        return Step(0.0)

    def _point_at_otp(self, now_s: float) -> Step:
        """Begin one pass over the calibration, dropping what a failed pass had read of it."""
        del self._words[len(self._words) // _OTP_WORDS * _OTP_WORDS :]
        execute(self._bus, ADDRESS, SET_OTP_POINTER, _OTP_ADDRESS)
        self._next = self._read_otp
        return Step(0.0)

    def _read_otp(self, now_s: float) -> Step:
        """Read the next word; the chip moves on by itself, so after an error the pass is void."""
        self._next = self._point_at_otp
        self._words += execute(self._bus, ADDRESS, READ_OTP)
        if len(self._words) % _OTP_WORDS:
            self._next = self._read_otp
        elif len(self._words) == _OTP_WORDS * _OTP_PASSES:
            self._next = self._soft_reset
            self._otp = self._agreed_otp()
            self._grid.start(now_s)
            self._next = self._measure
        return Step(0.0)

    def _agreed_otp(self) -> Otp:
        first, second = self._words[:_OTP_WORDS], self._words[_OTP_WORDS:]
        if first != second:
            raise OtpInvalid(
                f"calibration of the ICP-10125 read as {first}, then as {second}",
                hint="noise on the bus: shorten the wires or lower the bus speed",
            )
        c1, c2, c3, c4 = first
        return Otp.from_words((c1, c2, c3, c4))

    def _measure(self, now_s: float) -> Step:
        """Measure when it is due; after an error at once again, since nothing is lost by it."""
        assert self._otp is not None
        if not self._grid.is_due(now_s):
            return Step(self._grid.wait_s(now_s))
        words = execute(self._bus, ADDRESS, MEASURE_LOW_NOISE)
        self._grid.advance(now_s)
        return Step(self._grid.wait_s(now_s), measurement(self._otp, words))
