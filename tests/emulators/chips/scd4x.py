"""Emulated Sensirion SCD40, SCD41 and SCD43, after datasheet v1.7.

Where the datasheet is silent: a wrong checksum of an argument leaves the byte unacknowledged, and
so does an answer read before its time; a second start without a stop does nothing, or with
``hangs_on_double_start`` holds the bus until the power is cut (pimoroni-pico issue 338).
"""

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from tests.emulators.chips import BusHung, CommandChip, arguments, frame
from tests.emulators.chips.scd4x_commands import COMMANDS
from tests.emulators.environment import Air, Environment

ADDRESS: Final = 0x62
WAKE_UP: Final = b"\x36\xf6"
_NOT_READY, _READY = 0x8000, 0x8006


class State(StrEnum):
    """What the chip is doing; ``IDLE`` also while it executes a command."""

    IDLE = "idle"
    PERIODIC = "periodic"
    SLEEP = "sleep"


_DEFAULTS: Final[dict[str, int]] = {
    "temperature_offset": 0x05DA,
    "altitude": 0,
    "asc_enabled": 1,
    "asc_target": 400,
    "asc_initial": 44,
    "asc_standard": 156,
}


def saturation_hpa(temperature_c: float) -> float:
    """Vapour pressure of saturated air (Magnus)."""
    return 6.112 * math.exp(17.62 * temperature_c / (243.12 + temperature_c))


class Scd4xChip(CommandChip):
    """One SCD4x.

    Args:
        clock: the chip's seconds.
        environment: the air.
        variant: word that 0x202F answers; ``None``: silicon that does not know the question.
        serial: three words.
        interval_s: time between two samples of periodic mode (5.0; real chips 4.9 to 5.1).
    """

    self_heating_c = 4.0

    def __init__(
        self,
        clock: Callable[[], float],
        environment: Environment,
        *,
        variant: int | None = 0x1440,
        serial: tuple[int, int, int] = (0xF896, 0x9F07, 0x3BBE),
        interval_s: float = 5.0,
    ) -> None:
        super().__init__(ADDRESS, clock, environment, power_up_s=0.03)
        self.variant = variant
        self.serial = serial
        self.interval_s = interval_s
        self.reinit_s = COMMANDS[0x3646].execution_s
        """Knob: silicon from before v1.4 took up to 1000 ms."""
        self.hangs_on_double_start = False
        self.stuck_not_ready = False
        """Fault: never has data."""
        self.co2_word: int | None = None
        """Fault: the CO2 word, such as 0 (no VDDH) or 47867."""
        self.stale_buffer = False
        """Fault: gives the sample again although it was read."""
        self.eeprom = dict(_DEFAULTS)
        self.eeprom_writes = 0
        self.samples_taken = 0
        self.samples_read = 0
        self._state = State.IDLE
        self._forget()

    @property
    def state(self) -> State:
        """What it is doing."""
        return self._state

    @property
    def pressure_hpa(self) -> int:
        """The compensation in use."""
        return self._pressure_hpa

    @property
    def settings(self) -> dict[str, int]:
        """The words in RAM."""
        return self._ram

    def power_cycle(self) -> None:
        """See ``Chip``."""
        super().power_cycle()
        self._forget()

    def brown_out(self) -> None:
        """Fault: the supply dips; the chip answers again at once but measures no more."""
        self._forget()

    def write(self, data: bytes) -> None:
        """See ``Chip``."""
        self._refuse_when_hung()
        super().write(data)

    def read(self, length: int) -> bytes:
        """See ``Chip``."""
        self._refuse_when_hung()
        return super().read(length)

    def wakes(self, data: bytes) -> bool:
        """Wake-up acts when asleep and is acknowledged in no state (§3.11.4)."""
        if data == WAKE_UP and self._state is State.SLEEP:
            self._state = State.IDLE
            self.busy(0.03)
            return True
        return data == WAKE_UP or self._state is State.SLEEP

    def execute(self, code: int, data: bytes) -> None:
        """See ``CommandChip``."""
        row = COMMANDS.get(code)
        if code == 0x202F and self.variant is None:
            self.nack()
        if row is None or (row.scd41_only and self._is_scd40):
            self.violate(f"unknown command {code:04x}")
        self._measure_until_now()
        if self._state is State.PERIODIC and not row.measuring:
            if row.name == "start_periodic" and self.hangs_on_double_start:
                self._hung = True
                raise BusHung
            self.violate(f"{row.name} while measuring")
        words = arguments(data)
        if words is None or (code != 0xE000 and len(words) != row.words):
            self.violate(f"bad argument of {row.name}: {data.hex()}")
        self.busy(row.execution_s)
        if row.name[:4] in ("set_", "get_"):
            self._access_setting(row.name, words)
        else:
            getattr(self, f"_do_{row.name}")(words)

    @property
    def _is_scd40(self) -> bool:
        return self.variant is None or self.variant >> 12 == 0

    def _forget(self) -> None:
        """What is lost with the power."""
        self._state = State.IDLE
        self._ram = dict(self.eeprom)
        self._pressure_hpa = 1013
        self._period_s = self.interval_s
        self._next_sample_s = math.inf
        self._sample: bytes | None = None
        self._hung = False

    def _refuse_when_hung(self) -> None:
        if self._hung:
            raise BusHung

    def _access_setting(self, name: str, words: tuple[int, ...]) -> None:
        key = name[4:]
        if name.startswith("set_"):
            (self._ram[key],) = words
        else:
            self.answer(self._ram[key])

    def _measure_until_now(self) -> None:
        """Take the newest sample that is due; one buffer, the older ones are overwritten."""
        now = self.clock()
        while self._state is State.PERIODIC and self._next_sample_s <= now:
            self._take(self.environment.air(self._next_sample_s))
            self._next_sample_s += self._period_s

    def _take(self, air: Air, *, co2: bool = True) -> None:
        self.samples_taken += 1
        offset_c = self._ram["temperature_offset"] * 175.0 / 65535.0
        reported_c = air.temperature_c + self.self_heating_c - offset_c
        vapour_hpa = air.humidity_percent * saturation_hpa(air.temperature_c)
        humidity = min(100.0, max(0.0, vapour_hpa / saturation_hpa(reported_c)))
        ppm = round(min(40_000.0, max(0.0, air.co2_ppm))) if co2 else 0
        self._sample = frame(
            ppm if self.co2_word is None else self.co2_word,
            min(0xFFFF, max(0, round((reported_c + 45.0) * 65535.0 / 175.0))),
            round(humidity * 65535.0 / 100.0),
        )

    def _do_start_periodic(self, words: tuple[int, ...]) -> None:
        self._start(self.interval_s)

    def _do_start_low_power(self, words: tuple[int, ...]) -> None:
        self._start(30.0)

    def _start(self, period_s: float) -> None:
        self._state = State.PERIODIC
        self._period_s = period_s
        self._next_sample_s = self.clock() + period_s

    def _do_stop_periodic(self, words: tuple[int, ...]) -> None:
        self._state = State.IDLE
        self._sample = None

    def _do_data_ready(self, words: tuple[int, ...]) -> None:
        ready = self._sample is not None and not self.stuck_not_ready
        self.answer(_READY if ready else _NOT_READY)

    def _do_read_measurement(self, words: tuple[int, ...]) -> None:
        """The write is acknowledged; with an empty buffer the read is not (§3.6.2)."""
        if self._sample is None:
            self.counters.violations.append("read_measurement of an empty buffer")
        else:
            self.samples_read += 1
        self._answer = self._sample
        if not self.stale_buffer:
            self._sample = None

    def _do_pressure(self, words: tuple[int, ...]) -> None:
        """0xE000 asks when bare and sets when a word follows (§3.7.5)."""
        if not words:
            self.answer(self._pressure_hpa)
        elif 700 <= words[0] <= 1200:
            self._pressure_hpa = words[0]
        else:
            self.counters.violations.append(f"pressure of {words[0]} hPa")

    def _do_recalibrate(self, words: tuple[int, ...]) -> None:
        self.eeprom_writes += 1
        self.answer(0xFFFF if not self.samples_taken else 0x7FCE)

    def _do_persist(self, words: tuple[int, ...]) -> None:
        self.eeprom = dict(self._ram)
        self.eeprom_writes += 1

    def _do_factory_reset(self, words: tuple[int, ...]) -> None:
        self.eeprom = dict(_DEFAULTS)
        self._ram = dict(_DEFAULTS)
        self.eeprom_writes += 1

    def _do_reinit(self, words: tuple[int, ...]) -> None:
        self._forget()
        self.busy(self.reinit_s)

    def _do_serial(self, words: tuple[int, ...]) -> None:
        self.answer(*self.serial)

    def _do_self_test(self, words: tuple[int, ...]) -> None:
        self.answer(0)

    def _do_variant(self, words: tuple[int, ...]) -> None:
        assert self.variant is not None
        self.answer(self.variant)

    def _do_single_shot(self, words: tuple[int, ...]) -> None:
        self._take(self.air)

    def _do_single_shot_rht(self, words: tuple[int, ...]) -> None:
        self._take(self.air, co2=False)

    def _do_power_down(self, words: tuple[int, ...]) -> None:
        self._state = State.SLEEP
