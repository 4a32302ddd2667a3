"""A writer with a disk that can be told to refuse, and a clock that jumps."""

import io
from collections.abc import Sequence

from collector.ring import Ring
from collector.stamp import stamped_row
from collector.timekeeping import Timekeeper
from collector.writer import Writer
from common.database import SpoolFull
from common.errors import SpoolError
from common.logs import Log
from common.sample import Kind
from common.spool.row import NewRow
from tests.emulators.clock import ManualClock


class Disk:
    """A spool that can be told to refuse."""

    def __init__(self) -> None:
        self.groups: list[list[NewRow]] = []
        self.error: SpoolError | None = None
        self.attempts = 0

    def append(self, rows: Sequence[NewRow]) -> range:
        """See ``SpoolStore.append``."""
        self.attempts += 1
        if self.error is not None:
            raise self.error
        self.groups.append(list(rows))
        return range(len(rows))


class Scene:
    """A writer with its disk and a clock that jumps."""

    def __init__(self, store_interval_s: float = 5.0, rows_max: int = 100) -> None:
        self.clock = ManualClock()
        self.disk = Disk()
        self.text = io.StringIO()
        log = Log("thermal-collector", stream=self.text)
        self.time = Timekeeper(self.clock)
        self.writer = Writer(
            self.disk, store_interval_s, self.clock, self.time, log, Ring(rows_max)
        )

    def take(self) -> None:
        """One row."""
        self.writer.keep(stamped_row(self.time.stamp(), Kind.SAMPLE, {}))

    def run(self, seconds: float, row_every_s: float) -> None:
        """Rows at that pace, stored when due."""
        end_s = self.clock.monotonic_s() + seconds
        next_s = self.clock.monotonic_s()
        while self.clock.monotonic_s() < end_s:
            if self.clock.monotonic_s() >= next_s:
                self.take()
                next_s += row_every_s
            if self.writer.due_in_s() == 0:
                self.writer.store()
            self.clock.advance(0.1)


def full() -> SpoolFull:
    """What a full disk says."""
    return SpoolFull("disk full", op="append", path="spool.db", hint="free space")
