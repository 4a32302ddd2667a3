"""The three buses of the conformance suite, each ready to be tested and to be made wrong."""

import contextlib
import errno
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from collector.bus import Bus
from collector.bus.linux import LinuxBus
from tests.emulators.bus import EmulatedBus
from tests.emulators.chips import HurriedClock
from tests.emulators.chips.icp10125 import Icp10125Chip
from tests.emulators.chips.scd4x import Scd4xChip
from tests.emulators.chips.sgp30 import Sgp30Chip
from tests.emulators.environment import RecordedRoom
from tests.emulators.fault_file import parse
from tests.emulators.fuse_bus import fuse_available

ROOT = Path(__file__).parents[2]
SPEED = 20.0


@dataclass
class Bench:
    """One bus under test.

    Attributes:
        bus: as the product sees it.
        fault: makes the bus as wrong as these words say (``fault_file``).
        vanish: the device goes away, and a later ``reappear`` brings it back.
        reappear: see ``vanish``.
    """

    bus: Bus
    fault: Callable[[str], None]
    vanish: Callable[[], None]
    reappear: Callable[[], None]


def emulated_bus() -> EmulatedBus:
    """Three chips in a hurry, in the recorded room."""
    clock, room = HurriedClock(SPEED), RecordedRoom()
    chips = (Scd4xChip(clock, room), Icp10125Chip(clock, room), Sgp30Chip(clock, room))
    return EmulatedBus(chips)


def _words_on(core: EmulatedBus) -> Callable[[str], None]:
    def fault(words: str) -> None:
        core.faults = parse(words)

    return fault


@contextlib.contextmanager
def emulated_bench(directory: Path) -> Iterator[Bench]:
    """The emulated bus itself."""
    bus = emulated_bus()
    fault = _words_on(bus)
    yield Bench(bus, fault, lambda: fault("gone"), lambda: fault("ok"))


@contextlib.contextmanager
def smbus_bench(directory: Path) -> Iterator[Bench]:
    """LinuxBus, whose smbus2 object is the emulated bus."""
    core = emulated_bus()

    class Handle:
        """One open of the device."""

        def i2c_rdwr(self, *messages: object) -> None:
            """Pass on."""
            core.i2c_rdwr(*messages)

        def close(self) -> None:
            """Nothing to give back."""

    def open_bus(path: str) -> Handle:
        if core.gone:
            raise OSError(errno.ENOENT, "No such file or directory")
        return Handle()

    fault = _words_on(core)
    bus = LinuxBus(1, open_bus=open_bus)
    yield Bench(bus, fault, lambda: fault("gone"), lambda: fault("ok"))


@contextlib.contextmanager
def file_bench(directory: Path) -> Iterator[Bench]:
    """LinuxBus with the real smbus2 on a bus that another process serves as a file."""
    reason = fuse_available()
    if reason is not None:
        pytest.skip(f"no bus as a file here: {reason}")
    path, control = directory / "i2c-1", directory / "control"
    servers = [start_server(path, control)]
    bus = LinuxBus(str(path))

    def fault(words: str) -> None:
        control.write_text(words)

    def vanish() -> None:
        stop_server(servers.pop())

    def reappear() -> None:
        servers.append(start_server(path, control))

    try:
        yield Bench(bus, fault, vanish, reappear)
    finally:
        bus.close()
        for server in servers:
            assert stop_server(server) == 0
        assert str(path) not in Path("/proc/mounts").read_text()


def start_server(path: Path, control: Path, *options: str) -> subprocess.Popen[str]:
    """Start the server of a bus and wait until it says that it is ready."""
    server = subprocess.Popen(
        [
            sys.executable, "-m", "tests.emulators.fuse_bus", str(path),
            "--speed", str(SPEED), "--control", str(control), *options,
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdout.readline() == f"ready bus={path}\n"
    return server


def stop_server(server: subprocess.Popen[str]) -> int:
    """Ask it to stop; its exit status."""
    server.terminate()
    status = server.wait(timeout=10)
    assert server.stdout is not None
    server.stdout.close()
    return status


BENCHES = {"emulated": emulated_bench, "smbus": smbus_bench, "file": file_bench}
