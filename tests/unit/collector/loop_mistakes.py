"""Mistakes that somebody could make in the loop: the bus, the ticks, the clocks."""

from dataclasses import replace
from typing import Any

import pytest

from collector import sampling
from collector.health import Lockup
from collector.sampling import Sampler
from collector.schedule import Alignment, Grid, Tick
from collector.stamp import Stamp
from collector.station import Station
from collector.timekeeping import ClockWatch, Synchronised
from collector.timekeeping import Step as ClockStep


def one_error_ends_the_turn_of_all(patch: pytest.MonkeyPatch) -> None:
    """After any chip's fault nobody is asked for a while."""
    honest = Sampler._serve

    def serve(self: Sampler, station: Station, now_s: float) -> None:
        before = sum(station.results.values())
        honest(self, station, now_s)
        if sum(station.results.values()) > before and station.health.faults:
            self._held_until_s = now_s + 60.0

    patch.setattr(Sampler, "_serve", serve)


def silence_writes_no_row(patch: pytest.MonkeyPatch) -> None:
    """A tick without any measurement is thought not worth a row."""
    honest = Sampler._take

    def take(self: Sampler, tick: Tick) -> None:
        if any(station._newest is not None for station in self.stations):
            honest(self, tick)

    patch.setattr(Sampler, "_take", take)


def no_lockup_is_seen(patch: pytest.MonkeyPatch) -> None:
    """Timeouts of the whole bus are each chip's own matter."""
    patch.setattr(Lockup, "timed_out", lambda _: False)


def a_lockup_is_never_reopened(patch: pytest.MonkeyPatch) -> None:
    """The bus is left alone, and nothing else."""

    def hold(self: Sampler) -> None:
        self._held_until_s = self._clock.monotonic_s() + self.lockup.reopened()

    patch.setattr(Sampler, "_hold", hold)
    patch.setattr(Sampler, "_reopen", lambda _: None)


def a_lockup_waits_no_time(patch: pytest.MonkeyPatch) -> None:
    """Reopened, and polled on at once."""
    patch.setattr(Lockup, "reopened", lambda _: 0.0)


def ticks_wait_for_the_bus(patch: pytest.MonkeyPatch) -> None:
    """While the bus is left alone no row is taken either."""
    honest = Grid.due

    def step(self: Sampler) -> float:
        held = self._clock.monotonic_s() < self._held_until_s
        patch.setattr(Grid, "due", (lambda *_: None) if held else honest)
        return max(0.05, honest_step(self))

    honest_step = Sampler.step
    patch.setattr(Sampler, "step", step)


def a_lost_bus_is_told_each_time(patch: pytest.MonkeyPatch) -> None:
    """Each attempt to reopen it has its line."""
    honest = Sampler._reopen

    def reopen(self: Sampler) -> None:
        self._bus_ok = True
        honest(self)

    patch.setattr(Sampler, "_reopen", reopen)


def missed_ticks_come_in_a_burst(patch: pytest.MonkeyPatch) -> None:
    """Every point that passed is made up for."""

    def due(self: Grid, now_s: float) -> Tick | None:
        if now_s < self.next_s:
            return None
        self._next += 1
        return Tick(self.next_s - self.interval_s, 0)

    patch.setattr(Grid, "due", due)


def missed_ticks_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    """They are skipped, and that is all."""
    honest = Grid.due

    def due(self: Grid, now_s: float) -> Tick | None:
        tick = honest(self, now_s)
        return None if tick is None else replace(tick, missed=0)

    patch.setattr(Grid, "due", due)


def missed_ticks_are_one_too_many(patch: pytest.MonkeyPatch) -> None:
    """The tick that is taken counts among them."""
    honest = Sampler._tell_missed

    def tell(self: Sampler, tick: Tick, late_s: float, stamp: Stamp) -> None:
        honest(self, replace(tick, missed=tick.missed + 1), late_s, stamp)

    patch.setattr(Sampler, "_tell_missed", tell)


def every_missed_tick_has_a_row(patch: pytest.MonkeyPatch) -> None:
    """A row for each, and each says one."""
    honest = Sampler._tell_missed

    def tell(self: Sampler, tick: Tick, late_s: float, stamp: Stamp) -> None:
        for _ in range(tick.missed):
            honest(self, replace(tick, missed=1), late_s, stamp)

    patch.setattr(Sampler, "_tell_missed", tell)


def the_gap_comes_after_the_row(patch: pytest.MonkeyPatch) -> None:
    """A kill between the two would leave a hole that nothing explains."""
    honest = Sampler._take

    def take(self: Sampler, tick: Tick) -> None:
        honest(self, replace(tick, missed=0))
        if tick.missed:
            self._tell_missed(tick, 0.0, self.time.stamp())

    patch.setattr(Sampler, "_take", take)


def sleep_costs_no_ticks(patch: pytest.MonkeyPatch) -> None:
    """Only the clock of the grid is asked."""
    patch.setattr(Sampler, "_slept_ticks", lambda *_: 0)


def a_step_moves_the_schedule(patch: pytest.MonkeyPatch) -> None:
    """The grid is laid anew when the wall clock is set."""
    honest = Sampler._watch_clock

    def watch(self: Sampler) -> None:
        steps = self.time.steps
        honest(self)
        if self.time.steps != steps:
            self._plan.grid.anchor(self._clock.monotonic_s() + 2.0)

    patch.setattr(Sampler, "_watch_clock", watch)


def a_step_is_not_told(patch: pytest.MonkeyPatch) -> None:
    """No event row, however far the clock was set."""
    patch.setattr("collector.timekeeping.STEP_NS_MIN", 10**18)


def the_offset_is_that_before_the_step(patch: pytest.MonkeyPatch) -> None:
    """The boot is dated by the clock that was wrong."""
    honest = ClockWatch.look

    def look(self: ClockWatch, stamp: Any) -> list[ClockStep | Synchronised]:
        found = honest(self, stamp)
        wrong_ns = 86_400 * 10**9
        return [
            replace(e, offset_ns=e.offset_ns - wrong_ns) if isinstance(e, Synchronised) else e
            for e in found
        ]

    patch.setattr(ClockWatch, "look", look)


def an_aligned_grid_is_never_corrected(patch: pytest.MonkeyPatch) -> None:
    """It stays where the wrong clock had laid it."""
    patch.setattr(Alignment, "corrected", lambda *_: False)


def an_aligned_grid_has_a_tick_at_the_step(patch: pytest.MonkeyPatch) -> None:
    """The first correction takes a row at once, wherever the clock stands."""
    honest = Alignment.corrected

    def corrected(self: Alignment, grid: Grid, now_s: float, realtime_ns: int) -> bool:
        found = honest(self, grid, now_s, realtime_ns)
        if found:
            grid.anchor(now_s)
            patch.setattr(Alignment, "corrected", honest)
        return found

    patch.setattr(Alignment, "corrected", corrected)


def the_loop_sleeps_until_something_is_due(patch: pytest.MonkeyPatch) -> None:
    """An hour's interval is an hour without a round."""
    patch.setattr(sampling, "LOOK_S_MAX", 1e9)
