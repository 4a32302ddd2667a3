"""What the collector knows of time: stamps for rows, steps of the wall clock, synchronisation.

A Raspberry Pi without a battery-backed clock boots with a plausible wrong time and is stepped
later. The offset realtime - boottime tells both: it is constant but for steps. The offset of a boot
is established once, when the kernel has said twice in a row, without a step between, that the
clock is synchronised; earlier rows of the boot are re-dated with it when they are encoded.
"""

from dataclasses import dataclass
from typing import Final

from collector.stamp import Stamp, marker_row, utc_text
from common.clock import Clock
from common.sample import Kind
from common.spool.row import NewRow

STEP_NS_MIN: Final = 500_000_000
"""A change of the offset by more than this, between two looks, is a step."""

SYNC_LOOK_S: Final = 1.0
"""The kernel is asked at most this often whether it is synchronised."""

_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """The wall clock was set by more than half a second.

    Attributes:
        by_ns: how far; negative: backwards.
        at: the first moment after it.
    """

    by_ns: int
    at: Stamp


@dataclass(frozen=True, slots=True)
class Synchronised:
    """The offset of this boot is established, once and for all.

    Attributes:
        offset_ns: realtime - boottime.
        at: when it was established.
    """

    offset_ns: int
    at: Stamp


class ClockWatch:
    """Watches the offset for steps and for the first synchronisation; pure.

    Args:
        first: a moment before the first ``look``.
    """

    def __init__(self, first: Stamp) -> None:
        self._last = first
        self._established = False
        self.steps = 0

    def look(self, stamp: Stamp) -> list[Step | Synchronised]:
        """Compare a moment with the one before; returns what happened between them."""
        happened: list[Step | Synchronised] = []
        by_ns = stamp.offset_ns - self._last.offset_ns
        stepped = abs(by_ns) > STEP_NS_MIN
        if stepped:
            self.steps += 1
            happened.append(Step(by_ns, stamp))
        settled = stamp.synced and self._last.synced and not stepped
        if settled and not self._established:
            self._established = True
            happened.append(Synchronised(stamp.offset_ns, stamp))
        self._last = stamp
        return happened


class Timekeeper:
    """Stamps moments, and asks the kernel about the clock no more often than is useful.

    Args:
        clock: the machine's clocks.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._synced = clock.synchronised()
        self._asked_s = clock.monotonic_s()
        self._watch = ClockWatch(self.stamp())

    @property
    def steps(self) -> int:
        """Steps of the wall clock since the start."""
        return self._watch.steps

    @property
    def synced(self) -> bool:
        """What the kernel said when it was last asked."""
        return self._synced

    def stamp(self) -> Stamp:
        """This moment."""
        return Stamp(self._clock.realtime_ns(), self._clock.boottime_ns(), self._synced)

    def look(self) -> list[Step | Synchronised]:
        """What happened to the wall clock since the look before; empty most of the time."""
        now_s = self._clock.monotonic_s()
        if now_s - self._asked_s < SYNC_LOOK_S:
            return []
        self._asked_s = now_s
        self._synced = self._clock.synchronised()
        return self._watch.look(self.stamp())


def seconds(ns: int) -> float:
    """Nanoseconds as seconds, for messages and details."""
    return round(ns / _NS, 3)


def clock_step_row(step: Step) -> NewRow:
    """The event row of a step of the wall clock; its detail has the times before and after."""
    detail = {
        "event": "clock_step",
        "by_s": seconds(step.by_ns),
        "from": utc_text(step.at.realtime_ns - step.by_ns),
        "to": utc_text(step.at.realtime_ns),
    }
    return marker_row(step.at, Kind.EVENT, detail)
