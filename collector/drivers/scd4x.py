"""Sensirion SCD40, SCD41 and SCD43: CO2, temperature and humidity, periodic mode.

Datasheet v1.7 (April 2025). Rules of this driver:

- The chip shows no state, so one is forced on it at every start: wake up, stop, reinit. It may
  still be measuring from the process before, since a reboot of a Pi does not cut its power.
- Start is never sent twice without a stop between: that has hung the bus until a power cycle
  (pimoroni-pico issue 338).
- A measurement is read only after the chip said that it has one, and never again after an error:
  the read empties the buffer (§3.6.2).
- Nothing here writes the EEPROM (2000 writes, §3.10.1): persist_settings, factory reset and
  recalibration are not among the commands.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from collector.bus import Bus, Nack
from collector.drivers import WAIT_MARGIN_S, NoData, Step, UnexpectedChip
from collector.drivers.scd4x_words import (
    CO2_COLUMN,
    HUMIDITY_COLUMN,
    NAME,
    TEMPERATURE_COLUMN,
    ambient_pressure_word,
    data_ready,
    measurement,
    serial_number,
    temperature_offset_word,
    variant_name,
)
from collector.drivers.sensirion import ChecksumMismatch, Command, execute

ADDRESS: Final = 0x62

START_PERIODIC_MEASUREMENT = Command(0x21B1)
READ_MEASUREMENT = Command(0xEC05, words_in=3, execution_s=0.001)
STOP_PERIODIC_MEASUREMENT = Command(0x3F86, execution_s=0.5)
SET_TEMPERATURE_OFFSET = Command(0x241D, words_out=1, execution_s=0.001)
SET_AMBIENT_PRESSURE = Command(0xE000, words_out=1, execution_s=0.001)
GET_DATA_READY_STATUS = Command(0xE4B8, words_in=1, execution_s=0.001)
GET_SERIAL_NUMBER = Command(0x3682, words_in=3, execution_s=0.001)
REINIT = Command(0x3646, execution_s=0.03)
GET_SENSOR_VARIANT = Command(0x202F, words_in=1, execution_s=0.001)
WAKE_UP = Command(0x36F6, execution_s=0.03)

_PRESSURE_STEP_PA: Final = 100.0
_INTERVALS_WITHOUT_DATA: Final = 3
_SETTLE_S: Final = 1.0
"""How long a chip may take to answer after a reinit: 30 ms since v1.4, 1000 ms before."""
_SETTLE_POLL_S: Final = 0.1


class Scd4x:
    """One SCD4x on a bus.

    Args:
        bus: where it is.
        poll_s: seconds between two questions whether a measurement is ready.
        interval_s: the chip's own interval; it drifts against the host's clock, hence the polls.
        temperature_offset_c: self-heating to subtract, 0 to 20 °C, kept in RAM and written after
            each start; ``None`` leaves what the chip's EEPROM says.

    Raises:
        ConfigError: the offset is out of bounds.
    """

    name: Final = NAME
    columns: Final = (CO2_COLUMN, TEMPERATURE_COLUMN, HUMIDITY_COLUMN)

    def __init__(
        self,
        bus: Bus,
        *,
        poll_s: float = 1.0,
        interval_s: float = 5.0,
        temperature_offset_c: float | None = None,
    ) -> None:
        self._bus = bus
        self._poll_s = poll_s
        self._interval_s = interval_s
        self._offset_word = (
            None if temperature_offset_c is None else temperature_offset_word(temperature_offset_c)
        )
        self._pressure_pa: float | None = None
        self._pressure_sent_pa: float | None = None
        self._settled_by_s = 0.0
        self._last_data_s = 0.0
        self._description = ""
        self._next: Callable[[float], Step] = self._wake_up

    @property
    def ambient_pressure_pa(self) -> float | None:
        """Pressure of the air, pascals; ``None``: unknown, the chip uses its own default."""
        return self._pressure_pa

    @ambient_pressure_pa.setter
    def ambient_pressure_pa(self, value: float | None) -> None:
        self._pressure_pa = value if value is not None and math.isfinite(value) else None

    @property
    def description(self) -> str:
        """Variant and serial number as read at the last start; empty before it."""
        return self._description

    def probe(self) -> str:
        """See ``Chip``; a measuring chip answers nothing but whether it has data (§3.6)."""
        with suppress(Nack):
            return self._identify()
        try:
            self._question(GET_DATA_READY_STATUS)
            return "SCD4x, measuring"
        except Nack:
            self._send_unacknowledged(WAKE_UP)
            self._bus.transfer(ADDRESS, b"", 0, WAKE_UP.execution_s)
            return self._identify()

    def reset(self) -> None:
        """See ``Chip``."""
        self._next = self._wake_up

    def step(self, now_s: float) -> Step:
        """See ``Chip``."""
        return self._next(now_s)

    def _identify(self) -> str:
        """Serial number and variant; only an idle chip tells them."""
        serial = serial_number(self._question(GET_SERIAL_NUMBER))
        return f"{self._variant()} serial {serial:012x}"

    def _variant(self) -> str:
        """Product name; a chip from before v1.6 of the datasheet may not know the question."""
        try:
            return variant_name(self._question(GET_SENSOR_VARIANT)[0])
        except Nack:
            return "SCD40"

    def _question(self, command: Command) -> tuple[int, ...]:
        """Ask who is there, twice if the answer is damaged, since nothing is lost by it."""
        with suppress(ChecksumMismatch):
            return execute(self._bus, ADDRESS, command)
        try:
            return execute(self._bus, ADDRESS, command)
        except ChecksumMismatch as error:
            raise UnexpectedChip(
                f"the chip at 0x{ADDRESS:02x} does not answer in the words of an SCD4x: {error}",
                hint="look for another device at this address (some pH and ORP probes use it)",
            ) from error

    def _send_unacknowledged(self, command: Command) -> None:
        """Send what a chip never acknowledges (wake_up, §3.11.4) or need not (stop when idle)."""
        with suppress(Nack):
            execute(self._bus, ADDRESS, command)

    def _wake_up(self, now_s: float) -> Step:
        self._send_unacknowledged(WAKE_UP)
        self._next = self._stop
        return Step(WAKE_UP.execution_s + WAIT_MARGIN_S)

    def _stop(self, now_s: float) -> Step:
        self._send_unacknowledged(STOP_PERIODIC_MEASUREMENT)
        self._next = self._reinit
        return Step(STOP_PERIODIC_MEASUREMENT.execution_s + WAIT_MARGIN_S)

    def _reinit(self, now_s: float) -> Step:
        execute(self._bus, ADDRESS, REINIT)
        self._settled_by_s = now_s + _SETTLE_S
        self._next = self._read_serial
        return Step(WAIT_MARGIN_S)

    def _read_serial(self, now_s: float) -> Step:
        try:
            words = execute(self._bus, ADDRESS, GET_SERIAL_NUMBER)
        except Nack:
            if now_s < self._settled_by_s:
                return Step(_SETTLE_POLL_S)
            raise
        self._description = f"serial {serial_number(words):012x}"
        self._next = self._read_variant
        return Step(0.0)

    def _read_variant(self, now_s: float) -> Step:
        self._description = f"{self._variant()} {self._description}"
        self._next = self._start if self._offset_word is None else self._write_offset
        return Step(0.0)

    def _write_offset(self, now_s: float) -> Step:
        assert self._offset_word is not None
        execute(self._bus, ADDRESS, SET_TEMPERATURE_OFFSET, self._offset_word)
        self._next = self._start
        return Step(0.0)

    def _start(self, now_s: float) -> Step:
        self._next = self._stop
        execute(self._bus, ADDRESS, START_PERIODIC_MEASUREMENT)
        self._pressure_sent_pa = None
        self._last_data_s = now_s
        self._next = self._poll
        return Step(0.0 if self._pressure_due() else self._poll_s)

    def _pressure_due(self) -> bool:
        """Whether the pressure moved by 1 hPa, or was not told since the start (§3.7.5)."""
        wanted, sent = self._pressure_pa, self._pressure_sent_pa
        if wanted is None:
            return False
        return sent is None or abs(wanted - sent) >= _PRESSURE_STEP_PA

    def _poll(self, now_s: float) -> Step:
        """Tell the pressure if it moved, else ask for data."""
        if self._pressure_due():
            assert self._pressure_pa is not None
            pressure_pa = self._pressure_pa
            word = ambient_pressure_word(pressure_pa)
            execute(self._bus, ADDRESS, SET_AMBIENT_PRESSURE, word)
            self._pressure_sent_pa = pressure_pa
            return Step(0.0)
        if data_ready(execute(self._bus, ADDRESS, GET_DATA_READY_STATUS)[0]):
            self._next = self._read
            return Step(0.0)
        silence_s = now_s - self._last_data_s
        if silence_s > _INTERVALS_WITHOUT_DATA * self._interval_s:
            raise NoData(
                f"SCD4x has had no measurement for {silence_s:.0f} s, expected one every "
                f"{self._interval_s:g} s",
                hint="it may have lost power for a moment: it draws peaks of 205 mA",
            )
        return Step(self._poll_s)

    def _read(self, now_s: float) -> Step:
        self._next = self._poll
        words = execute(self._bus, ADDRESS, READ_MEASUREMENT)
        self._last_data_s = now_s
        return Step(self._poll_s, measurement(words))
