"""The emulated bus: chips by address, and everything that a real bus does wrong.

It is three things at once, which one conformance suite holds together: a ``Bus`` of the product,
an smbus2-like object on which ``LinuxBus`` runs, and the core of the bus that is a file
(``fuse_bus``).
"""

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from collector.bus import (
    GENERAL_CALL_ADDRESS,
    BusError,
    BusFault,
    BusGone,
    BusTimeout,
    Nack,
    Operation,
)
from common import clock as system_clock
from tests.emulators.chips import BusHung, Chip, NotAcknowledged, flipped

_READ_FLAG: Final = 0x0001

_CLASSES: Final[dict[int, type[BusError]]] = {
    errno.EREMOTEIO: Nack,
    errno.ENXIO: Nack,
    errno.ETIMEDOUT: BusTimeout,
    errno.ENODEV: BusGone,
    errno.EBADF: BusGone,
}


class FaultKind(StrEnum):
    """What can be wrong with the bus."""

    NACK = "nack"
    TIMEOUT = "timeout"
    EIO = "eio"
    CRC = "crc"
    SHORT = "short"
    LOST = "lost"
    SLOW = "slow"
    GONE = "gone"


_ERRNO: Final[dict[FaultKind, int]] = {
    FaultKind.TIMEOUT: errno.ETIMEDOUT,
    FaultKind.EIO: errno.EIO,
    FaultKind.GONE: errno.ENODEV,
}


@dataclass
class Fault:
    """One thing wrong with the bus.

    Attributes:
        kind: what; ``CRC`` flips a bit of what is read, ``SHORT`` delivers its first half only,
            ``LOST`` lets a write reach the chip but fails it all the same, ``SLOW`` takes
            ``seconds`` for each message.
        address: chip that it concerns; ``None``: all.
        times: messages after which it heals; ``None``: never by itself.
        seconds: of ``SLOW``.
        bit: of ``CRC``, 0 is the first sent.
    """

    kind: FaultKind
    address: int | None = None
    times: int | None = None
    seconds: float = 0.0
    bit: int = 5


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it was on the wire.

    Attributes:
        op: ``write`` or ``read``.
        address: 7-bit.
        data: the bytes; of a failed read none.
        errno: 0, or how it failed.
    """

    op: Operation
    address: int
    data: bytes
    errno: int = 0


class EmulatedBus:
    """One bus with its chips.

    Args:
        chips: those on it, each with its own address.
        pause: waits inside a transfer; with a ``ChipTime`` its ``advance``.
        nack_errno: what Linux would say: 121 on a Pi, 6 by the kernel's convention.
        keep_messages: how many of the newest messages ``messages`` holds.
    """

    def __init__(
        self,
        chips: Iterable[Chip],
        *,
        pause: Callable[[float], None] = system_clock.pause,
        nack_errno: int = errno.EREMOTEIO,
        keep_messages: int = 10_000,
    ) -> None:
        self.chips: dict[int, Chip] = {chip.address: chip for chip in chips}
        self.faults: list[Fault] = []
        self.messages: deque[Message] = deque(maxlen=keep_messages)
        self.transfers = 0
        self.reopened = 0
        self.on_message: Callable[[Message], None] | None = None
        self._pause = pause
        self._nack_errno = nack_errno
        self._open = True

    def inject(self, kind: FaultKind, **fault: Any) -> Fault:
        """Make something wrong; see ``Fault`` for the keywords."""
        self.faults.append(Fault(kind, **fault))
        return self.faults[-1]

    def heal(self) -> None:
        """Make everything right again."""
        self.faults.clear()

    @property
    def gone(self) -> bool:
        """Whether the whole bus is away."""
        return any(f.kind is FaultKind.GONE and f.address is None for f in self.faults)

    def transfer(self, address: int, write: bytes, read_length: int, pause_s: float) -> bytes:
        """See ``Bus``."""
        self.transfers += 1
        try:
            if write:
                self.write(address, write)
        except OSError as error:
            raise _product_error(error, address, Operation.WRITE) from error
        if pause_s > 0:
            self._pause(pause_s)
        try:
            return self.read(address, read_length) if read_length else b""
        except OSError as error:
            raise _product_error(error, address, Operation.READ) from error

    def reopen(self) -> None:
        """See ``Bus``."""
        self.reopened += 1
        self._open = False
        if self.gone:
            raise BusGone("bus gone", address=None, op=Operation.OPEN, errno=errno.ENODEV)
        self._open = True

    def close(self) -> None:
        """See ``Bus``."""
        self._open = False

    def i2c_rdwr(self, *messages: Any) -> None:
        """Serve ``smbus2.i2c_msg`` objects; raises ``OSError`` as the kernel would."""
        for message in messages:
            if message.flags & _READ_FLAG:
                data = self.read(message.addr, message.len)
                for index, byte in enumerate(data):
                    message.buf[index] = bytes((byte,))
            else:
                self.write(message.addr, bytes(message))

    def write(self, address: int, data: bytes) -> None:
        """One write message; raises ``OSError``."""
        self._on_wire(Operation.WRITE, address, lambda: self._deliver(address, data), data)

    def read(self, address: int, length: int) -> bytes:
        """One read message; raises ``OSError``."""
        return self._on_wire(Operation.READ, address, lambda: self._fetch(address, length))

    def _on_wire(
        self, op: Operation, address: int, serve: Callable[[], bytes], data: bytes = b""
    ) -> bytes:
        """Let faults and the chip answer, and write down what happened."""
        number = 0
        try:
            self._fail_by_fault(address)
            data = serve()
        except NotAcknowledged:
            number = self._nack_errno
        except BusHung:
            number = errno.ETIMEDOUT
        except OSError as error:
            number = error.errno or errno.EIO
        message = Message(op, address, data, number)
        self.messages.append(message)
        if self.on_message is not None:
            self.on_message(message)
        if number:
            raise OSError(number, os.strerror(number))
        return data

    def _fail_by_fault(self, address: int) -> None:
        if not self._open:
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        for fault in self._take(address, FaultKind.SLOW):
            self._pause(fault.seconds)
        for kind, number in _ERRNO.items():
            if self._take(address, kind):
                raise OSError(number, os.strerror(number))
        if self._take(address, FaultKind.NACK):
            raise NotAcknowledged(f"0x{address:02x}")

    def _take(self, address: int, kind: FaultKind) -> list[Fault]:
        """The faults of a kind that strike this message, each used up by one."""
        struck = [
            fault
            for fault in self.faults
            if fault.kind is kind and fault.address in (None, address) and fault.times != 0
        ]
        for fault in struck:
            if fault.times is not None:
                fault.times -= 1
        return struck

    def _deliver(self, address: int, data: bytes) -> bytes:
        if address == GENERAL_CALL_ADDRESS:
            for chip in self.chips.values():
                chip.general_call(data)
        else:
            self._chip(address).write(data)
        if self._take(address, FaultKind.LOST):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return data

    def _fetch(self, address: int, length: int) -> bytes:
        data = self._chip(address).read(length)
        for fault in self._take(address, FaultKind.CRC):
            data = flipped(data, fault.bit)
        for _ in self._take(address, FaultKind.SHORT):
            data = data[: length // 2].ljust(length, b"\x00")
        return data

    def _chip(self, address: int) -> Chip:
        chip = self.chips.get(address)
        if chip is None:
            raise NotAcknowledged(f"0x{address:02x}")
        return chip


def _product_error(error: OSError, address: int, op: Operation) -> BusError:
    """The product's error, told apart here by a table that is not the product's."""
    number = error.errno or errno.EIO
    kind = _CLASSES.get(number, BusFault)
    return kind(
        f"emulated bus: {op} 0x{address:02x}: {error}", address=address, op=op, errno=number
    )
