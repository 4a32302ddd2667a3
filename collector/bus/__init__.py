"""The I2C bus as the drivers see it: one verb, and errors that say who was at fault.

Constraints: a driver never sees an ``OSError``; whoever implements ``Bus`` translates at its edge.
Linux does not tell an unacknowledged address from an unacknowledged byte, so neither does ``Nack``.
"""

from enum import StrEnum
from typing import Protocol

from common.errors import ExitCode, ThermalError

GENERAL_CALL_ADDRESS = 0x00
"""Writes to this address reach every chip that honours it (I2C specification 3.1.13)."""


class Operation(StrEnum):
    """The part of a transfer that failed; ``OPEN`` when the bus itself could not be had."""

    OPEN = "open"
    WRITE = "write"
    READ = "read"


class BusError(ThermalError):
    """Base of everything that goes wrong between the process and the chip.

    Args:
        message: what failed, with bus, address and error number.
        address: 7-bit address of the chip; ``None`` when no chip was addressed.
        op: which part of the transfer.
        errno: number that the kernel gave.
        hint: what a person can do; ``None`` when the next retry is the remedy.
    """

    exit_code = ExitCode.UNAVAILABLE

    def __init__(
        self,
        message: str,
        *,
        address: int | None,
        op: Operation,
        errno: int,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.address = address
        self.op = op
        self.errno = errno


class Nack(BusError):
    """The address or a byte was not acknowledged: the chip is busy, asleep or absent."""


class BusTimeout(BusError):
    """The transfer never completed: a line is held low or the controller is stuck.

    Costs up to a second of the whole bus each time (the adapter's timeout on Linux).
    """


class BusFault(BusError):
    """The transfer failed in another way (clock stretching, arbitration); worth one retry."""


class BusGone(BusError):
    """The device node is missing, refused or was replaced; only reopening or an edit can help."""


class Bus(Protocol):
    """One I2C bus. Not for use by two threads at once: a chip holds one pending answer."""

    def transfer(self, address: int, write: bytes, read_length: int, pause_s: float) -> bytes:
        """Do one addressed write and/or read, with a pause between them.

        Args:
            address: 7-bit address of the chip, or ``GENERAL_CALL_ADDRESS`` for a write.
            write: bytes to send; empty: no write phase.
            read_length: bytes to read; 0: no read phase, the pause then follows the write.
            pause_s: seconds; with neither write nor read, the pause is all that happens.

        Returns:
            Exactly ``read_length`` bytes as they came, CRCs included.

        Raises:
            Nack: nobody acknowledged, in the write or in the read.
            BusTimeout: the bus is locked up.
            BusFault: another failure of this one transfer.
            BusGone: there is no bus any more.
        """

    def reopen(self) -> None:
        """Close the handle and open it anew; drops stale handles, resets nothing in hardware.

        Raises:
            BusGone: it cannot be opened; ``transfer`` then raises ``BusGone`` until it can.
        """

    def close(self) -> None:
        """Give the handle back; harmless when it is already closed."""
