"""Sensirion SGP30: equivalent CO2 and total organics, once a second.

Datasheet v1.0 (May 2020). Rules of this driver:

- The chip's algorithm is tuned to one measurement a second (§6.3): the grid of seconds is kept,
  missed seconds are skipped and counted, never made up in a burst.
- An answer can be read once (§6.2), so a failed measurement is not asked for again: the next
  second brings the next one.
- The first 15 s after iaq_init read 400 ppm and 0 ppb whatever the air is. They are told by time,
  not by value, since clean air reads the same.
- get_iaq_baseline answers (CO2eq, TVOC), set_iaq_baseline takes (TVOC, CO2eq); the swap is real.
- The general-call reset is not used: it would reset the other chips on the bus too (§6.4).
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from collector.bus import Bus, Nack
from collector.drivers import Measurement, Reading, Step, UnexpectedChip
from collector.drivers.grid import Grid
from collector.drivers.humidity import absolute_humidity_g_m3, humidity_word
from collector.drivers.sensirion import ChecksumMismatch, Command, execute
from collector.drivers.sgp30_baseline import (
    KEEP_EVERY_S,
    LEARNING_S,
    RESTORED_LEARNING_S,
    Baseline,
    refusal,
)
from common.sample import SensorStatus

ADDRESS: Final = 0x58

IAQ_INIT = Command(0x2003, execution_s=0.010)
MEASURE_IAQ = Command(0x2008, words_in=2, execution_s=0.012)
GET_IAQ_BASELINE = Command(0x2015, words_in=2, execution_s=0.010)
SET_IAQ_BASELINE = Command(0x201E, words_out=2, execution_s=0.010)
SET_ABSOLUTE_HUMIDITY = Command(0x2061, words_out=1, execution_s=0.010)
GET_FEATURE_SET = Command(0x202F, words_in=1, execution_s=0.010)
GET_SERIAL_ID = Command(0x3682, words_in=3, execution_s=0.001)

WARM_UP_S: Final = 15.0
HUMIDITY_EVERY_S: Final = 60.0
SATURATED_AT: Final = 60_000
ECO2_PPM_MIN: Final = 400

ECO2_COLUMN: Final = "sgp30_eco2_ppm"
TVOC_COLUMN: Final = "sgp30_tvoc_ppb"


def accepts(feature_set: int) -> bool:
    """Product 0 is the SGP30, and 0x20 the first version with these commands (Table 9)."""
    return feature_set >> 12 == 0 and feature_set & 0xFF >= 0x20


def serial_number(words: tuple[int, ...]) -> int:
    """The 48-bit serial number (§6.5)."""
    return words[0] << 32 | words[1] << 16 | words[2]


def measurement(words: tuple[int, ...], *, warming_up: bool) -> Measurement:
    """The readings of one frame; those of the warm-up carry no value."""
    eco2, tvoc = words
    return Measurement(
        Sgp30.name,
        (
            _reading(ECO2_COLUMN, eco2, ECO2_PPM_MIN, warming_up=warming_up),
            _reading(TVOC_COLUMN, tvoc, 0, warming_up=warming_up),
        ),
    )


def _reading(column: str, ticks: int, low: int, *, warming_up: bool) -> Reading:
    if warming_up:
        return Reading(column, None, SensorStatus.WARMING_UP, ticks)
    if ticks >= SATURATED_AT:
        return Reading(column, None, SensorStatus.SATURATED, ticks)
    if ticks < low:
        return Reading(column, None, SensorStatus.OUT_OF_RANGE, ticks)
    return Reading(column, float(ticks), SensorStatus.OK, ticks)


class Sgp30:
    """One SGP30 on a bus.

    Args:
        bus: where it is.
        realtime_s: wall clock, seconds since 1970 UTC; only stamps baselines.
        period_s: seconds between two measurements; anything but 1 spoils the chip's algorithm.
        baseline: as kept from an earlier run; ``None``: none.
        baseline_age_s: how old it is now, seconds, as far as the caller can tell.
    """

    name: Final = "sgp30"
    columns: Final = (ECO2_COLUMN, TVOC_COLUMN)

    def __init__(
        self,
        bus: Bus,
        *,
        realtime_s: Callable[[], float],
        period_s: float = 1.0,
        baseline: Baseline | None = None,
        baseline_age_s: float = 0.0,
    ) -> None:
        self._bus = bus
        self._realtime_s = realtime_s
        self._period_s = period_s
        self._grid = Grid(period_s)
        self._kept = baseline
        self._kept_age_s = baseline_age_s
        self._kept_at_s: float | None = None
        self._baseline: Baseline | None = None
        self._to_restore: tuple[int, int] | None = None
        self._refusal: str | None = None
        self._serial = 0
        self._humidity_word: int | None = None
        self._humidity_sent: int | None = None
        self._humidity_due_s = 0.0
        self._baseline_due_s = 0.0
        self._warm_at_s = 0.0
        self._ticks_missed = 0
        self._next: Callable[[float], Step] = self._read_serial

    @property
    def baseline(self) -> Baseline | None:
        """Newest baseline read back from the chip, else the one restored to it, else ``None``."""
        return self._baseline

    @property
    def baseline_refusal(self) -> str | None:
        """Why the kept baseline was not restored at the last start; ``None``: it was, or none."""
        return self._refusal

    @property
    def ticks_missed(self) -> int:
        """Seconds skipped since this object was made, because ``step`` came too late."""
        return self._ticks_missed

    def set_humidity(self, temperature_c: float, humidity_percent: float) -> None:
        """Tell the air's state for the compensation, from one and the same measurement."""
        grams = absolute_humidity_g_m3(temperature_c, humidity_percent)
        self._humidity_word = humidity_word(grams)

    def probe(self) -> str:
        """See ``Chip``."""
        with suppress(ChecksumMismatch):
            return self._identify()
        try:
            return self._identify()
        except ChecksumMismatch as error:
            raise UnexpectedChip(
                f"the chip at 0x{ADDRESS:02x} does not answer in the words of an SGP30: {error}",
                hint="look for another device at this address",
            ) from error

    def reset(self) -> None:
        """See ``Chip``."""
        self._next = self._read_serial

    def step(self, now_s: float) -> Step:
        """See ``Chip``."""
        return self._next(now_s)

    def _identify(self) -> str:
        serial = serial_number(execute(self._bus, ADDRESS, GET_SERIAL_ID))
        return f"{self._check_features()} serial {serial:012x}"

    def _check_features(self) -> str:
        (word,) = execute(self._bus, ADDRESS, GET_FEATURE_SET)
        if not accepts(word):
            raise UnexpectedChip(
                f"the chip at 0x{ADDRESS:02x} has feature set 0x{word:04x}, expected product 0 "
                "and version 0x20 or later of an SGP30",
                hint="an SGPC3 or another chip is at this address",
            )
        return f"SGP30 features {word:04x}"

    def _read_serial(self, now_s: float) -> Step:
        self._serial = serial_number(execute(self._bus, ADDRESS, GET_SERIAL_ID))
        self._next = self._read_features
        return Step(0.0)

    def _read_features(self, now_s: float) -> Step:
        self._check_features()
        self._choose_baseline(now_s)
        self._next = self._ask_running_baseline if self._to_restore else self._init
        return Step(0.0)

    def _choose_baseline(self, now_s: float) -> None:
        """Take the newest baseline that this chip may have."""
        if self._kept_at_s is None:
            self._kept_at_s = now_s
        age_s = self._kept_age_s + now_s - self._kept_at_s
        self._to_restore = self._refusal = None
        if self._kept is None:
            return
        self._refusal = refusal(self._kept, serial=self._serial, age_s=age_s)
        if self._refusal is None:
            self._to_restore = (self._kept.eco2, self._kept.tvoc)
        self._baseline = self._kept if self._to_restore else None

    def _ask_running_baseline(self, now_s: float) -> Step:
        """Prefer what a chip that stayed powered knows to what was kept up to an hour ago.

        A chip that sleeps, fresh from power-up, may refuse the question or answer (0, 0).
        """
        self._next = self._init
        try:
            eco2, tvoc = execute(self._bus, ADDRESS, GET_IAQ_BASELINE)
        except (Nack, ChecksumMismatch):
            return Step(0.0)
        if eco2 and tvoc:
            self._to_restore = (eco2, tvoc)
        return Step(0.0)

    def _init(self, now_s: float) -> Step:
        execute(self._bus, ADDRESS, IAQ_INIT)
        self._warm_at_s = now_s + WARM_UP_S
        self._grid.start(now_s + self._period_s)
        self._humidity_sent = None
        self._humidity_due_s = now_s
        self._baseline_due_s = now_s + LEARNING_S
        self._next = self._restore if self._to_restore else self._run
        return Step(0.0)

    def _restore(self, now_s: float) -> Step:
        assert self._to_restore is not None
        eco2, tvoc = self._to_restore
        execute(self._bus, ADDRESS, SET_IAQ_BASELINE, tvoc, eco2)
        self._baseline_due_s = now_s + RESTORED_LEARNING_S
        self._next = self._run
        return Step(0.0)

    def _run(self, now_s: float) -> Step:
        """Measure when a second is due; use the time between for humidity and baseline."""
        if self._grid.is_due(now_s):
            return self._measure(now_s)
        if self._humidity_due(now_s):
            self._write_humidity(now_s)
        elif now_s >= self._baseline_due_s:
            self._keep_baseline(now_s)
        return self._until_due(now_s)

    def _until_due(self, now_s: float, measured: Measurement | None = None) -> Step:
        pending = self._humidity_due(now_s) or now_s >= self._baseline_due_s
        return Step(0.0 if pending else self._grid.wait_s(now_s), measured)

    def _measure(self, now_s: float) -> Step:
        self._ticks_missed += self._grid.advance(now_s)
        words = execute(self._bus, ADDRESS, MEASURE_IAQ)
        return self._until_due(now_s, measurement(words, warming_up=now_s < self._warm_at_s))

    def _humidity_due(self, now_s: float) -> bool:
        word = self._humidity_word
        return word is not None and word != self._humidity_sent and now_s >= self._humidity_due_s

    def _write_humidity(self, now_s: float) -> None:
        """Send the word; after a failure it is tried again a minute later, not at once."""
        assert self._humidity_word is not None
        word = self._humidity_word
        self._humidity_due_s = now_s + HUMIDITY_EVERY_S
        execute(self._bus, ADDRESS, SET_ABSOLUTE_HUMIDITY, word)
        self._humidity_sent = word

    def _keep_baseline(self, now_s: float) -> None:
        """Read the baseline back; a chip that has none yet is asked again an hour later.

        One that had one and has none any more has lost its power meanwhile: it begins anew.
        """
        self._baseline_due_s = now_s + KEEP_EVERY_S
        eco2, tvoc = execute(self._bus, ADDRESS, GET_IAQ_BASELINE)
        if not eco2 and not tvoc:
            if self._baseline is not None:
                self.reset()
            return
        self._baseline = Baseline(self._serial, eco2, tvoc, self._realtime_s())
        self._kept, self._kept_age_s, self._kept_at_s = self._baseline, 0.0, now_s
