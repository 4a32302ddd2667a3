"""Emulated Sensirion SGP30, after datasheet v1.0.

Where the datasheet is silent: measure_iaq without iaq_init answers 400 and 0 and is counted as a
violation; get_iaq_baseline answers 0, 0 when asleep and until 15 s after iaq_init; a read with
nothing pending is not acknowledged.
"""

import math
from collections.abc import Callable
from enum import StrEnum
from typing import Final

from tests.emulators.chips import CommandChip, arguments
from tests.emulators.environment import Environment

ADDRESS: Final = 0x58
WARM_UP_S: Final = 15.0

EXECUTION_S: Final[dict[int, float]] = {
    0x2003: 0.010,
    0x2008: 0.012,
    0x2015: 0.010,
    0x201E: 0.010,
    0x2061: 0.010,
    0x2032: 0.220,
    0x202F: 0.010,
    0x2050: 0.025,
    0x20B3: 0.010,
    0x2077: 0.010,
    0x3682: 0.0005,
}
_ECO2_STEPS: Final = ((1479, 1), (5144, 3), (17_597, 9), (60_000, 31))
_TVOC_STEPS: Final = ((2008, 1), (11_110, 6), (60_000, 32))


class State(StrEnum):
    """What the chip is doing."""

    SLEEP = "sleep"
    IAQ = "iaq"


def quantised(value: float, low: int, steps: tuple[tuple[int, int], ...]) -> int:
    """The value in the chip's growing steps (§1.2)."""
    base = low
    for top, step in steps:
        if value <= top:
            return base + round(max(0.0, value - base) / step) * step
        base = top
    return steps[-1][0]


class Sgp30Chip(CommandChip):
    """One SGP30.

    Args:
        clock: the chip's seconds.
        environment: the air.
        feature_set: word that 0x202F answers.
        serial: three words.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        environment: Environment,
        *,
        feature_set: int = 0x0022,
        serial: tuple[int, int, int] = (0x0000, 0x0112, 0x7BF2),
    ) -> None:
        super().__init__(ADDRESS, clock, environment, power_up_s=0.0006)
        self.feature_set = feature_set
        self.serial = serial
        self.self_test_word = 0xD400
        self.saturated = False
        """Fault: answers 60000 and 60000, as in solvent vapour."""
        self.baseline_warm_up_s = WARM_UP_S
        """Knob: until then get_iaq_baseline answers 0, 0."""
        self.gaps_s: list[float] = []
        """Every time between two measure_iaq, seconds."""
        self.inits = 0
        self.baselines_set: list[tuple[int, int]] = []
        """Each (eCO2, TVOC) that was set."""
        self.humidity_words: list[int] = []
        self._forget()

    @property
    def state(self) -> State:
        """What it is doing."""
        return self._state

    @property
    def humidity_word(self) -> int:
        """The compensation in use; 0: off."""
        return self._humidity

    @property
    def irregular_gaps(self) -> int:
        """How many measurements did not follow the one before after 0.9 to 1.1 s."""
        return sum(not 0.9 <= gap <= 1.1 for gap in self.gaps_s)

    def power_cycle(self) -> None:
        """See ``Chip``."""
        super().power_cycle()
        self._forget()

    def general_call(self, data: bytes) -> None:
        """Byte 0x06 resets (§6.4)."""
        if data == b"\x06":
            self.power_cycle()

    def execute(self, code: int, data: bytes) -> None:
        """See ``CommandChip``; arguments with a wrong checksum are not accepted (§6)."""
        seconds = EXECUTION_S.get(code)
        if seconds is None:
            self.violate(f"unknown command {code:04x}")
        words = arguments(data)
        if words is None:
            self.counters.violations.append(f"bad argument of {code:04x}: {data.hex()}")
            return
        self.busy(seconds)
        self._handlers()[code](*words)

    def _handlers(self) -> dict[int, Callable[..., None]]:
        return {
            0x2003: self._iaq_init,
            0x2008: self._measure_iaq,
            0x2015: lambda: self.answer(*self._current_baseline()),
            0x201E: self._set_baseline,
            0x2061: self._set_humidity,
            0x2032: self._self_test,
            0x202F: lambda: self.answer(self.feature_set),
            0x2050: lambda: self.answer(0x3319, 0x43F8),
            0x20B3: lambda: self.answer(0),
            0x2077: lambda word: None,
            0x3682: lambda: self.answer(*self.serial),
        }

    def _forget(self) -> None:
        """What is lost with the power."""
        self._state = State.SLEEP
        self._init_at_s = math.inf
        self._measured_at_s: float | None = None
        self._baseline = (0, 0)
        self._humidity = 0

    def _iaq_init(self) -> None:
        self._forget()
        self._state = State.IAQ
        self._init_at_s = self.clock()
        self.inits += 1

    def _measure_iaq(self) -> None:
        now = self.clock()
        if self._measured_at_s is not None:
            self.gaps_s.append(now - self._measured_at_s)
        self._measured_at_s = now
        if self._state is not State.IAQ:
            self.counters.violations.append("measure_iaq before iaq_init")
        if now < self._init_at_s + WARM_UP_S:
            self.answer(400, 0)
        elif self.saturated:
            self.answer(60_000, 60_000)
        else:
            air = self.air
            self.answer(
                quantised(max(400.0, air.eco2_ppm), 400, _ECO2_STEPS),
                quantised(air.tvoc_ppb, 0, _TVOC_STEPS),
            )

    def _current_baseline(self) -> tuple[int, int]:
        """(eCO2, TVOC): as set, or learned by and by once warm."""
        if self._baseline != (0, 0):
            return self._baseline
        learned_s = self.clock() - self._init_at_s - self.baseline_warm_up_s
        if learned_s < 0:
            return (0, 0)
        moved = int(learned_s / 600) % 256
        return (0x8973 + moved, 0x8AAE + moved)

    def _set_baseline(self, tvoc: int, eco2: int) -> None:
        """Takes TVOC first, although get answers eCO2 first (§6.3)."""
        if self._state is not State.IAQ:
            self.counters.violations.append("set_iaq_baseline before iaq_init")
        self._baseline = (eco2, tvoc)
        self.baselines_set.append((eco2, tvoc))

    def _set_humidity(self, word: int) -> None:
        self._humidity = word
        self.humidity_words.append(word)

    def _self_test(self) -> None:
        if self._state is State.IAQ:
            self.counters.violations.append("measure_test after iaq_init")
        self._forget()
        self.answer(self.self_test_word)
