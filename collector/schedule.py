"""The sampling grid: fixed points on the monotonic clock; pure, no clock is read here.

Rules:

1. A point is ``anchor + n * interval``, computed anew each time, so that no error adds up.
2. A point that passed unseen is skipped and counted; several are never made up for in a burst.
3. ``align`` lays the points on multiples of the interval of the wall clock, counted from 1970 UTC.
   The wall clock steps when it is set, so the grid is then anchored anew; the pace stays.
"""

from dataclasses import dataclass
from typing import Final

ALIGN_MARGIN_S: Final = 0.002
"""An aligned tick comes this much late, so that it is never stamped before its multiple."""

ALIGN_TOLERANCE_S: Final = 0.02
"""An aligned grid that is further off the wall clock than this is anchored anew."""

FIRST_TICK_S_MAX: Final = 8.0
"""Longest wait for the first tick of an unaligned grid: a day's interval must not mean a day of
silence after a start, and the SCD4x has its first measurement after some 6 s."""

_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Tick:
    """A point of the grid that is due.

    Attributes:
        at_s: where it lies on the monotonic clock.
        missed: points between the tick before and this one that passed unseen.
    """

    at_s: float
    missed: int


class Grid:
    """The points at which rows are taken.

    Args:
        interval_s: distance of two points, seconds.
        first_s: monotonic time of the first point.
    """

    def __init__(self, interval_s: float, first_s: float) -> None:
        if interval_s <= 0:
            raise ValueError(f"interval_s is {interval_s}, expected more than 0")
        self.interval_s = interval_s
        self._anchor_s = first_s
        self._next = 0

    @property
    def next_s(self) -> float:
        """Monotonic time of the next point."""
        return self._anchor_s + self._next * self.interval_s

    def due(self, now_s: float) -> Tick | None:
        """The point that is due, or ``None`` while the next one lies ahead.

        A late call gets the newest point only; those before it are missed.
        """
        if now_s < self.next_s:
            return None
        newest = max(self._next, int((now_s - self._anchor_s) / self.interval_s))
        tick = Tick(self._anchor_s + newest * self.interval_s, newest - self._next)
        self._next = newest + 1
        return tick

    def anchor(self, first_s: float) -> None:
        """Lay the grid anew: the next point is ``first_s``, nothing counts as missed."""
        self._anchor_s = first_s
        self._next = 0


class Alignment:
    """Keeps a grid on multiples of its interval of the wall clock.

    Args:
        interval_s: distance of two points, seconds.
    """

    def __init__(self, interval_s: float) -> None:
        self.interval_s = interval_s
        self._interval_ns = round(interval_s * _NS)

    def first_s(self, now_s: float, realtime_ns: int, earliest_s: float) -> float:
        """Monotonic time of the first multiple at or after ``earliest_s``.

        Args:
            now_s: the monotonic clock at the instant of ``realtime_ns``.
            realtime_ns: the wall clock.
            earliest_s: on the monotonic clock; not before ``now_s``.
        """
        behind_s = (realtime_ns % self._interval_ns) / _NS
        first = now_s - behind_s + ALIGN_MARGIN_S
        steps = max(0, -int((first - earliest_s) // self.interval_s))
        return first + steps * self.interval_s

    def corrected(self, grid: Grid, now_s: float, realtime_ns: int) -> bool:
        """Anchor the grid anew if the wall clock has left it; returns whether it was.

        The point after the correction comes half an interval to one and a half after the last.
        """
        ahead_s = grid.next_s - ALIGN_MARGIN_S - now_s
        off_ns = (realtime_ns + round(ahead_s * _NS)) % self._interval_ns
        off_s = min(off_ns, self._interval_ns - off_ns) / _NS
        if off_s <= ALIGN_TOLERANCE_S:
            return False
        earliest_s = max(now_s, grid.next_s - self.interval_s / 2)
        grid.anchor(self.first_s(now_s, realtime_ns, earliest_s))
        return True


def chip_periods(interval_s: float) -> dict[str, float]:
    """How often each chip is asked, seconds, by name.

    The SCD4x is polled for new data (it measures every 5 s by its own clock), the ICP-10125 is
    told to measure, the SGP30 is asked at the 1 Hz that its baseline needs (v1.0 §6.3).
    """
    return {
        "scd4x": min(1.0, interval_s / 5),
        "icp10125": min(interval_s / 2, 10.0),
        "sgp30": 1.0,
    }
