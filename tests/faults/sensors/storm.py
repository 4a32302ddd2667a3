"""Hours of seeded trouble on the bus, and whether every row told the truth all the same.

The air changes so that each value names the second at which it was measured. A value that no chip
measured, that is too old, or that an earlier row had, is therefore seen.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from collector.chips import ADDRESSES
from tests.emulators.bus import FaultKind
from tests.emulators.environment import Air
from tests.unit.collector.bench import Bench

INTERVAL_S: Final = 5.0
STORM_S: Final = 3600.0
HEALING_S: Final = 600.0
"""The longest pause between two questions to a lost chip is five minutes; then it starts."""

_PPM_PER_S, _PA_PER_S = 1.0, 2.0
_BASE: Final = {"co2": 400.0, "pa": 40_000.0, "eco2": 400.0}
_AGE_S_MAX: Final = {"scd4x": 21.0, "icp10125": 16.0, "sgp30": 5.0}
"""Oldest honest value of a row: three intervals of the chip, and its own last measurement."""


class Ramp:
    """Air in which every second has its own CO2, pressure and eCO2."""

    def air(self, at_s: float) -> Air:
        """See ``Environment``."""
        return Air(
            co2_ppm=_BASE["co2"] + at_s * _PPM_PER_S,
            pressure_pa=_BASE["pa"] + at_s * _PA_PER_S,
            eco2_ppm=_BASE["eco2"] + at_s * _PPM_PER_S,
        )


_DATED: Final[dict[str, tuple[str, Callable[[float], float]]]] = {
    "scd4x": ("scd4x_co2_ppm", lambda value: (value - _BASE["co2"]) / _PPM_PER_S),
    "icp10125": ("icp10125_pressure_pa", lambda value: (value - _BASE["pa"]) / _PA_PER_S),
    "sgp30": ("sgp30_eco2_ppm", lambda value: (value - _BASE["eco2"]) / _PPM_PER_S),
}
"""By sensor: the column whose value tells when it was measured, and how."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that goes wrong for a while.

    Attributes:
        name: for people.
        begin: makes it so; returns what ends it.
    """

    name: str
    begin: Callable[[], Callable[[], None]]


def storm(seed: int) -> Bench:
    """An hour of trouble drawn from a seed, then health for ten minutes; returns the bench."""
    random, bench = Random(seed), Bench(INTERVAL_S, room=Ramp())
    bench.run(120.0)
    end_s = bench.clock.monotonic_s() + STORM_S
    while bench.clock.monotonic_s() < end_s:
        ends = [trouble.begin() for trouble in _draw(random, bench)]
        bench.run(random.choice((1.0, 7.0, 40.0, 200.0)))
        for end in ends:
            end()
        bench.run(random.choice((0.5, 3.0, 20.0, 90.0)))
    bench.bus.heal()
    bench.run(HEALING_S)
    return bench


def _draw(random: Random, bench: Bench) -> list[Trouble]:
    """One trouble, or a few at once."""
    return random.choices(_troubles(random, bench), k=random.choice((1, 1, 1, 2, 3)))


def _troubles(random: Random, bench: Bench) -> list[Trouble]:
    """Everything that can go wrong, drawn anew."""
    chips: list[Any] = [bench.scd4x, bench.icp10125, bench.sgp30]
    chip, address = random.choice(chips), random.choice((None, *ADDRESSES.values()))
    return [
        *(_wire(bench, kind, address, random.choice((None, 1, 3, 20))) for kind in (
            FaultKind.NACK, FaultKind.TIMEOUT, FaultKind.EIO, FaultKind.CRC, FaultKind.SHORT,
            FaultKind.LOST,
        )),
        Trouble("slow", lambda: _slow(bench, address, random.choice((0.3, 2.0, 9.0)))),
        Trouble("bus gone", lambda: _wire(bench, FaultKind.GONE, None, None).begin()),
        Trouble("unplugged", lambda: _unplug(bench, chip)),
        Trouble("brown-out", lambda: _once(lambda: [chip.power_cycle() for chip in chips])),
        Trouble("one loses its state", lambda: _once(chip.power_cycle)),
        Trouble("never ready", lambda: _flag(bench.scd4x, "stuck_not_ready")),
        Trouble("never done", lambda: _flag(bench.icp10125, "stuck_measuring")),
        Trouble("no CO2", lambda: _word(bench)),
    ]


def _wire(bench: Bench, kind: FaultKind, address: int | None, times: int | None) -> Trouble:
    def begin() -> Callable[[], None]:
        fault = bench.bus.inject(kind, address=address, times=times)
        return lambda: bench.bus.faults.remove(fault)

    return Trouble(kind.value, begin)


def _slow(bench: Bench, address: int | None, seconds: float) -> Callable[[], None]:
    """A kernel driver or a chip that holds the clock: ticks pass while a transfer hangs."""
    fault = bench.bus.inject(FaultKind.SLOW, address=address, times=4, seconds=seconds)
    return lambda: bench.bus.faults.remove(fault)


def _unplug(bench: Bench, chip: Any) -> Callable[[], None]:
    bench.bus.chips.pop(chip.address, None)
    return lambda: bench.plug(chip)


def _once(act: Callable[[], object]) -> Callable[[], None]:
    act()
    return lambda: None


def _flag(chip: Any, name: str) -> Callable[[], None]:
    setattr(chip, name, True)

    def mended() -> None:
        setattr(chip, name, False)
        # A chip whose measurement never ends hears nothing any more until its power is cut.
        chip.power_cycle()

    return mended


def _word(bench: Bench) -> Callable[[], None]:
    bench.scd4x.co2_word = 0

    def mended() -> None:
        bench.scd4x.co2_word = None

    return mended


def verdict(bench: Bench) -> list[str]:
    """What the rows got wrong; empty: every tick has its row, and no row a value that is not so."""
    return [*_grid(bench), *_truth(bench), *_reasons(bench), *_recovery(bench)]


def _grid(bench: Bench) -> Iterator[str]:
    """Every point of the grid is a row, or is counted by a gap row; none has two."""
    times = [s["boottime_ns"] / 1e9 for s in bench.samples]
    points = [int((at_s - times[0]) / INTERVAL_S + 0.01) for at_s in times]
    told = sum(r["detail"]["count"] for r in bench.records if r["kind"] == "gap")
    if points != sorted(set(points)):
        yield "grid: a point has two rows"
    missing = points[-1] + 1 - len(points)
    if missing != told:
        yield f"grid: {missing} ticks have no row, gap rows tell of {told}"


def _truth(bench: Bench) -> Iterator[str]:
    """Each value was measured, lately, and is in one row only."""
    for sensor, (column, measured_s) in _DATED.items():
        used_s = 0.0
        for sample in bench.samples:
            if sample[column] is None:
                continue
            at_s, now_s = measured_s(sample[column]), sample["boottime_ns"] / 1e9
            if not now_s - _AGE_S_MAX[sensor] <= at_s <= now_s + 1.0:
                yield f"value: {column} {sample[column]} at {now_s:.0f} s is of {at_s:.0f} s"
            elif at_s < used_s + 0.4:
                yield f"twice: {column} {sample[column]} at {now_s:.0f} s is of {at_s:.0f} s"
            used_s = max(used_s, at_s)


def _reasons(bench: Bench) -> Iterator[str]:
    """A value is there if, and only if, the row calls its sensor ok."""
    for sample in bench.samples:
        for sensor, (column, _) in _DATED.items():
            said = sample["sensor_status"][sensor]
            if (sample[column] is not None) != (said in ("ok", "warming_up")) and (
                sample[column] is not None or said == "ok"
            ):
                yield f"reason: {column} is {sample[column]} and {sensor} is called {said}"


def _recovery(bench: Bench) -> Iterator[str]:
    """After the storm every chip measures again, and its troubles were counted."""
    for sensor in _DATED:
        said = bench.samples[-2]["sensor_status"][sensor]
        if said != "ok":
            yield f"recovery: {sensor} is {said} after {HEALING_S:.0f} s of health"
    for station in bench.stations:
        failed = sum(n for result, n in station.results.items() if result != "ok")
        if not failed:
            yield f"counted: no fault of {station.name} in an hour of them"
