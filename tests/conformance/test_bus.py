"""One suite over every bus: emulated, LinuxBus on emulated smbus2, LinuxBus on a file.

The third is what the kernel would do for an unmodified smbus2 in a process of its own; where FUSE
cannot be had it is skipped, and the reason is said.
"""

import errno
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.bus import BusError, BusFault, BusGone, BusTimeout, Nack, Operation
from collector.drivers import Chip, Measurement
from collector.drivers.icp10125 import Icp10125
from collector.drivers.scd4x import Scd4x
from collector.drivers.sensirion import ChecksumMismatch, decode_words
from collector.drivers.sgp30 import Sgp30
from tests.conformance.bus_benches import BENCHES, Bench

SERIAL, READY, ID = b"\x36\x82", b"\xe4\xb8", b"\xef\xc8"
EXECUTION_S = 0.002
POWER_UP_S = 0.01


@pytest.fixture(params=BENCHES)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    """Each bus in its turn."""
    with BENCHES[request.param](tmp_path) as ready:
        ready.bus.transfer(0x00, b"", 0, POWER_UP_S)
        yield ready


def test_write_pause_read(bench: Bench) -> None:
    """A command and its answer, checksums included."""
    frame = bench.bus.transfer(0x62, SERIAL, 9, EXECUTION_S)
    assert decode_words(frame, 3) == (0xF896, 0x9F07, 0x3BBE)
    assert decode_words(bench.bus.transfer(0x63, ID, 3, 0.0), 1) == (0x0048,)


def test_write_alone_then_read_alone(bench: Bench) -> None:
    """Both halves of a transfer are transfers too, and the pause follows the write."""
    assert bench.bus.transfer(0x62, SERIAL, 0, EXECUTION_S) == b""
    assert bench.bus.transfer(0x62, b"", 9, 0.0)[:3].hex() == "f89631"


def test_a_pure_pause_touches_no_chip(bench: Bench) -> None:
    """Neither write nor read: even an absent address cannot refuse."""
    began_s = time.monotonic()
    assert bench.bus.transfer(0x11, b"", 0, 0.02) == b""
    assert time.monotonic() - began_s >= 0.02


def test_more_bytes_than_the_chip_has_are_ones(bench: Bench) -> None:
    """Exactly as many bytes as asked come back."""
    frame = bench.bus.transfer(0x63, ID, 40, 0.0)
    assert len(frame) == 40
    assert frame[3:] == b"\xff" * 37


def test_an_absent_chip_is_a_nack_of_the_write(bench: Bench) -> None:
    """The error names address and phase."""
    with pytest.raises(Nack) as caught:
        bench.bus.transfer(0x40, b"\x00\x01", 3, 0.0)
    assert (caught.value.address, caught.value.op) == (0x40, Operation.WRITE)


def test_an_answer_that_is_not_there_is_a_nack_of_the_read(bench: Bench) -> None:
    """Reading the same answer twice is refused in the read phase."""
    bench.bus.transfer(0x63, ID, 3, 0.0)
    with pytest.raises(Nack) as caught:
        bench.bus.transfer(0x63, b"", 3, 0.0)
    assert (caught.value.address, caught.value.op) == (0x63, Operation.READ)


@pytest.mark.parametrize(
    ("words", "kind", "number"),
    [
        ("nack", Nack, errno.EREMOTEIO),
        ("timeout", BusTimeout, errno.ETIMEDOUT),
        ("eio", BusFault, errno.EIO),
        ("gone", BusGone, errno.ENODEV),
    ],
)
def test_faults_have_the_same_class_everywhere(
    bench: Bench, words: str, kind: type[BusError], number: int
) -> None:
    """What goes wrong on one bus goes wrong the same way on the others, and heals."""
    bench.fault(words)
    with pytest.raises(BusError) as caught:
        bench.bus.transfer(0x63, ID, 3, 0.0)
    assert (type(caught.value), caught.value.errno) == (kind, number)
    bench.fault("ok")
    assert bench.bus.transfer(0x63, ID, 3, 0.0).hex() == "004805"


@pytest.mark.parametrize("words", ["crc", "short"])
def test_damaged_answers_come_through_as_damaged(bench: Bench, words: str) -> None:
    """The bus hides nothing: the driver's checksum is what finds it."""
    bench.fault(words)
    frame = bench.bus.transfer(0x62, SERIAL, 9, EXECUTION_S)
    assert len(frame) == 9
    with pytest.raises(ChecksumMismatch):
        decode_words(frame, 3)


def test_a_fault_of_one_chip_leaves_the_others(bench: Bench) -> None:
    """A word with an address concerns that chip only; with a number it heals by itself."""
    bench.fault("nack=1@0x63")
    assert bench.bus.transfer(0x62, SERIAL, 9, EXECUTION_S)[:2] == b"\xf8\x96"
    with pytest.raises(Nack):
        bench.bus.transfer(0x63, ID, 3, 0.0)
    assert bench.bus.transfer(0x63, ID, 3, 0.0).hex() == "004805"


def test_a_slow_bus_is_slow_and_right(bench: Bench) -> None:
    """Each message takes its time, none is lost."""
    bench.fault("slow=0.1")
    began_s = time.monotonic()
    assert bench.bus.transfer(0x63, ID, 3, 0.0).hex() == "004805"
    assert time.monotonic() - began_s >= 0.2


def test_general_call_resets_the_chips_that_honour_it(bench: Bench) -> None:
    """0x00 with 0x06 puts the SGP30 to sleep, and nobody else."""
    sgp30 = Sgp30(bench.bus, realtime_s=time.time)
    for _ in range(4):
        sgp30.step(0.0)
    bench.bus.transfer(0x58, b"\x20\x61\x0f\x80\x62", 0, EXECUTION_S)
    bench.bus.transfer(0x62, b"\x21\xb1", 0, EXECUTION_S)
    bench.bus.transfer(0x00, b"\x06", 0, EXECUTION_S)
    assert bench.bus.transfer(0x62, READY, 3, EXECUTION_S)[:1] == b"\x80"
    with pytest.raises(Nack):
        bench.bus.transfer(0x62, SERIAL, 9, EXECUTION_S)
    assert bench.bus.transfer(0x58, b"\x20\x15", 6, EXECUTION_S).hex() == "000081000081"


def test_reopening_after_the_bus_was_gone(bench: Bench) -> None:
    """Old handles are useless, reopening fails until the bus is back, then all is as before."""
    assert bench.bus.transfer(0x63, ID, 3, 0.0).hex() == "004805"
    bench.vanish()
    with pytest.raises(BusGone):
        bench.bus.transfer(0x63, ID, 3, 0.0)
    with pytest.raises(BusGone):
        bench.bus.reopen()
    with pytest.raises(BusGone):
        bench.bus.transfer(0x63, ID, 3, 0.0)
    bench.reappear()
    bench.bus.reopen()
    assert bench.bus.transfer(0x63, ID, 3, 0.0).hex() == "004805"


def test_a_closed_bus_is_gone_until_it_is_reopened(bench: Bench) -> None:
    """Closing twice is harmless."""
    bench.bus.close()
    bench.bus.close()
    with pytest.raises(BusGone) as caught:
        bench.bus.transfer(0x63, ID, 3, 0.0)
    assert caught.value.errno == errno.EBADF
    bench.bus.reopen()
    assert bench.bus.transfer(0x63, ID, 3, 0.0).hex() == "004805"


def test_the_drivers_measure_on_it(bench: Bench) -> None:
    """All three drivers together, in real time, until each has measured the recorded air."""
    drivers: tuple[Chip, ...] = (
        Scd4x(bench.bus, poll_s=0.05),
        Icp10125(bench.bus, period_s=0.2),
        Sgp30(bench.bus, realtime_s=time.time),
    )
    due = dict.fromkeys(drivers, 0.0)
    taken: dict[str, Measurement] = {}
    deadline_s = time.monotonic() + 20.0
    while len(taken) < len(drivers) and time.monotonic() < deadline_s:
        driver = min(due, key=lambda d: due[d])
        time.sleep(max(0.0, due[driver] - time.monotonic()))
        step = driver.step(time.monotonic())
        due[driver] = time.monotonic() + step.wait_s
        if step.measurement is not None:
            taken[driver.name] = step.measurement
    assert set(taken) == {"scd4x", "icp10125", "sgp30"}
    told = {r.column: r.value for m in taken.values() for r in m.readings}
    assert told["scd4x_co2_ppm"] is not None
    assert 300 < told["scd4x_co2_ppm"] < 3000
    assert told["icp10125_pressure_pa"] is not None
    assert 97_000 < told["icp10125_pressure_pa"] < 101_000
