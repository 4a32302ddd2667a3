"""An I2C bus that is a file: unmodified smbus2, in any process, opens it as its ``/dev/i2c-1``.

    python -m tests.emulators.fuse_bus PATH [--speed 20] [--trace FILE] [--control FILE]

mounts a file system of one file at PATH, answers i2c-dev's ioctls by the emulated chips until
SIGTERM, and unmounts. It says ``ready bus=PATH`` once the bus can be opened. Run it as root, or
together with its clients inside one ``unshare -Urm``. The file is a regular file, so it proves
nothing about device permissions.
"""

import argparse
import errno
import json
import os
import select
import signal
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Final, TextIO

from tests.emulators.bus import EmulatedBus, Message
from tests.emulators.caller_memory import CallerMemory
from tests.emulators.chips import Chip, HurriedClock
from tests.emulators.chips.icp10125 import Icp10125Chip
from tests.emulators.chips.scd4x import Scd4xChip
from tests.emulators.chips.sgp30 import Sgp30Chip
from tests.emulators.environment import RecordedRoom
from tests.emulators.fault_file import FaultFile
from tests.emulators.fuse import DEVICE, Ioctl, Mount, OneFile

_RETRIES, _TIMEOUT, _SLAVE, _TENBIT = 0x0701, 0x0702, 0x0703, 0x0704
_FUNCS, _SLAVE_FORCE, _RDWR, _PEC = 0x0705, 0x0706, 0x0707, 0x0708
_ACCEPTED: Final = frozenset((_RETRIES, _TIMEOUT, _SLAVE, _SLAVE_FORCE))
_FUNC_I2C: Final = 0x0000_0001
_READ_FLAG: Final = 0x0001
_MESSAGES_MAX: Final = 42
_LENGTH_MAX: Final = 8192

_REQUEST: Final = struct.Struct("<QI4x")
_MESSAGE: Final = struct.Struct("<HHH2xQ")
_FUNCTIONS: Final = struct.Struct("<Q")

VARIANTS: Final = {"40": 0x0440, "41": 0x1440, "43": 0x5441}


class I2cDev:
    """i2c-dev's ioctls, answered by an emulated bus.

    Args:
        bus: the bus with its chips.
        refresh: called before each request, to bring the faults up to date.
    """

    def __init__(self, bus: EmulatedBus, refresh: Callable[[], None]) -> None:
        self._bus = bus
        self._refresh = refresh

    def ioctl(self, request: Ioctl) -> None:
        """Answer one request in the caller's memory; raises what the caller shall see."""
        self._refresh()
        if self._bus.gone:
            raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
        memory = CallerMemory(request.pid)
        if request.command == _FUNCS:
            memory.write(request.argument, _FUNCTIONS.pack(_FUNC_I2C))
        elif request.command == _RDWR:
            self._transfer(memory, request.argument)
        elif request.command not in _ACCEPTED:
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    def _transfer(self, memory: CallerMemory, argument: int) -> None:
        """``I2C_RDWR``: the messages lie in the caller's memory, and their buffers too."""
        table, count = _REQUEST.unpack(memory.read(argument, _REQUEST.size))
        if not 0 < count <= _MESSAGES_MAX:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        messages = memory.read(table, count * _MESSAGE.size)
        for address, flags, length, buffer in _MESSAGE.iter_unpack(messages):
            if length > _LENGTH_MAX:
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
            if flags & _READ_FLAG:
                memory.write(buffer, self._bus.read(address, length))
            else:
                self._bus.write(address, memory.read(buffer, length))


def fuse_available() -> str | None:
    """Why a bus that is a file cannot be had here; ``None`` when it can.

    Either by this process itself or inside ``unshare -Urm`` (see ``namespace_prefix``).
    """
    if not DEVICE.exists():
        return f"no {DEVICE}: the kernel has no FUSE, or the container does not show it"
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return f"no permission to open {DEVICE}"
    refusal = _try_mount()
    if refusal is None:
        return None
    inside = _try_mount_inside_namespace()
    if inside is None:
        return None
    return f"{refusal}; inside unshare -Urm: {inside}"


def namespace_prefix() -> list[str]:
    """What to put before a command so that it may mount: nothing, or ``unshare -Urm``.

    Server and clients must then run in the same namespace.
    """
    return [] if _try_mount() is None else ["unshare", "-Urm"]


def _try_mount() -> str | None:
    try:
        with tempfile.TemporaryDirectory() as directory:
            Mount(Path(directory) / "i2c").close()
    except OSError as error:
        return str(error)
    return None


def _try_mount_inside_namespace() -> str | None:
    code = "import sys; from tests.emulators import fuse_bus as f; sys.exit(f._try_mount())"
    try:
        done = subprocess.run(
            ["unshare", "-Urm", sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            cwd=Path(__file__).parent.parent.parent,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    return done.stderr.strip().rpartition("\n")[2] or f"exit status {done.returncode}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.emulators.fuse_bus",
        description="Serve an I2C bus with emulated chips as a file, until SIGTERM.",
    )
    parser.add_argument("path", type=Path, help="the file; made when missing")
    parser.add_argument(
        "--speed", type=float, default=1.0, help="chip seconds per second (default 1)"
    )
    parser.add_argument(
        "--playback",
        type=float,
        default=60.0,
        help="recorded seconds of air per chip second (default 60)",
    )
    parser.add_argument("--trace", type=Path, help="append each message as a line of JSON")
    parser.add_argument(
        "--control",
        type=Path,
        help="file of faults: nack timeout eio crc short lost slow=1.5 gone ok",
    )
    parser.add_argument(
        "--scd4x", choices=[*VARIANTS, "none"], default="41", help="variant (default 41)"
    )
    parser.add_argument("--icp10125", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--sgp30", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--nack-errno",
        type=int,
        choices=[errno.EREMOTEIO, errno.ENXIO],
        default=errno.EREMOTEIO,
        help="what an unacknowledged header is to the client (default 121, as on a Pi)",
    )
    return parser


def _chips(options: argparse.Namespace) -> list[Chip]:
    clock = HurriedClock(options.speed)
    room = RecordedRoom(playback=options.playback)
    chips: list[Chip] = []
    if options.scd4x != "none":
        chips.append(Scd4xChip(clock, room, variant=VARIANTS[options.scd4x]))
    if options.icp10125:
        chips.append(Icp10125Chip(clock, room))
    if options.sgp30:
        chips.append(Sgp30Chip(clock, room))
    return chips


def _trace_to(file: TextIO, clock: Callable[[], float]) -> Callable[[Message], None]:
    """A writer of messages, one JSON object a line, seconds since the start of the server."""

    def write(message: Message) -> None:
        line = {
            "at_s": round(clock(), 6),
            "op": message.op,
            "address": f"0x{message.address:02x}",
            "bytes": message.data.hex(),
            "errno": message.errno,
        }
        file.write(json.dumps(line) + "\n")

    return write


def _stop_pipe() -> int:
    """A descriptor that SIGTERM and SIGINT make readable."""
    read_fd, write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def stop(number: int, frame: FrameType | None) -> None:
        os.write(write_fd, b"x")

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    return read_fd


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; 0 when unmounted cleanly, 1 when it could not be mounted."""
    options = _parser().parse_args(arguments)
    stop_fd = _stop_pipe()

    def pause(seconds: float) -> None:
        select.select([stop_fd], [], [], seconds)

    bus = EmulatedBus(_chips(options), pause=pause, nack_errno=options.nack_errno, keep_messages=0)
    faults = FaultFile(options.control, bus) if options.control else None
    if options.trace:
        bus.on_message = _trace_to(options.trace.open("a", buffering=1), HurriedClock())
    device = I2cDev(bus, faults.refresh if faults else lambda: None)
    try:
        mount = Mount(options.path)
    except OSError as error:
        print(f"cannot mount {options.path}: {error}", file=sys.stderr)
        return 1
    try:
        print(f"ready bus={options.path}", flush=True)
        OneFile(mount, device.ioctl).serve(stop_fd)
    finally:
        mount.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
