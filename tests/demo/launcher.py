"""The collector with the emulated bus given to it, for machines without FUSE.

    python -m tests.demo.launcher run --config FILE

Everything but the one line that opens ``/dev/i2c-1`` is the product's own code.
"""

import argparse
import sys
import threading
from pathlib import Path

import collector.app
from common.config import load
from common.runtime import run_service
from tests.demo.bus import PLAYBACK, SPEED
from tests.emulators.bus import EmulatedBus
from tests.emulators.chips import HurriedClock
from tests.emulators.chips.icp10125 import Icp10125Chip
from tests.emulators.chips.scd4x import Scd4xChip
from tests.emulators.chips.sgp30 import Sgp30Chip
from tests.emulators.environment import RecordedRoom


def emulated_bus() -> EmulatedBus:
    """The three chips in the recorded room."""
    clock, room = HurriedClock(SPEED), RecordedRoom(playback=PLAYBACK)
    return EmulatedBus(
        [Scd4xChip(clock, room), Icp10125Chip(clock, room), Sgp30Chip(clock, room)],
        keep_messages=0,
    )


def main() -> int:
    """Run the collector until SIGTERM; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.demo.launcher", description=__doc__)
    parser.add_argument("command", choices=["run"])
    parser.add_argument("--config", type=Path, required=True)
    settings = load(parser.parse_args().config)

    def run(stop: threading.Event) -> int:
        return collector.app.run(settings, stop, bus=emulated_bus())

    return run_service(run)


if __name__ == "__main__":
    sys.exit(main())
