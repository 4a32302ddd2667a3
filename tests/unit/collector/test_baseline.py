"""The SGP30's baseline file: whole or old, never of unknown age."""

import io
from pathlib import Path

import pytest

from collector.baseline import BaselineFile
from collector.baseline_keeper import BaselineKeeper
from collector.chips import Kept, make_sgp30
from collector.drivers.sgp30_baseline import AGE_S_MAX, Baseline
from collector.timekeeping import Timekeeper
from common.logs import Log
from tests.emulators.clock import ManualClock
from tests.unit.collector.bench import Bench

SERIAL = 0x0000_0112_7BF2
LEARNT = Baseline(SERIAL, 0x8ABC, 0x9123, 1_792_000_000.0)
DAY_S = 86_400.0


def keeper(directory: Path, clock: ManualClock) -> BaselineKeeper:
    """A keeper of a fresh start."""
    log = Log("thermal-collector", stream=io.StringIO())
    return BaselineKeeper(BaselineFile(directory), clock, Timekeeper(clock), log)


def saved(directory: Path, clock: ManualClock) -> None:
    """Save a learnt baseline now."""
    BaselineFile(directory).save(LEARNT, Timekeeper(clock).stamp(), clock.boot_id())


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    """The words, whose they are and when, survive; no half-written file stays."""
    clock = ManualClock()
    saved(tmp_path, clock)
    loaded = BaselineFile(tmp_path).load()
    assert loaded is not None
    assert loaded.baseline == LEARNT
    assert [p.name for p in tmp_path.iterdir()] == ["sgp30-baseline.json"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 2}', '{"format": 1}', "null", "\xff"])
def test_a_damaged_file_is_no_baseline(tmp_path: Path, text: str) -> None:
    """Whatever stands in the file, the start goes on without it."""
    (tmp_path / "sgp30-baseline.json").write_text(text, encoding="latin-1")
    assert BaselineFile(tmp_path).load() is None


def test_a_missing_file_is_no_baseline(tmp_path: Path) -> None:
    """The first start has none."""
    assert BaselineFile(tmp_path).load() is None
    assert keeper(tmp_path, ManualClock()).kept() is None


def test_within_a_boot_the_age_is_known_without_a_clock(tmp_path: Path) -> None:
    """Uptime tells the age, also while the wall clock is wrong and is set."""
    clock = ManualClock(synchronised=False)
    saved(tmp_path, clock)
    clock.advance(3 * DAY_S)
    clock.step(-900 * DAY_S)
    kept = keeper(tmp_path, clock).kept()
    assert kept is not None
    assert kept.age_s == pytest.approx(3 * DAY_S)


def test_across_boots_an_old_or_undatable_one_is_not_used(tmp_path: Path) -> None:
    """Older than a week, or of unknown age: not given to the chip."""
    clock = ManualClock()
    saved(tmp_path, clock)
    next_boot = ManualClock(
        realtime_ns=clock.realtime_ns() + int(DAY_S * 1e9), boot_id="cc" * 16, synchronised=False
    )
    assert keeper(tmp_path, next_boot).kept() is None
    next_boot.synchronise()
    kept = keeper(tmp_path, next_boot).kept()
    assert kept is not None
    assert kept.age_s == pytest.approx(DAY_S)
    next_boot.step(AGE_S_MAX)
    assert keeper(tmp_path, next_boot).kept() is None
    next_boot.step(-AGE_S_MAX - 2 * DAY_S)
    assert keeper(tmp_path, next_boot).kept() is None


def test_a_failed_save_leaves_the_old_file(tmp_path: Path) -> None:
    """A directory that takes no new file keeps the old baseline readable."""
    clock = ManualClock()
    saved(tmp_path, clock)
    (tmp_path / "sgp30-baseline.new").mkdir()
    with pytest.raises(OSError, match="directory"):
        saved(tmp_path, clock)
    loaded = BaselineFile(tmp_path).load()
    assert loaded is not None
    assert loaded.baseline == LEARNT


def test_the_chip_gets_its_baseline_and_a_new_one_is_saved_hourly(tmp_path: Path) -> None:
    """A restored baseline is not saved again as new; what the chip learns afterwards is."""
    clock = ManualClock()
    saved(tmp_path, clock)
    keeping = keeper(tmp_path, clock)
    kept = keeping.kept()
    assert kept is not None
    bench = Bench(clock=clock, kept=kept)
    bench.run(60.0)
    assert bench.sgp30.baselines_set == [(LEARNT.eco2, LEARNT.tvoc)]
    before = (tmp_path / "sgp30-baseline.json").read_bytes()
    keeping.save(bench.station("sgp30"))
    assert (tmp_path / "sgp30-baseline.json").read_bytes() == before
    bench.run(4000.0)
    keeping.save(bench.station("sgp30"))
    loaded = BaselineFile(tmp_path).load()
    assert loaded is not None
    assert loaded.baseline.saved_at_s > LEARNT.saved_at_s
    assert loaded.baseline.serial == SERIAL


def test_a_baseline_waits_for_the_clock_that_tells_its_age(tmp_path: Path) -> None:
    """After a power cut without a clock the chip starts without it, and gets it at the sync."""
    clock = ManualClock()
    saved(tmp_path, clock)
    next_boot = ManualClock(
        realtime_ns=clock.realtime_ns(), boot_id="cc" * 16, synchronised=False
    )
    keeping = keeper(tmp_path, next_boot)
    assert keeping.kept() is None
    bench = Bench(clock=next_boot)
    bench.run(60.0)
    assert bench.sgp30.baselines_set == []
    next_boot.synchronise(by_s=3600.0)

    def make(kept: Kept) -> object:
        return make_sgp30(bench.bus, lambda: next_boot.realtime_ns() / 1e9, kept)

    station, compensation = bench.station("sgp30"), bench.sampler._compensation
    keeping = keeper(tmp_path, next_boot)
    keeping._waiting = True
    keeping.clock_known(station, compensation, make)  # type: ignore[arg-type]
    bench.run(60.0)
    assert len(bench.sgp30.baselines_set) == 1
    assert bench.samples[-1]["sensor_status"]["sgp30"] == "ok"
    assert id(compensation.humidity) == id(station.chip)


def test_a_chip_that_never_waited_is_left_alone(tmp_path: Path) -> None:
    """Without a file there is nothing to give at the sync, and no warm-up is spent on it."""
    bench = Bench()
    chip = bench.station("sgp30").chip
    keeping = keeper(tmp_path, bench.clock)
    keeping.kept()
    keeping.clock_known(
        bench.station("sgp30"), bench.sampler._compensation, lambda kept: pytest.fail("made")
    )
    assert bench.station("sgp30").chip is chip
