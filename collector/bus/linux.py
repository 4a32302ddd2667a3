"""The real bus: ``/dev/i2c-*`` through smbus2, the only file that opens it.

A write and its read are two ioctls with the pause between them: one combined call would be a
repeated start without the time that the chip needs (smbus2 0.6, ``i2c_rdwr``).
"""

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from smbus2 import SMBus, i2c_msg

from collector.bus import BusError, BusFault, BusGone, BusTimeout, Nack, Operation
from common import clock


class RawBus(Protocol):
    """What is used of ``smbus2.SMBus``."""

    def i2c_rdwr(self, *messages: Any) -> None:
        """Send the messages as one I2C transaction."""

    def close(self) -> None:
        """Close the device."""


_CLASS_BY_ERRNO: dict[int, type[BusError]] = {
    errno.EREMOTEIO: Nack,
    errno.ENXIO: Nack,
    errno.ETIMEDOUT: BusTimeout,
    errno.EIO: BusFault,
    errno.EAGAIN: BusFault,
    errno.EINVAL: BusFault,
    errno.ENODEV: BusGone,
    errno.ENOENT: BusGone,
    errno.EACCES: BusGone,
    errno.EPERM: BusGone,
    errno.EBADF: BusGone,
    errno.ENOTCONN: BusGone,
    errno.ECONNABORTED: BusGone,
    errno.EBUSY: BusGone,
    errno.ENOTTY: BusGone,
    errno.EOPNOTSUPP: BusGone,
}
"""Both maps of the kernel: i2c-bcm2835 (Pi 0 to 4) and i2c-designware (Pi 5) differ in EIO,
EAGAIN and ETIMEDOUT; other numbers count as ``BusFault``. ENOTCONN and ECONNABORTED come from a
node that user space serves (CUSE, FUSE) and whose server is gone."""

_HINT_BY_ERRNO: dict[int, str] = {
    errno.ENOENT: "enable I2C (raspi-config nonint do_i2c 0), then look for /dev/i2c-*; "
    "set [collector] i2c_bus to the bus that the sensors are on",
    errno.ENODEV: "the adapter was removed or its driver unbound; see dmesg",
    errno.EACCES: "the service's user must be in group i2c (SupplementaryGroups=i2c)",
    errno.EPERM: "the service's sandbox must allow the device (DeviceAllow=/dev/i2c-1 rw)",
    errno.EBUSY: "a kernel driver holds the chip; remove its dtoverlay from config.txt",
    errno.ENOTTY: "this is not an I2C device; set [collector] i2c_bus to a bus",
    errno.EOPNOTSUPP: "this adapter knows SMBus only; the sensors need plain I2C",
    errno.EBADF: "the handle is closed; it is opened again by the recovery",
    errno.ENOTCONN: "the server behind the device has gone; it is opened again by the recovery",
    errno.ETIMEDOUT: "a line may be held low: check wiring and supply, then cut the sensors' power",
}


def bus_error(error: OSError, *, where: str, address: int | None, op: Operation) -> BusError:
    """Translate what the kernel said into what the drivers understand.

    Args:
        error: as raised by smbus2.
        where: the bus, for the message.
        address: 7-bit address; ``None`` at open.
        op: part of the transfer.

    Returns:
        The error to raise; never raises itself.
    """
    number = error.errno or errno.EIO
    name = errno.errorcode.get(number, "unknown error")
    chip = "" if address is None else f" 0x{address:02x}"
    kind = _CLASS_BY_ERRNO.get(number, BusFault)
    return kind(
        f"{where}: {op}{chip} failed: {os.strerror(number)} ({name}, errno {number})",
        address=address,
        op=op,
        errno=number,
        hint=_HINT_BY_ERRNO.get(number),
    )


def _open_smbus(path: str) -> RawBus:
    """Open the device; an smbus2 object whose first question fails must not keep its handle."""
    device = SMBus()
    try:
        device.open(path)
    except OSError:
        with suppress(OSError):
            device.close()
        raise
    return device


class LinuxBus:
    """An I2C bus of the kernel.

    Args:
        bus: number N of ``/dev/i2c-N``, or the path of the device.
        pause: waits some milliseconds inside a transfer.
        open_bus: gives the smbus2-like object for a path.

    Raises:
        BusGone: the device is missing or refused; the hint says which.
    """

    def __init__(
        self,
        bus: int | str,
        *,
        pause: Callable[[float], None] = clock.pause,
        open_bus: Callable[[str], RawBus] = _open_smbus,
    ) -> None:
        self.path = f"/dev/i2c-{bus}" if isinstance(bus, int) else bus
        self._pause = pause
        self._open_bus = open_bus
        self._device: RawBus | None = None
        self._open()

    def transfer(self, address: int, write: bytes, read_length: int, pause_s: float) -> bytes:
        """See ``Bus``."""
        if write:
            self._message(address, i2c_msg.write(address, write), Operation.WRITE)
        if pause_s > 0:
            self._pause(pause_s)
        if not read_length:
            return b""
        message = i2c_msg.read(address, read_length)
        self._message(address, message, Operation.READ)
        return bytes(message)

    def reopen(self) -> None:
        """See ``Bus``."""
        self.close()
        self._open()

    def close(self) -> None:
        """See ``Bus``."""
        device, self._device = self._device, None
        if device is not None:
            # A device whose server died answers even close(2) with an error; the descriptor is
            # given back all the same.
            with suppress(OSError):
                device.close()

    def _open(self) -> None:
        """Open the device, or say what is wrong with it."""
        try:
            self._device = self._open_bus(self.path)
        except OSError as error:
            refusal = bus_error(error, where=self.path, address=None, op=Operation.OPEN)
            raise self._as_gone(refusal) from error

    def _message(self, address: int, message: i2c_msg, op: Operation) -> None:
        """Send one message as a transaction of its own."""
        if self._device is None:
            closed = OSError(errno.EBADF, os.strerror(errno.EBADF))
            raise bus_error(closed, where=self.path, address=address, op=op)
        try:
            self._device.i2c_rdwr(message)
        except OSError as error:
            raise bus_error(error, where=self.path, address=address, op=op) from error

    @staticmethod
    def _as_gone(error: BusError) -> BusError:
        """A bus that cannot be opened is gone, whatever the number (ENXIO: no such device)."""
        if isinstance(error, BusGone):
            return error
        return BusGone(str(error), address=None, op=error.op, errno=error.errno, hint=error.hint)
