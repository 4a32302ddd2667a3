"""The emulated I2C bus of a run: a file that the installed collector opens, or, failing that, not.

The file is mounted in a mount namespace of the bus server's own, which the collector enters: the
machine's own mounts stay as they are, and the mount ends with the server however that ends.
"""

import sys
import time
from pathlib import Path
from typing import Final

from tests.demo.material import Places
from tests.demo.process import Program
from tests.emulators import fuse_bus

SPEED: Final = 20.0
"""Chip seconds per second: an SCD4x measures every 5 s, here every 0.25 s."""

PLAYBACK: Final = 60.0
"""Recorded seconds of air per chip second."""

READY_LIMIT_S: Final = 20.0

REPOSITORY: Final = Path(__file__).parent.parent.parent
VENV_BIN: Final = Path(sys.executable).parent


class BusFailed(RuntimeError):
    """The bus server did not come up; its last lines say why."""


class FuseBus:
    """The bus as a file, and how to run a program that sees it.

    Args:
        places: where the file and its faults are.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._rootless = bool(fuse_bus.namespace_prefix())
        self.program = Program(
            "bus",
            ["unshare", "--mount", *(["--user", "--map-root-user"] if self._rootless else []),
             sys.executable, "-m", "tests.emulators.fuse_bus", places.bus,
             "--speed", str(SPEED), "--playback", str(PLAYBACK), "--control", places.faults],
            places.log("bus"),
            {"PYTHONPATH": str(REPOSITORY)},
        )

    def start(self) -> None:
        """Mount it; returns once it can be opened.

        Raises:
            BusFailed: it cannot be mounted.
        """
        self.program.start()
        until_s = time.monotonic() + READY_LIMIT_S
        while "ready bus=" not in self.program.tail():
            if self.program.pid is None or time.monotonic() > until_s:
                self.program.end()
                raise BusFailed(self.program.tail() or "the bus server said nothing")
            time.sleep(0.02)

    def collector(self) -> list[str | Path]:
        """The installed collector's command, run where the bus can be seen.

        nsenter(1) execs the command in its own place, so signals reach the collector itself.
        """
        user = ["--user", "--preserve-credentials"] if self._rootless else []
        inside = ["nsenter", "--target", str(self.program.pid), "--mount", *user]
        return [*inside, VENV_BIN / "thermal-collector"]

    def end(self) -> None:
        """Unmount."""
        self.program.end()


class InjectedBus:
    """No file: the collector's code with the emulated bus given to it at its composition root."""

    def __init__(self, places: Places) -> None:
        self._places = places

    def start(self) -> None:
        """Nothing: each life of the collector has chips of its own."""

    def collector(self) -> list[str | Path]:
        """The test launcher, which takes the collector's arguments."""
        return [sys.executable, "-m", "tests.demo.launcher"]

    def end(self) -> None:
        """Nothing."""


def why_no_file() -> str | None:
    """Why a bus that is a file cannot be had here; ``None`` when it can."""
    return fuse_bus.fuse_available()


def write_faults(places: Places, words: str) -> None:
    """Make the bus wrong, or right again with ``ok``; seen as a whole by the server."""
    part = places.faults.with_suffix(".part")
    part.write_text(words)
    part.replace(places.faults)
