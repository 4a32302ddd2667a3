"""What the loop must do while things go wrong: scenes that tests and negative controls share.

Each check plays one fault on a ``Bench`` of its own. Every assertion says in words what it found,
so that a negative control can tell the mistake that it planted from any other failure.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

import pytest

from collector.health import Phase
from tests.emulators.bus import FaultKind, Message
from tests.emulators.clock import ManualClock
from tests.unit.collector.bench import Bench

SCD: Final = 0x62
ICP: Final = 0x63
SGP: Final = 0x58

_ICP_SOFT_RESET: Final = bytes.fromhex("805d")
_SCD_READ_MEASUREMENT: Final = bytes.fromhex("ec05")


def running(seconds: float = 60.0, interval_s: float = 5.0) -> Bench:
    """A bench whose chips have warmed up."""
    bench = Bench(interval_s)
    bench.run(seconds)
    return bench


def status(sample: dict[str, Any], sensor: str) -> str:
    """What a row says of a chip."""
    said: str = sample["sensor_status"][sensor]
    return said


def check_each_measurement_is_used_once() -> None:
    """At 1 s rows, an SCD4x that measures every 5 s gives one row in five a value."""
    bench = Bench(1.0)
    bench.run(100.0)
    used = sum(s["scd4x_co2_ppm"] is not None for s in bench.samples)
    measured = bench.station("scd4x").results["ok"]
    assert used == measured, f"{used} rows have a value, {measured} were measured"
    empty = {status(s, "scd4x") for s in bench.samples[10:] if s["scd4x_co2_ppm"] is None}
    assert empty == {"stale"}, f"rows without a value say {empty}"


def check_dead_chip(address: int, silent: str, others: Sequence[str]) -> None:
    """A chip that no longer answers is NULL with its status, and costs no other one a value."""
    bench = running()
    bench.bus.inject(FaultKind.NACK, address=address)
    bench.run(120.0)
    for other in others:
        good = sum(status(s, other) == "ok" for s in bench.samples[-20:])
        assert good >= 19, f"{other} gave {good} of 20 values beside the dead chip"
    for sample in bench.samples[-20:]:
        assert status(sample, silent) in ("nack", "absent"), "the dead chip has no reason"
        values = [v for k, v in sample.items() if k.startswith(f"{silent}_")]
        assert values == [None] * len(values), f"the dead chip has values {values}"
        assert sample["quality"] == "VALID", f"quality is {sample['quality']}"


def check_required_sensor() -> None:
    """Without a sensor that every VALID row needs, rows are PARTIAL until it is back."""
    bench = Bench(required=("scd4x", "icp10125"))
    bench.run(60.0)
    fault = bench.bus.inject(FaultKind.NACK, address=ICP)
    bench.run(60.0)
    verdict = bench.samples[-1]["quality"]
    assert verdict == "PARTIAL", f"without a required sensor quality is {verdict}"
    bench.bus.faults.remove(fault)
    bench.run(120.0)
    verdict = bench.samples[-1]["quality"]
    assert verdict == "VALID", f"with all required sensors quality is {verdict}"


def check_return_of_a_chip() -> None:
    """A chip that is lost is asked, found, started anew and measured; each is told once."""
    bench = running()
    fault = bench.bus.inject(FaultKind.NACK, address=SCD)
    bench.run(600.0)
    health = bench.station("scd4x").health
    assert health.phase is Phase.LOST, f"silent for ten minutes, the chip is {health.phase}"
    bench.bus.faults.remove(fault)
    bench.run(80.0)
    phase = bench.station("scd4x").health.phase
    assert phase is Phase.MEASURING, f"answering again, the chip is {phase}"
    assert bench.samples[-2]["scd4x_co2_ppm"] is not None, "no value after the return"
    story = [e for e in bench.events if e in ("sensor_failing", "sensor_lost", "sensor_found")]
    assert story == ["sensor_failing", "sensor_lost", "sensor_found"], f"the log says {story}"


def check_silence_of_all() -> None:
    """With nobody answering every tick is a row, INVALID, with the computer's own readings."""
    bench = running()
    bench.bus.inject(FaultKind.NACK)
    before = len(bench.samples)
    bench.run(300.0)
    taken = len(bench.samples) - before
    assert taken == 60, f"{taken} rows of 60 ticks in silence"
    last = bench.samples[-1]
    assert last["quality"] == "INVALID", f"quality of silence is {last['quality']}"
    said = set(last["sensor_status"].values())
    assert said <= {"nack", "absent"}, f"silent chips say {said}"
    assert last["memory_percent"] is not None, "the computer's readings are missing"


def check_noise() -> None:
    """A flipped bit now and then is counted, mended by the next measurement, and not logged."""
    bench = running()
    lines = len(bench.events)
    for _ in range(5):
        bench.bus.inject(FaultKind.CRC, address=ICP, times=1)
        bench.run(30.0)
    counted = bench.station("icp10125").results["crc"]
    assert counted == 5, f"{counted} of 5 damaged answers were counted"
    assert len(bench.events) == lines, f"noise is logged: {bench.events[lines:]}"
    said = status(bench.samples[-1], "icp10125")
    assert said == "ok", f"after the noise the chip is {said}"


def check_damaged_reads() -> None:
    """A data read that came damaged is never repeated: the chip has given its sample away."""
    bench = running()
    reads = 0

    def damage(message: Message) -> None:
        nonlocal reads
        if message.address == SCD and message.data == _SCD_READ_MEASUREMENT:
            reads += 1
            bench.bus.inject(FaultKind.CRC, address=SCD, times=1)

    bench.bus.on_message = damage
    before = bench.scd4x.samples_read
    bench.run(30.0)
    assert reads >= 4, f"{reads} data reads in 30 s"
    assert bench.scd4x.counters.violations == [], "a damaged data read was repeated"
    counted = bench.station("scd4x").results["crc"]
    assert counted == reads, f"{counted} of {reads} damaged reads were counted"
    assert bench.scd4x.samples_read - before == reads, "a read found no sample"


def check_locked_bus() -> None:
    """Three timeouts in a row stop all polling; the bus is reopened, ever more rarely."""
    bench = running()
    fault = bench.bus.inject(FaultKind.TIMEOUT)
    before = bench.bus.transfers
    bench.run(300.0)
    transfers = bench.bus.transfers - before
    assert transfers < 45, f"{transfers} transfers on a locked bus in five minutes"
    reopened = bench.bus.reopened
    assert 3 <= reopened <= 20, f"the locked bus was reopened {reopened} times"
    assert len(bench.samples) == 72, f"{len(bench.samples)} rows of 72 ticks"
    said = set(bench.samples[-1]["sensor_status"].values())
    assert said == {"timeout"}, f"on a locked bus chips say {said}"
    bench.bus.faults.remove(fault)
    bench.run(200.0)
    said = set(bench.samples[-2]["sensor_status"].values())
    assert said <= {"ok", "stale"}, f"on the healed bus chips say {said}"


def check_lost_bus() -> None:
    """While the device node is missing rows say absent; one line at each end of it."""
    bench = running()
    fault = bench.bus.inject(FaultKind.GONE)
    bench.run(120.0)
    said = set(bench.samples[-1]["sensor_status"].values())
    assert said == {"absent"}, f"without a bus chips say {said}"
    bench.bus.faults.remove(fault)
    bench.run(200.0)
    back = status(bench.samples[-1], "icp10125")
    assert back == "ok", f"with the bus back the chip is {back}"
    told = (bench.events.count("bus_lost"), bench.events.count("bus_back"))
    assert told == (1, 1), f"bus lost and back were told {told} times"


def check_hot_plug() -> None:
    """A chip that was not there at the start is found within minutes of its plugging in."""
    bench = Bench()
    bench.unplug(bench.sgp30)
    bench.station("sgp30").missing(bench.clock.monotonic_s())
    asked = _asked(bench, SGP)
    bench.run(200.0)
    said = status(bench.samples[-1], "sgp30")
    assert said == "absent", f"a chip that is not there is {said}"
    assert 1 <= len(asked) <= 8, f"an absent chip was sent {len(asked)} messages in 200 s"
    bench.plug(bench.sgp30)
    bench.run(330.0)
    said = status(bench.samples[-1], "sgp30")
    assert said == "ok", f"a chip that was plugged in is {said}"


def _asked(bench: Bench, address: int) -> list[Message]:
    """The messages to a chip from now on, as they come."""
    seen: list[Message] = []
    bench.bus.on_message = lambda m: seen.append(m) if m.address == address else None
    return seen


def check_chip_without_data() -> None:
    """A chip that acknowledges all and measures nothing is reset; rows say timeout meanwhile."""
    bench = running()
    bench.scd4x.stuck_not_ready = True
    bench.run(60.0)
    resets = bench.station("scd4x").health.resets
    assert resets >= 1, "a chip without data was never reset"
    silent = [s for s in bench.samples if status(s, "scd4x") == "timeout"]
    assert silent, "no row says timeout"
    values = {s["scd4x_co2_ppm"] for s in silent}
    assert values == {None}, f"rows that say timeout have values {values}"
    bench.scd4x.stuck_not_ready = False
    bench.run(120.0)
    back = status(bench.samples[-2], "scd4x")
    assert back in ("ok", "stale"), f"with data again the chip is {back}"


def check_frozen_chip() -> None:
    """Ten minutes of the same raw words: the values stay, marked, and the chip is started anew."""
    bench = running()
    asked = _asked(bench, ICP)
    bench.run(640.0)
    stuck = [s for s in bench.samples if status(s, "icp10125") == "stuck"]
    assert stuck, "a frozen chip is not marked"
    assert stuck[0]["icp10125_pressure_pa"] is not None, "the values of a frozen chip are gone"
    told = bench.events.count("sensor_stuck")
    assert told == 2, f"two frozen chips were told {told} times"
    resets = sum(message.data == _ICP_SOFT_RESET for message in asked)
    assert resets == 1, f"the frozen chip was reset {resets} times"
    bench.air.change(pressure_pa=99_000.0, co2_ppm=800.0)
    bench.run(30.0)
    back = status(bench.samples[-1], "icp10125")
    assert back == "ok", f"moving again the chip is {back}"


def check_missed_ticks() -> None:
    """Points that passed unseen are counted and told in one row, before the row that follows."""
    bench = Bench()
    bench.run(30.0)
    bench.clock.advance(22.0)
    bench.run(120.0)
    gaps = [r["detail"] for r in bench.records if r["kind"] == "gap"]
    assert [g["reason"] for g in gaps] == ["missed_ticks"], f"the gaps are {gaps}"
    counted = (gaps[0]["count"], bench.sampler.missed)
    assert counted == (3, 3), f"3 missed ticks were counted as {counted}"
    assert gaps[0]["first_seq"] is None, "a tick that was never taken has a seq"
    points = len(bench.samples) + counted[0]
    assert points == pytest.approx(172.0 / 5, abs=1), f"rows + missed = {points} points"
    at = next(i for i, r in enumerate(bench.records) if r["kind"] == "gap")
    before, after = (bench.records[i]["boottime_ns"] / 1e9 for i in (at - 1, at + 1))
    pause_s = after - before
    assert pause_s == pytest.approx(20.0, abs=5.1), f"the gap row comes late: {pause_s} s"


def check_suspend() -> None:
    """A machine that sleeps misses ticks too, though the clock of the grid stood still."""
    bench = running(30.0)
    bench.clock.suspend(600.0)
    bench.run(9.0)
    told = [r["detail"]["count"] for r in bench.records if r["kind"] == "gap"]
    assert told == [120], f"120 ticks of sleep are told as {told}"


def check_clock_step() -> None:
    """A step changes times of rows, never their pace; it is told, and the offset is the new one."""
    bench = Bench(clock=ManualClock(synchronised=False))
    bench.clock.at(100.0, lambda: bench.clock.synchronise(by_s=86_400.0))
    bench.run(200.0)
    ticks = [s["boottime_ns"] for s in bench.samples]
    steps_s = {round((b - a) / 1e9, 1) for a, b in pairwise(ticks)}
    assert steps_s == {5.0}, f"the pace of rows is {steps_s}"
    assert len(ticks) == 40, f"{len(ticks)} rows of 40 ticks"
    events = [r["detail"] for r in bench.records if r["kind"] == "event"]
    told = [(e["event"], e["by_s"]) for e in events]
    assert told == [("clock_step", 86_400.0)], f"the step was told as {told}"
    offset_ns = bench.clock.realtime_ns() - bench.clock.boottime_ns()
    assert bench.offsets == [offset_ns], f"the offsets are {bench.offsets}, not {offset_ns}"
    assert bench.synchronised == 1, f"synchronised {bench.synchronised} times"
    synced = [s["clock_synced"] for s in (bench.samples[0], bench.samples[-1])]
    assert synced == [0, 1], f"first and last row are synchronised: {synced}"


def check_aligned_step() -> None:
    """After the clock was set, an aligned grid is on the wall clock's multiples again."""
    bench = Bench(60.0, align=True, clock=ManualClock(synchronised=False))
    bench.clock.at(1000.0, lambda: bench.clock.synchronise(by_s=12_345.6))
    bench.run(3600.0)
    off_ms = max(s["taken_at"] // 1000 % 60_000 for s in bench.samples)
    assert off_ms <= 100, f"an aligned row is {off_ms} ms off"
    assert len(bench.samples) == pytest.approx(60, abs=1), f"{len(bench.samples)} rows in an hour"


def check_rounds() -> None:
    """No wait is longer than a second, also when nothing is due for an hour."""
    bench = Bench(3600.0)
    bench.bus.inject(FaultKind.NACK)
    bench.run(60.0)
    longest_s = max(bench.clock.slept)
    assert longest_s <= 1.0, f"the loop slept for {longest_s} s"
