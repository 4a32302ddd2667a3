"""The sampling loop: the earliest due of the chips' turns and the grid's ticks, one at a time.

Rules:

1. One thread, one bus: a write and its read are never interleaved with another chip's.
2. A tick goes before a chip's turn: a row is worth more than a measurement.
3. A failing chip never stops the others. Only a bus that times out stops all of them, until it has
   been reopened; ticks are taken all the same, with NULL and the reason.
4. Nothing here touches the disk: rows are handed to ``keep``.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from collector.assemble import sample_row
from collector.bus import Bus, BusError, BusGone, BusTimeout, Nack
from collector.compensation import Compensation
from collector.gaps import Gap, GapReason, gap_row
from collector.health import Lockup, Remedy
from collector.host import Host
from collector.schedule import Alignment, Grid, Tick
from collector.stamp import Stamp
from collector.station import News, Station, Turn
from collector.timekeeping import Step, Synchronised, Timekeeper, clock_step_row
from common.clock import Clock
from common.logs import Log
from common.spool.row import NewRow

LOOK_S_MAX: Final = 1.0
"""The loop comes round at least this often, for the clock and the watchdog."""

_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Outlets:
    """Where the loop hands things to.

    Attributes:
        keep: takes a row, never waits.
        offset: takes the boot's offset once it is established, nanoseconds.
        synchronised: called after that, so that what waited for the clock can go on.
    """

    keep: Callable[[NewRow], None]
    offset: Callable[[int], None]
    synchronised: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is sampled when.

    Attributes:
        grid: points at which rows are taken.
        alignment: keeps them on the wall clock; ``None``: not wanted.
        required: groups of sensors that a VALID row needs.
    """

    grid: Grid
    alignment: Alignment | None
    required: Sequence[str]


@dataclass(frozen=True, slots=True)
class Around:
    """The computer around the loop."""

    clock: Clock
    time: Timekeeper
    host: Host
    log: Log


class Sampler:
    """The loop over one bus; ``step`` is one round of it.

    Args:
        bus: the bus, to reopen it; transfers are the drivers'.
        stations: every chip, whether it was found or not; at least one.
        plan: what is sampled when.
        outlets: where rows go.
        around: clock, host and log.
        compensation: what chips tell each other.

    Attributes:
        ticks: rows of kind sample so far.
        missed: ticks missed while running.
        lockup: timeouts of the whole bus.
    """

    def __init__(
        self,
        bus: Bus,
        stations: Sequence[Station],
        plan: Plan,
        outlets: Outlets,
        around: Around,
        compensation: Compensation,
    ) -> None:
        self.stations = tuple(stations)
        self.ticks = 0
        self.missed = 0
        self.lockup = Lockup()
        self.time = around.time
        self._bus = bus
        self._plan = plan
        self._outlets = outlets
        self._clock = around.clock
        self._log = around.log
        self._host = around.host
        self._compensation = compensation
        self._held_until_s = 0.0
        self._bus_ok = True
        self._asleep_s = self._asleep(self.time.stamp())

    def step(self) -> float:
        """Do what is due most; returns the seconds until something is due again."""
        self._watch_clock()
        now_s = self._clock.monotonic_s()
        tick = self._plan.grid.due(now_s)
        if tick is not None:
            self._take(tick)
        else:
            station = min(self.stations, key=lambda s: s.due_s)
            if max(station.due_s, self._held_until_s) <= now_s:
                self._serve(station, now_s)
        return max(0.0, min(LOOK_S_MAX, self._next_s() - self._clock.monotonic_s()))

    def _next_s(self) -> float:
        """Monotonic time of whatever comes next."""
        chips_s = max(self._held_until_s, min(s.due_s for s in self.stations))
        return min(self._plan.grid.next_s, chips_s)

    def _watch_clock(self) -> None:
        """Note steps and the first synchronisation; keep an aligned grid on the wall clock."""
        happened = self.time.look()
        for event in happened:
            match event:
                case Step():
                    self._log.notice("clock_step", by_s=event.by_ns / _NS)
                    self._outlets.keep(clock_step_row(event))
                case Synchronised():
                    self._log.info("clock_synchronised")
                    self._outlets.offset(event.offset_ns)
                    self._outlets.synchronised()
        self._realign()

    def _realign(self) -> None:
        """Anchor an aligned grid anew if the wall clock has left it."""
        alignment = self._plan.alignment
        if alignment is None:
            return
        now_s, realtime_ns = self._clock.monotonic_s(), self._clock.realtime_ns()
        if alignment.corrected(self._plan.grid, now_s, realtime_ns):
            self._log.info("grid_realigned", next_in_s=round(self._plan.grid.next_s - now_s, 3))

    def _take(self, tick: Tick) -> None:
        """Take one row."""
        now_s = self._clock.monotonic_s()
        stamp = self.time.stamp()
        reports = [station.report(now_s) for station in self.stations]
        row = sample_row(stamp, reports, asdict(self._host.read()), self._plan.required)
        tick = replace(tick, missed=tick.missed + self._slept_ticks(stamp))
        if tick.missed:
            # Before the row: stored after it, a kill between them would leave a hole unexplained.
            self._tell_missed(tick, now_s - tick.at_s, stamp)
        self._outlets.keep(row)
        self.ticks += 1

    def _asleep(self, stamp: Stamp) -> float:
        """How long the machine was suspended since it booted: the grid's clock stood still."""
        return stamp.boottime_ns / _NS - self._clock.monotonic_s()

    def _slept_ticks(self, stamp: Stamp) -> int:
        """Ticks that passed while the machine was suspended, since the tick before."""
        asleep_s = self._asleep(stamp)
        ticks = round((asleep_s - self._asleep_s) / self._plan.grid.interval_s)
        self._asleep_s = asleep_s
        return max(0, ticks)

    def _tell_missed(self, tick: Tick, late_s: float, stamp: Stamp) -> None:
        """Write the gap row of the ticks that passed unseen before this one."""
        self.missed += tick.missed
        back_s = late_s + tick.missed * self._plan.grid.interval_s
        from_ns = stamp.realtime_ns - int(back_s * _NS)
        gap = Gap(
            GapReason.MISSED_TICKS, tick.missed, from_ns=from_ns, to_ns=stamp.realtime_ns
        )
        self._outlets.keep(gap_row(gap, stamp))

    def _serve(self, station: Station, now_s: float) -> None:
        """Give one chip its turn, and do what follows from it."""
        turn = station.turn(now_s)
        self._tell(station, turn)
        if turn.measurement is not None:
            self._compensation.learn(turn.measurement)
        match turn.error:
            case BusGone():
                self._hold()
            case BusTimeout():
                if self.lockup.timed_out():
                    self._hold()
            case Nack():
                self.lockup.answered()
            case None if turn.measurement is not None:
                # A turn without either may have touched no bus: a chip that is not due says so.
                self.lockup.answered()
        if turn.order is not None and turn.order.remedy is Remedy.REOPEN:
            self._reopen()

    def _hold(self) -> None:
        """Open the bus anew and leave it alone for a while, all chips."""
        self._held_until_s = self._clock.monotonic_s() + self.lockup.reopened()
        self._reopen()

    def _reopen(self) -> None:
        """Open the bus anew; a bus that is gone is told once, until it is back."""
        try:
            self._bus.reopen()
        except BusError as error:
            if self._bus_ok:
                self._log.error("bus_lost", str(error), hint=error.hint or "")
            self._bus_ok = False
            return
        if not self._bus_ok:
            self._log.notice("bus_back")
        self._bus_ok = True

    def _tell(self, station: Station, turn: Turn) -> None:
        """Log what became of a chip; a single fault is counted, not logged: it is weather."""
        said = "" if turn.error is None else str(turn.error)
        health, name = station.health, station.name
        match station.news(turn):
            case News.MEASURING:
                self._log.info("sensor_measuring", sensor=name)
            case News.FOUND:
                self._log.notice("sensor_found", sensor=name)
            case News.STUCK:
                self._log.warning("sensor_stuck", sensor=name, action="reset")
            case News.FAILING:
                self._log.warning("sensor_failing", said, sensor=name, status=health.status.value)
            case News.LOST:
                self._log.error("sensor_lost", said, sensor=name, status=health.status.value)
