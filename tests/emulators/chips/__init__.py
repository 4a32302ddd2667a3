"""What the emulated chips share: time, acknowledgement, words with checksums, fault knobs.

The checksum here is written apart from the product's (a table, not a loop), so that a mistake in
one shows against the other.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Never, Protocol

from tests.emulators.environment import Air, Environment

WORD_FRAME: Final = 3


class NotAcknowledged(Exception):
    """The chip leaves the line high after an address or a byte."""


class BusHung(Exception):
    """The chip holds a line low; nothing on the bus works until its power is cut."""


class ChipTime:
    """Seconds that only tests move; also usable as the ``pause`` of a bus."""

    def __init__(self, now_s: float = 1000.0) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        """The time now, seconds."""
        return self.now_s

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.now_s += seconds


class HurriedClock:
    """The machine's monotonic clock, running faster.

    Args:
        speed: chip seconds per real second.
    """

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._start_s = time.monotonic()

    def __call__(self) -> float:
        """Chip seconds since it was made."""
        return (time.monotonic() - self._start_s) * self._speed


def _table() -> tuple[int, ...]:
    rows = []
    for index in range(256):
        row = index
        for _ in range(8):
            row = (row << 1) ^ (0x131 if row & 0x80 else 0)
        rows.append(row)
    return tuple(rows)


_CRC_TABLE: Final = _table()


def crc(data: bytes) -> int:
    """CRC-8, polynomial 0x31, initial 0xFF."""
    value = 0xFF
    for byte in data:
        value = _CRC_TABLE[value ^ byte]
    return value


def frame(*words: int) -> bytes:
    """Words as a chip sends them, each with its checksum."""
    parts = (word.to_bytes(2, "big") for word in words)
    return b"".join(part + bytes((crc(part),)) for part in parts)


def arguments(data: bytes) -> tuple[int, ...] | None:
    """Words of an argument list; ``None`` when a checksum or the length is wrong."""
    if len(data) % WORD_FRAME:
        return None
    parts = [data[at : at + WORD_FRAME] for at in range(0, len(data), WORD_FRAME)]
    if any(crc(part[:2]) != part[2] for part in parts):
        return None
    return tuple(int.from_bytes(part[:2], "big") for part in parts)


@dataclass
class Counters:
    """What a chip noticed about its master; tests assert on it.

    Attributes:
        nacks: headers and bytes not acknowledged.
        busy_nacks: those because a command was still executing.
        violations: what the datasheet forbids or leaves open, in words.
    """

    nacks: int = 0
    busy_nacks: int = 0
    violations: list[str] = field(default_factory=list)


class Chip(Protocol):
    """A chip as the emulated bus sees it."""

    address: int

    def write(self, data: bytes) -> None:
        """Take one write message; raises ``NotAcknowledged`` or ``BusHung``."""

    def read(self, length: int) -> bytes:
        """Give the bytes of one read message; raises ``NotAcknowledged`` or ``BusHung``."""

    def general_call(self, data: bytes) -> None:
        """Take a write to address 0; a chip that does not honour it ignores it."""

    def power_cycle(self) -> None:
        """Supply off and on."""


class CommandChip(ABC):
    """A chip that takes 16-bit commands and answers once.

    Args:
        address: 7-bit address.
        clock: the chip's own seconds.
        environment: the air around it.
        power_up_s: time from supply to the first acknowledgement.
    """

    def __init__(
        self,
        address: int,
        clock: Callable[[], float],
        environment: Environment,
        *,
        power_up_s: float,
    ) -> None:
        self.address = address
        self.clock = clock
        self.environment = environment
        self.counters = Counters()
        self.nack_next = 0
        """Fault: leave this many further headers unacknowledged."""
        self.flip_bit: int | None = None
        """Fault: invert this bit (0 is the first sent) of the next answer."""
        self._power_up_s = power_up_s
        self._busy_until_s = clock() + power_up_s
        self._answer: bytes | None = None

    @property
    def air(self) -> Air:
        """The air at this moment."""
        return self.environment.air(self.clock())

    def write(self, data: bytes) -> None:
        """See ``Chip``."""
        self._acknowledge_header(data)
        if not data:
            return
        if len(data) < 2:
            self.violate(f"short command {data.hex()}")
        self._answer = None
        self.execute(int.from_bytes(data[:2], "big"), data[2:])

    def read(self, length: int) -> bytes:
        """See ``Chip``; bytes beyond the answer come as ones, as from a line nobody drives."""
        self._acknowledge_header(b"")
        answer, self._answer = self._answer, None
        if answer is None:
            self.nack()
        if self.flip_bit is not None:
            answer = flipped(answer, self.flip_bit)
            self.flip_bit = None
        return answer[:length].ljust(length, b"\xff")

    def general_call(self, data: bytes) -> None:  # noqa: B027 - most chips ignore it
        """See ``Chip``."""

    def power_cycle(self) -> None:
        """See ``Chip``."""
        self._busy_until_s = self.clock() + self._power_up_s
        self._answer = None

    @abstractmethod
    def execute(self, code: int, data: bytes) -> None:
        """Carry a command out; ``data`` are its argument bytes."""

    def busy(self, seconds: float) -> None:
        """Acknowledge nothing for this long."""
        self._busy_until_s = self.clock() + seconds

    def answer(self, *words: int) -> None:
        """Have these words ready for the next read."""
        self._answer = frame(*words)

    def nack(self) -> Never:
        """Leave the line high."""
        self.counters.nacks += 1
        raise NotAcknowledged(f"0x{self.address:02x}")

    def violate(self, what: str) -> Never:
        """Note what the master did wrong, and leave the line high."""
        self.counters.violations.append(what)
        self.nack()

    def wakes(self, data: bytes) -> bool:
        """Whether the bytes act although they are never acknowledged."""
        return False

    def _acknowledge_header(self, data: bytes) -> None:
        if self.nack_next:
            self.nack_next -= 1
            self.nack()
        if self.wakes(data):
            self.nack()
        if self.clock() < self._busy_until_s:
            self.counters.busy_nacks += 1
            self.nack()


def flipped(data: bytes, bit: int) -> bytes:
    """The bytes with one bit inverted, counted from the first sent; beyond the end it wraps."""
    damaged = bytearray(data)
    damaged[bit // 8 % len(damaged)] ^= 0x80 >> bit % 8
    return bytes(damaged)
