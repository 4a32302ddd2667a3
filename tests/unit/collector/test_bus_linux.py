"""LinuxBus: what it sends to smbus2, and what it makes of the kernel's error numbers."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from collector.bus import BusError, BusFault, BusGone, BusTimeout, Nack, Operation
from collector.bus.linux import LinuxBus

CLASSES = {
    errno.EREMOTEIO: Nack,
    errno.ENXIO: Nack,
    errno.ETIMEDOUT: BusTimeout,
    errno.EIO: BusFault,
    errno.EAGAIN: BusFault,
    errno.EINVAL: BusFault,
    errno.EOVERFLOW: BusFault,
    errno.EOPNOTSUPP: BusGone,
    errno.EBUSY: BusGone,
    errno.ENODEV: BusGone,
    errno.ENOENT: BusGone,
    errno.EACCES: BusGone,
    errno.EPERM: BusGone,
    errno.EBADF: BusGone,
    errno.ENOTCONN: BusGone,
    errno.ECONNABORTED: BusGone,
}


class RecordingDevice:
    """An smbus2-like object that keeps what it was given, and fails when told."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.fail: dict[str, int] = {}
        self.closed = 0

    def i2c_rdwr(self, *messages: Any) -> None:
        """Take messages; fill reads with 0xA5."""
        for message in messages:
            phase = "read" if message.flags & 1 else "write"
            if phase in self.fail:
                raise OSError(self.fail[phase], os.strerror(self.fail[phase]))
            self.log.append((phase, message.addr, bytes(message) if phase == "write" else b""))
            for index in range(message.len if phase == "read" else 0):
                message.buf[index] = b"\xa5"

    def close(self) -> None:
        """Count."""
        self.closed += 1


@pytest.fixture
def device() -> RecordingDevice:
    """What the bus runs on."""
    return RecordingDevice()


@pytest.fixture
def bus(device: RecordingDevice) -> LinuxBus:
    """A bus on it that writes its pauses between the messages."""
    return LinuxBus(
        1, pause=lambda s: device.log.append(("pause", s)), open_bus=lambda path: device
    )


def test_write_and_read_are_two_transactions_with_the_pause_between(
    bus: LinuxBus, device: RecordingDevice
) -> None:
    """The chip gets its time between the STOP of the write and the read."""
    assert bus.transfer(0x62, b"\xec\x05", 3, 0.001) == b"\xa5\xa5\xa5"
    assert device.log == [("write", 0x62, b"\xec\x05"), ("pause", 0.001), ("read", 0x62, b"")]


def test_each_part_of_a_transfer_can_be_left_out(bus: LinuxBus, device: RecordingDevice) -> None:
    """Write and pause, read alone, and a pure pause are transfers too."""
    bus.transfer(0x58, b"\x20\x03", 0, 0.01)
    bus.transfer(0x58, b"", 1, 0.0)
    bus.transfer(0x58, b"", 0, 0.03)
    assert device.log == [
        ("write", 0x58, b"\x20\x03"), ("pause", 0.01), ("read", 0x58, b""), ("pause", 0.03),
    ]  # fmt: skip


@pytest.mark.parametrize("phase", ["write", "read"])
@pytest.mark.parametrize(("number", "kind"), CLASSES.items())
def test_every_error_number_has_its_class(
    bus: LinuxBus, device: RecordingDevice, number: int, kind: type[BusError], phase: str
) -> None:
    """Both error maps of the Pi's controllers, in either phase, with address and name told."""
    device.fail[phase] = number
    with pytest.raises(BusError) as caught:
        bus.transfer(0x63, b"\x80\x5d", 3, 0.0)
    error = caught.value
    assert type(error) is kind
    assert (error.address, error.op, error.errno) == (0x63, Operation(phase), number)
    assert "/dev/i2c-1" in str(error)
    assert errno.errorcode[number] in str(error)
    assert "0x63" in str(error)


def test_a_failed_write_neither_pauses_nor_reads(bus: LinuxBus, device: RecordingDevice) -> None:
    """After a NACK of the command there is no answer to wait for."""
    device.fail["write"] = errno.EREMOTEIO
    with pytest.raises(Nack):
        bus.transfer(0x63, b"\x80\x5d", 3, 0.5)
    assert device.log == []


def test_every_refusal_that_a_person_can_mend_says_how(
    bus: LinuxBus, device: RecordingDevice
) -> None:
    """ENOENT, EACCES, EBUSY and their like carry a hint of their own."""
    hints = set()
    mendable = [n for n, kind in CLASSES.items() if kind is BusGone and n != errno.ECONNABORTED]
    for number in mendable:
        device.fail["write"] = number
        with pytest.raises(BusGone) as caught:
            bus.transfer(0x62, b"\x36\xf6", 0, 0.0)
        hints.add(caught.value.hint)
    assert None not in hints
    assert len(hints) == len(mendable)


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.ENXIO, errno.EIO])
def test_a_bus_that_cannot_be_opened_is_gone(number: int) -> None:
    """Whatever the number, opening never ends in a Nack: no chip was asked."""

    def refuse(path: str) -> Any:
        raise OSError(number, os.strerror(number))

    with pytest.raises(BusGone) as caught:
        LinuxBus(7, open_bus=refuse)
    assert caught.value.op is Operation.OPEN
    assert caught.value.address is None
    assert "/dev/i2c-7" in str(caught.value)


def test_a_missing_device_and_a_plain_file_are_told_apart(tmp_path: Path) -> None:
    """Real opens: ENOENT asks to enable I2C, ENOTTY says that the file is no bus."""
    plain = tmp_path / "plain"
    plain.touch()
    with pytest.raises(BusGone, match="ENOENT") as missing:
        LinuxBus(str(tmp_path / "i2c-9"))
    with pytest.raises(BusGone, match="ENOTTY") as wrong:
        LinuxBus(str(plain))
    assert missing.value.hint is not None
    assert "raspi-config" in missing.value.hint
    assert wrong.value.hint is not None
    assert "not an I2C device" in wrong.value.hint


def test_a_refused_open_keeps_no_handle(tmp_path: Path) -> None:
    """A collector that retries for days must not run out of descriptors."""
    plain = tmp_path / "plain"
    plain.touch()
    before = _open_descriptors()
    for _ in range(5):
        with pytest.raises(BusGone):
            LinuxBus(str(plain))
    assert _open_descriptors() == before


def _open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_reopen_closes_first_and_a_closed_bus_is_gone() -> None:
    """The old handle is given back; between a failed reopen and the next, transfers say EBADF."""
    devices: list[RecordingDevice] = []

    def open_bus(path: str) -> RecordingDevice:
        if len(devices) == 2:
            raise OSError(errno.ENOENT, "gone")
        devices.append(RecordingDevice())
        return devices[-1]

    bus = LinuxBus("/dev/i2c-1", open_bus=open_bus)
    bus.reopen()
    assert [d.closed for d in devices] == [1, 0]
    with pytest.raises(BusGone):
        bus.reopen()
    assert [d.closed for d in devices] == [1, 1]
    with pytest.raises(BusGone) as caught:
        bus.transfer(0x62, b"\xe4\xb8", 3, 0.001)
    assert caught.value.errno == errno.EBADF
    bus.close()
    bus.close()
    assert [d.closed for d in devices] == [1, 1]


def test_a_handle_that_cannot_be_closed_does_not_stop_a_reopen() -> None:
    """A device whose server died answers even close with ENOTCONN."""

    class Dead(RecordingDevice):
        def close(self) -> None:
            raise OSError(errno.ENOTCONN, os.strerror(errno.ENOTCONN))

    devices: list[RecordingDevice] = [Dead(), RecordingDevice()]
    bus = LinuxBus(1, open_bus=lambda path: devices.pop(0))
    bus.reopen()
    assert bus.transfer(0x62, b"", 1, 0.0) == b"\xa5"
