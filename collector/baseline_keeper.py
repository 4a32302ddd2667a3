"""Gives the SGP30 the baseline of an earlier run, and keeps the file up to date.

At a start without a synchronised clock nobody may know how old the file is. Then the chip starts
without it, and gets it when synchronisation tells the age: that costs its 15 s of warm-up again
and saves twelve hours of learning.
"""

from collections.abc import Callable

from collector.baseline import BaselineFile, SavedBaseline
from collector.chips import Kept
from collector.compensation import Compensation
from collector.drivers.sgp30 import Sgp30
from collector.drivers.sgp30_baseline import AGE_S_MAX, Baseline
from collector.station import Station
from collector.timekeeping import Timekeeper
from common.clock import Clock
from common.logs import Log

MakeSgp30 = Callable[[Kept], Sgp30]


class BaselineKeeper:
    """The baseline's way between chip and file.

    Args:
        file: where it is kept.
        clock: boot id and monotonic time.
        time: stamps, to tell ages.
        log: what was restored, and what could not be saved, is told here.
    """

    def __init__(self, file: BaselineFile, clock: Clock, time: Timekeeper, log: Log) -> None:
        self._file = file
        self._clock = clock
        self._time = time
        self._log = log
        self._saved: SavedBaseline | None = file.load()
        self._waiting = False
        self._save_failed = False

    def kept(self) -> Kept | None:
        """What the chip may be given now; ``None``: nothing, or nothing of known and young age."""
        saved = self._saved
        if saved is None:
            return None
        age_s = saved.age_s(self._time.stamp(), self._clock.boot_id())
        self._waiting = age_s is None
        if age_s is None or not 0 <= age_s <= AGE_S_MAX:
            return None
        return Kept(saved.baseline, age_s)

    def clock_known(
        self, station: Station, compensation: Compensation, make: MakeSgp30
    ) -> None:
        """Give the chip what had to wait for a synchronised clock, unless it learnt its own."""
        if not self._waiting or _baseline_of(station) is not None:
            return
        kept = self.kept()
        if kept is None:
            return
        chip = make(kept)
        station.restart(chip, self._clock.monotonic_s())
        compensation.humidity = chip
        self._log.info("baseline_restored", age_s=round(kept.age_s))

    def save(self, station: Station) -> None:
        """Write a baseline that the chip has learnt since the last time."""
        baseline = _baseline_of(station)
        if baseline is None or (self._saved is not None and baseline == self._saved.baseline):
            return
        try:
            self._saved = self._file.save(baseline, self._time.stamp(), self._clock.boot_id())
        except OSError as error:
            if not self._save_failed:
                self._log.warning("baseline_not_saved", str(error))
            self._save_failed = True
            return
        self._save_failed = False
        self._log.debug("baseline_saved", eco2=baseline.eco2, tvoc=baseline.tvoc)


def _baseline_of(station: Station) -> Baseline | None:
    """What the chip knows."""
    chip = station.chip
    return chip.baseline if isinstance(chip, Sgp30) else None
