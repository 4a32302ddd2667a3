"""The three chips that the collector knows: their drivers, addresses and patience."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from collector.bus import Bus
from collector.compensation import Compensation
from collector.drivers import Chip, icp10125, scd4x, sgp30
from collector.drivers.sgp30_baseline import Baseline
from collector.schedule import chip_periods
from collector.station import Station

ADDRESSES: Final = {
    "scd4x": scd4x.ADDRESS,
    "icp10125": icp10125.ADDRESS,
    "sgp30": sgp30.ADDRESS,
}

TITLES: Final = {"scd4x": "SCD4X", "icp10125": "ICP10125", "sgp30": "SGP30"}
"""Names as people know them."""

AGE_INTERVALS: Final = 3
"""A measurement is new for this many of its chip's intervals."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A baseline from an earlier run, and its age now, seconds."""

    baseline: Baseline
    age_s: float


@dataclass(frozen=True, slots=True)
class Chips:
    """The drivers on one bus."""

    scd4x: scd4x.Scd4x
    icp10125: icp10125.Icp10125
    sgp30: sgp30.Sgp30

    @property
    def all(self) -> tuple[Chip, ...]:
        """In the order of the row's columns."""
        return (self.scd4x, self.icp10125, self.sgp30)

    def compensation(self) -> Compensation:
        """What they tell each other."""
        return Compensation(self.scd4x, self.sgp30)


def make_sgp30(bus: Bus, realtime_s: Callable[[], float], kept: Kept | None) -> sgp30.Sgp30:
    """The SGP30's driver, with the baseline of an earlier run if there is one."""
    if kept is None:
        return sgp30.Sgp30(bus, realtime_s=realtime_s)
    return sgp30.Sgp30(
        bus, realtime_s=realtime_s, baseline=kept.baseline, baseline_age_s=kept.age_s
    )


def make_chips(
    bus: Bus, interval_s: float, realtime_s: Callable[[], float], kept: Kept | None
) -> Chips:
    """The drivers for rows every ``interval_s``; nothing is sent yet."""
    periods = chip_periods(interval_s)
    return Chips(
        scd4x.Scd4x(bus, poll_s=periods["scd4x"]),
        icp10125.Icp10125(bus, period_s=periods["icp10125"]),
        make_sgp30(bus, realtime_s, kept),
    )


def make_stations(chips: Sequence[Chip], interval_s: float, now_s: float) -> list[Station]:
    """A place in the loop for each chip."""
    own_s = chip_periods(interval_s) | {"scd4x": 5.0}
    return [
        Station(chip, max_age_s=AGE_INTERVALS * max(1.0, own_s[chip.name]), now_s=now_s)
        for chip in chips
    ]
