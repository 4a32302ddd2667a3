"""Talks to one emulated chip, byte by byte."""

from collections.abc import Callable

from tests.emulators.chips import ChipTime, CommandChip, NotAcknowledged
from tests.emulators.environment import StillAir


class Master:
    """Talks to one chip, waiting or not."""

    def __init__(self, make: Callable[..., CommandChip]) -> None:
        self.time = ChipTime()
        self.air = StillAir()
        self.chip = make(self.time, self.air)
        self.time.advance(1.0)

    def ask(self, written: str, length: int = 0, wait_s: float = 0.02) -> str:
        """Write hexadecimal, wait, read; the answer in hexadecimal."""
        self.chip.write(bytes.fromhex(written))
        self.time.advance(wait_s)
        return self.chip.read(length).hex() if length else ""

    def refuses(self, written: str) -> bool:
        """Whether a write is not acknowledged."""
        try:
            self.chip.write(bytes.fromhex(written))
        except NotAcknowledged:
            return True
        return False
