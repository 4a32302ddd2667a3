"""A collector's loop on emulated chips and a clock that jumps: hours of sampling in a moment."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collector.chips import Kept, make_chips, make_stations
from collector.host import Host
from collector.sampling import Around, Outlets, Plan, Sampler
from collector.schedule import Alignment, Grid
from collector.station import Station
from collector.timekeeping import Timekeeper
from common.logs import Log
from common.spool.row import INDEX, NewRow
from tests.emulators.bus import EmulatedBus
from tests.emulators.chips.icp10125 import Icp10125Chip
from tests.emulators.chips.scd4x import Scd4xChip
from tests.emulators.chips.sgp30 import Sgp30Chip
from tests.emulators.clock import ManualClock
from tests.emulators.environment import Environment, StillAir

REQUIRED = ("scd4x|icp10125",)


def record(row: NewRow) -> dict[str, Any]:
    """A row by column name, its JSON columns understood."""
    named: dict[str, Any] = {name: row[at] for name, at in INDEX.items()}
    for name in ("sensor_status", "detail"):
        if named[name] is not None:
            named[name] = json.loads(named[name])
    return named


class Bench:
    """The loop, its world, and what came out of it.

    Args:
        interval_s: between two rows.
        clock: time; ``None``: a synchronised one.
        align: whether the grid lies on the wall clock.
        kept: baseline of an earlier run.
        required: groups of sensors that a VALID row needs.
        room: the air around the chips; ``None``: ``air``, which changes only when told.
    """

    def __init__(
        self,
        interval_s: float = 5.0,
        *,
        clock: ManualClock | None = None,
        align: bool = False,
        kept: Kept | None = None,
        required: Sequence[str] = REQUIRED,
        room: Environment | None = None,
    ) -> None:
        self.clock = clock or ManualClock()
        self.air = StillAir()
        now, air = self.clock.monotonic_s, room or self.air
        self.scd4x = Scd4xChip(now, air)
        self.icp10125 = Icp10125Chip(now, air)
        self.sgp30 = Sgp30Chip(now, air)
        self.bus = EmulatedBus((self.scd4x, self.icp10125, self.sgp30), pause=self.clock.pause)
        self.clock.advance(1.0)
        self.rows: list[NewRow] = []
        self.offsets: list[int] = []
        self.synchronised = 0
        self.text = io.StringIO()
        log = Log("thermal-collector", stream=self.text)
        time = Timekeeper(self.clock)
        chips = make_chips(self.bus, interval_s, lambda: self.clock.realtime_ns() / 1e9, kept)
        self.stations = make_stations(chips.all, interval_s, now())
        alignment = Alignment(interval_s) if align else None
        first_s = now() + interval_s
        if alignment is not None:
            first_s = alignment.first_s(now(), self.clock.realtime_ns(), now())
        self.grid = Grid(interval_s, first_s)
        self.sampler = Sampler(
            self.bus,
            self.stations,
            Plan(self.grid, alignment, required),
            Outlets(self.rows.append, self.offsets.append, self._synchronised),
            Around(self.clock, time, Host(Path("/")), log),
            chips.compensation(),
        )

    @property
    def records(self) -> list[dict[str, Any]]:
        """The rows by column name."""
        return [record(row) for row in self.rows]

    @property
    def samples(self) -> list[dict[str, Any]]:
        """The rows of kind sample."""
        return [r for r in self.records if r["kind"] == "sample"]

    @property
    def events(self) -> list[str]:
        """First words of the log's lines."""
        return [line.split()[0] for line in self.text.getvalue().splitlines()]

    def station(self, name: str) -> Station:
        """A chip's place in the loop."""
        return next(s for s in self.stations if s.name == name)

    def unplug(self, chip: Any) -> None:
        """Take a chip off the bus."""
        del self.bus.chips[chip.address]

    def plug(self, chip: Any) -> None:
        """Put a chip on the bus, fresh from power-up."""
        chip.power_cycle()
        self.bus.chips[chip.address] = chip

    def run(self, seconds: float) -> None:
        """Let the loop go on for that long, and for the millisecond of a tick at its end."""
        end_s = self.clock.monotonic_s() + seconds + 1e-3
        while self.clock.monotonic_s() < end_s:
            wait_s = self.sampler.step()
            if wait_s > 0:
                self.clock.sleep(min(wait_s, max(0.0, end_s - self.clock.monotonic_s())))

    def _synchronised(self) -> None:
        self.synchronised += 1
