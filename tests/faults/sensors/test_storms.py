"""NACK storms, stuck and vanished buses, noise, brown-outs, frozen and unplugged chips, by seed."""

from collections.abc import Callable
from functools import cache
from typing import Final

import pytest

from collector.relapse import Relapse
from collector.station import Station
from tests.faults.sensors.storm import INTERVAL_S, Ramp, storm, verdict
from tests.unit.collector import chip_mistakes, loop_mistakes
from tests.unit.collector.bench import Bench

SEEDS: Final = 12

honest = cache(storm)
"""Storms over the product as it is, each played once."""


def test_calm_air_dates_every_value() -> None:
    """Without trouble each tick has all values, of that very moment: the yardstick is right."""
    bench = Bench(INTERVAL_S, room=Ramp())
    bench.run(900.0)
    found = [text for text in verdict(bench) if not text.startswith("counted")]
    assert found == []
    good = [s for s in bench.samples[10:] if set(s["sensor_status"].values()) == {"ok"}]
    assert len(good) >= len(bench.samples[10:]) - 2


@pytest.mark.parametrize("seed", range(SEEDS))
def test_an_hour_of_trouble_leaves_only_true_rows(seed: int) -> None:
    """Every tick's row is on time, its values were measured for it, and all chips come back."""
    assert verdict(honest(seed)) == []


def a_repaired_value(patch: pytest.MonkeyPatch) -> None:
    """A damaged answer is used all the same."""
    chip_mistakes.checksums_are_not_looked_at(patch)


def old_values_are_new(patch: pytest.MonkeyPatch) -> None:
    """Nobody looks at the age of a measurement."""
    honest = Station._measured
    patch.setattr(Station, "_age_s", lambda *_: 0.0)

    def measured(self: Station, measurement: object, now_s: float) -> object:
        turn = honest(self, measurement, now_s)  # type: ignore[arg-type]
        held = self.__dict__.setdefault("held", [])
        held.append(self._newest)
        self._newest = held[max(0, len(held) - 9)]
        return turn

    patch.setattr(Station, "_measured", measured)


def a_sleeping_chip_is_believed(patch: pytest.MonkeyPatch) -> None:
    """400 ppm and 0 ppb is clean air, whatever was before."""
    patch.setattr(Relapse, "see", lambda *_: False)


MISTAKES: Final[dict[Callable[[pytest.MonkeyPatch], None], str]] = {
    chip_mistakes.null_becomes_the_last_value: "value",
    chip_mistakes.null_becomes_zero: "value",
    chip_mistakes.a_measurement_is_handed_out_twice: "twice",
    chip_mistakes.the_status_stays_ok: "reason",
    chip_mistakes.a_lost_chip_is_never_asked: "recovery",
    a_sleeping_chip_is_believed: "value",
    loop_mistakes.silence_writes_no_row: "grid",
    loop_mistakes.missed_ticks_are_not_counted: "grid",
    loop_mistakes.ticks_wait_for_the_bus: "grid",
    a_repaired_value: "value",
    old_values_are_new: "value",
}


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake.__name__)
def test_planted_mistakes_are_caught(
    monkeypatch: pytest.MonkeyPatch, mistake: Callable[[pytest.MonkeyPatch], None]
) -> None:
    """Negative control: the same storms find each mistake, by the right word."""
    mistake(monkeypatch)
    for seed in range(SEEDS):
        if any(text.startswith(MISTAKES[mistake]) for text in verdict(storm(seed))):
            return
    pytest.fail(f"{mistake.__name__} was not seen in {SEEDS} storms")


def test_every_kind_of_fault_takes_part() -> None:
    """The storms meet every outcome that is counted, lost chips and buses, and missed ticks."""
    seen, missed = set(), 0
    for seed in range(SEEDS):
        bench = honest(seed)
        seen |= {result for s in bench.stations for result, n in s.results.items() if n}
        missed += sum(r["detail"]["count"] for r in bench.records if r["kind"] == "gap")
        seen |= {event for event in bench.events if event.startswith(("sensor_", "bus_"))}
    assert {"ok", "error", "crc", "timeout", "nack", "sensor_lost", "sensor_found"} <= seen
    assert any(event.startswith("bus_") for event in seen)
    assert missed > 0
