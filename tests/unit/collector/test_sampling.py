"""The loop on emulated chips and a clock that jumps: what rows say while things go wrong."""

from itertools import pairwise

import pytest

from collector.assemble import ChipReport
from collector.health import Phase
from collector.sampling import LOOK_S_MAX
from tests.emulators.bus import FaultKind
from tests.emulators.clock import ManualClock
from tests.emulators.environment import RecordedRoom
from tests.unit.collector.bench import Bench

SCD, ICP, SGP = 0x62, 0x63, 0x58


def test_a_quiet_hour_gives_every_tick_and_every_chip() -> None:
    """720 rows in an hour at 5 s, VALID, all values there once the chips have warmed up."""
    bench = Bench(room=RecordedRoom())
    bench.run(3600.0)
    samples = bench.samples
    assert len(samples) == 720
    warm = samples[4:]
    assert {s["quality"] for s in warm} == {"VALID"}
    assert all(s["icp10125_pressure_pa"] is not None for s in warm)
    assert all(s["sgp30_eco2_ppm"] is not None for s in warm)
    with_co2 = [s for s in warm if s["scd4x_co2_ppm"] is not None]
    assert len(with_co2) >= len(warm) * 0.99
    for chip in (bench.scd4x, bench.icp10125, bench.sgp30):
        assert chip.counters.violations == []


def test_no_measurement_is_used_twice() -> None:
    """At 1 s rows, an SCD4x that measures every 5 s gives one row in five a value."""
    bench = Bench(1.0)
    bench.run(100.0)
    assert values_of_scd4x(bench) == bench.station("scd4x").results["ok"]
    empty = [s["sensor_status"]["scd4x"] for s in bench.samples[10:] if s["scd4x_co2_ppm"] is None]
    assert set(empty) == {"stale"}


def values_of_scd4x(bench: Bench) -> int:
    """Rows with a CO2 value."""
    return sum(s["scd4x_co2_ppm"] is not None for s in bench.samples)


def test_a_station_that_gives_a_measurement_twice_would_be_seen() -> None:
    """Negative control: with a measurement that is not used up, rows have more values than it."""
    bench = Bench(1.0)
    station = bench.station("scd4x")
    honest = station.report

    def generous(now_s: float) -> ChipReport:
        report = honest(now_s)
        station._newest = report.measurement
        return report

    station.report = generous  # type: ignore[method-assign]
    bench.run(100.0)
    assert values_of_scd4x(bench) > station.results["ok"]


def test_the_sgp30_is_asked_every_second_whatever_the_interval() -> None:
    """Rows every 15 minutes leave the chip's 1 Hz alone, and take its latest second."""
    bench = Bench(900.0)
    bench.run(1900.0)
    assert len(bench.samples) == 2
    assert bench.samples[-1]["sgp30_eco2_ppm"] is not None
    gaps = bench.sgp30.gaps_s
    assert len(gaps) > 1800
    assert max(gaps) < 1.11


@pytest.mark.parametrize(
    ("address", "silent", "others"),
    [
        (SCD, "scd4x", ("icp10125", "sgp30")),
        (ICP, "icp10125", ("scd4x", "sgp30")),
        (SGP, "sgp30", ("scd4x", "icp10125")),
    ],
)
def test_a_dead_chip_is_null_with_its_status_and_the_others_go_on(
    address: int, silent: str, others: tuple[str, str]
) -> None:
    """One chip that no longer answers never costs another one a value."""
    bench = Bench()
    bench.run(60.0)
    bench.bus.inject(FaultKind.NACK, address=address)
    bench.run(120.0)
    for sample in bench.samples[-20:]:
        assert sample["sensor_status"][silent] in ("nack", "absent")
        assert all(v is None for k, v in sample.items() if k.startswith(f"{silent}_"))
        assert sample["quality"] == "VALID"
    for other in others:
        good = [s for s in bench.samples[-20:] if s["sensor_status"][other] == "ok"]
        assert len(good) >= 19, other


def test_a_chip_that_comes_back_is_found_and_measured_again() -> None:
    """After the fault the chip is started anew and gives values, without a restart."""
    bench = Bench()
    bench.run(60.0)
    fault = bench.bus.inject(FaultKind.NACK, address=SCD)
    bench.run(600.0)
    assert bench.station("scd4x").health.phase is Phase.LOST
    bench.bus.faults.remove(fault)
    bench.run(80.0)
    assert bench.station("scd4x").health.phase is Phase.MEASURING
    assert bench.samples[-2]["scd4x_co2_ppm"] is not None
    story = [e for e in bench.events if e in ("sensor_failing", "sensor_lost", "sensor_found")]
    assert story == ["sensor_failing", "sensor_lost", "sensor_found"]


def test_every_tick_is_written_when_all_chips_are_silent() -> None:
    """With nobody answering, rows go on as INVALID: absence is data."""
    bench = Bench()
    bench.run(60.0)
    bench.bus.inject(FaultKind.NACK)
    before = len(bench.samples)
    bench.run(300.0)
    assert len(bench.samples) - before == 60
    last = bench.samples[-1]
    assert last["quality"] == "INVALID"
    assert set(last["sensor_status"].values()) <= {"nack", "absent"}
    assert last["memory_percent"] is not None


def test_noise_costs_single_values_and_no_line_in_the_log() -> None:
    """A flipped bit now and then is counted and mended by the next measurement."""
    bench = Bench()
    bench.run(60.0)
    lines = len(bench.events)
    for _ in range(5):
        bench.bus.inject(FaultKind.CRC, address=ICP, times=1)
        bench.run(30.0)
    assert bench.station("icp10125").results["crc"] == 5
    assert len(bench.events) == lines
    assert bench.samples[-1]["sensor_status"]["icp10125"] == "ok"


def test_a_locked_bus_is_left_alone_and_reopened() -> None:
    """Three timeouts in a row stop all polling; the bus is reopened, ever more rarely."""
    bench = Bench()
    bench.run(60.0)
    fault = bench.bus.inject(FaultKind.TIMEOUT)
    before = bench.bus.transfers
    bench.run(300.0)
    assert bench.bus.transfers - before < 60
    assert bench.bus.reopened >= 3
    assert len(bench.samples) == 72
    assert set(bench.samples[-1]["sensor_status"].values()) == {"timeout"}
    bench.bus.faults.remove(fault)
    bench.run(200.0)
    assert set(bench.samples[-2]["sensor_status"].values()) <= {"ok", "stale"}


def test_a_bus_that_is_gone_is_told_once_and_found_again() -> None:
    """While the device node is missing rows say absent; one line at each end of it."""
    bench = Bench()
    bench.run(60.0)
    fault = bench.bus.inject(FaultKind.GONE)
    bench.run(120.0)
    assert set(bench.samples[-1]["sensor_status"].values()) == {"absent"}
    bench.bus.faults.remove(fault)
    bench.run(200.0)
    assert bench.samples[-1]["sensor_status"]["icp10125"] == "ok"
    assert (bench.events.count("bus_lost"), bench.events.count("bus_back")) == (1, 1)


def test_a_chip_plugged_in_later_is_found() -> None:
    """A chip that was not there at the start is found within a minute or so of its plugging in."""
    bench = Bench()
    bench.unplug(bench.sgp30)
    bench.station("sgp30").missing(bench.clock.monotonic_s())
    bench.run(200.0)
    assert bench.samples[-1]["sensor_status"]["sgp30"] == "absent"
    bench.plug(bench.sgp30)
    bench.run(330.0)
    assert bench.samples[-1]["sensor_status"]["sgp30"] == "ok"


def test_an_scd4x_without_new_data_is_started_anew() -> None:
    """A chip that acknowledges all and measures nothing is reset; rows say timeout meanwhile."""
    bench = Bench()
    bench.run(60.0)
    bench.scd4x.stuck_not_ready = True
    bench.run(60.0)
    assert bench.station("scd4x").health.resets >= 1
    assert any(s["sensor_status"]["scd4x"] == "timeout" for s in bench.samples)
    bench.scd4x.stuck_not_ready = False
    bench.run(120.0)
    assert bench.samples[-2]["sensor_status"]["scd4x"] in ("ok", "stale")


def test_a_frozen_chip_is_marked_stuck_and_reset() -> None:
    """Ten minutes of the same raw words: the values stay, marked, and the chip is started anew."""
    bench = Bench()
    bench.run(700.0)
    stuck = [s for s in bench.samples if s["sensor_status"]["icp10125"] == "stuck"]
    assert stuck
    assert stuck[0]["icp10125_pressure_pa"] is not None
    assert bench.events.count("sensor_stuck") == 2
    bench.air.change(pressure_pa=99_000.0, co2_ppm=800.0)
    bench.run(30.0)
    assert bench.samples[-1]["sensor_status"]["icp10125"] == "ok"


def test_chips_learn_from_each_other() -> None:
    """The ICP's pressure reaches the SCD4x, the SCD4x's humidity the SGP30."""
    bench = Bench()
    written: list[bytes] = []
    bench.bus.on_message = lambda m: written.append(m.data) if m.address == SCD else None
    bench.run(120.0)
    assert any(data[:4] == bytes.fromhex("e00003dc") for data in written)
    assert bench.sgp30.humidity_words


def test_missed_ticks_are_counted_and_become_one_gap_row() -> None:
    """A process that did not run for a while counts the points it missed, in one row."""
    bench = Bench()
    bench.run(30.0)
    bench.clock.advance(22.0)
    bench.run(120.0)
    gaps = [r["detail"] for r in bench.records if r["kind"] == "gap"]
    assert [g["reason"] for g in gaps] == ["missed_ticks"]
    assert gaps[0]["count"] == bench.sampler.missed.total == 3
    assert gaps[0]["first_seq"] is None
    taken = len(bench.samples)
    assert taken + gaps[0]["count"] == pytest.approx(172 / 5, abs=1)


def test_missed_ticks_are_handed_over_at_the_end() -> None:
    """What was counted and not yet told goes into a row when the loop ends."""
    bench = Bench()
    bench.run(30.0)
    bench.clock.advance(22.0)
    bench.run(10.0)
    assert not [r for r in bench.records if r["kind"] == "gap"]
    bench.sampler.finish()
    assert [r["detail"]["count"] for r in bench.records if r["kind"] == "gap"] == [3]


def test_the_clock_is_set_by_a_day_and_sampling_does_not_notice() -> None:
    """A step changes times of rows, never their pace; it becomes an event row."""
    bench = Bench(clock=ManualClock(synchronised=False))
    bench.clock.at(100.0, lambda: bench.clock.synchronise(by_s=86_400.0))
    bench.run(200.0)
    assert len(bench.samples) == 40
    ticks = [s["boottime_ns"] for s in bench.samples]
    steps_s = {round((b - a) / 1e9, 1) for a, b in pairwise(ticks)}
    assert steps_s == {5.0}
    events = [r["detail"] for r in bench.records if r["kind"] == "event"]
    assert [e["event"] for e in events] == ["clock_step"]
    assert events[0]["by_s"] == 86_400.0
    assert (len(bench.offsets), bench.synchronised) == (1, 1)
    assert [s["clock_synced"] for s in (bench.samples[0], bench.samples[-1])] == [0, 1]


def test_an_aligned_grid_follows_the_clock_over_a_step() -> None:
    """After the clock was set, ticks are on its multiples again."""
    bench = Bench(60.0, align=True, clock=ManualClock(synchronised=False))
    bench.clock.at(1000.0, lambda: bench.clock.synchronise(by_s=12_345.6))
    bench.run(3600.0)
    off_ms = {s["taken_at"] // 1000 % 60_000 for s in bench.samples}
    assert max(off_ms) <= 100
    assert len(bench.samples) == pytest.approx(60, abs=1)


def test_the_loop_comes_round_every_second_for_the_watchdog() -> None:
    """No wait is longer than a second, also when nothing is due for an hour."""
    bench = Bench(3600.0)
    bench.bus.inject(FaultKind.NACK)
    bench.run(60.0)
    assert max(bench.clock.slept) <= LOOK_S_MAX


def test_ten_rows_a_second_are_taken() -> None:
    """At the least interval every point becomes a row."""
    bench = Bench(0.1)
    bench.run(30.0)
    assert len(bench.samples) + bench.sampler.missed.total == pytest.approx(300, abs=2)
    assert bench.sampler.missed.total <= 3
