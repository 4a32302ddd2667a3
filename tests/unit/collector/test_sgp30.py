"""The SGP30 driver's state machine, on an emulated chip that allows no short cut."""

import pytest

from collector.bus import Nack
from collector.drivers import UnexpectedChip
from collector.drivers.sensirion import ChecksumMismatch, execute
from collector.drivers.sgp30 import ADDRESS, GET_IAQ_BASELINE, SET_IAQ_BASELINE, Sgp30
from collector.drivers.sgp30_baseline import Baseline
from tests.emulators.bus import FaultKind
from tests.emulators.chips.sgp30 import State
from tests.unit.collector.rig import Rig, statuses, values

SERIAL = 0x0000_0112_7BF2
HOUR_S = 3600.0


@pytest.fixture
def rig() -> Rig:
    """Chips on a bus."""
    return Rig()


def sgp30(rig: Rig, baseline: Baseline | None = None, age_s: float = 0.0) -> Sgp30:
    """A driver whose wall clock is the rig's time."""
    return Sgp30(rig.bus, realtime_s=rig.time, baseline=baseline, baseline_age_s=age_s)


def kept(serial: int = SERIAL, eco2: int = 0x8000, tvoc: int = 0x9000) -> Baseline:
    """A baseline from an earlier run."""
    return Baseline(serial, eco2, tvoc, saved_at_s=1.0)


def test_start_up_sequence(rig: Rig) -> None:
    """Serial, features, init; without a kept baseline nothing is set."""
    rig.run(sgp30(rig), 0.5)
    assert rig.sent() == ["3682", "202f", "2003"]
    assert rig.sgp30.state is State.IAQ


def test_measures_once_a_second(rig: Rig) -> None:
    """An hour holds 3600 measurements, none more than a tenth off."""
    taken = rig.run(sgp30(rig), 3600.5)
    assert len(taken) == 3600
    assert rig.sgp30.irregular_gaps == 0
    assert len(rig.sgp30.gaps_s) == 3599
    assert rig.sgp30.counters.violations == []


def test_warm_up_is_told_by_time(rig: Rig) -> None:
    """Fifteen seconds of 400/0 are not values; 400/0 afterwards is clean air."""
    rig.air.change(eco2_ppm=400.0, tvoc_ppb=0.0)
    taken = rig.run(sgp30(rig), 20.5)
    told = [statuses(measurement)[0] for measurement in taken]
    assert told == ["warming_up"] * 14 + ["ok"] * 6
    assert values(taken[0]) == {"sgp30_eco2_ppm": None, "sgp30_tvoc_ppb": None}
    assert values(taken[-1]) == {"sgp30_eco2_ppm": 400.0, "sgp30_tvoc_ppb": 0.0}


def test_missed_seconds_are_skipped_and_counted(rig: Rig) -> None:
    """After a pause of the caller one measurement follows, not a burst of ten."""
    driver = sgp30(rig)
    rig.run(driver, 20.0)
    rig.time.advance(10.0)
    before = rig.sent().count("2008")
    assert len(rig.run(driver, 2.5)) in (2, 3)
    assert rig.sent().count("2008") - before in (2, 3)
    assert driver.ticks_missed in (9, 10)


def test_a_failed_measurement_waits_for_the_next_second(rig: Rig) -> None:
    """The answer can be read once, so it is not asked for again."""
    driver = sgp30(rig)
    rig.run(driver, 20.5)
    before = rig.sent().count("2008")
    rig.sgp30.flip_bit = 7
    rig.time.advance(0.6)
    with pytest.raises(ChecksumMismatch):
        driver.step(rig.time())
    step = driver.step(rig.time())
    assert step.measurement is None
    assert 0.0 < step.wait_s <= 1.0
    assert rig.sent().count("2008") == before + 1
    assert len(rig.run(driver, 5.0)) == 5


def test_humidity_is_told_when_it_changed_at_most_once_a_minute(rig: Rig) -> None:
    """The compensation follows the air slowly, and again after each init."""
    driver = sgp30(rig)
    driver.set_humidity(25.0, 50.0)
    rig.run(driver, 5.0)
    assert rig.sgp30.humidity_words == [0x0B7C]
    for percent in range(51, 60):
        driver.set_humidity(25.0, float(percent))
        rig.run(driver, 2.0)
    assert rig.sgp30.humidity_words == [0x0B7C]
    rig.run(driver, 60.0)
    assert len(rig.sgp30.humidity_words) == 2
    rig.run(driver, 300.0)
    assert len(rig.sgp30.humidity_words) == 2
    driver.reset()
    rig.run(driver, 5.0)
    assert len(rig.sgp30.humidity_words) == 3
    assert rig.sgp30.humidity_word == rig.sgp30.humidity_words[1]
    assert rig.sgp30.counters.violations == []


def test_dry_air_does_not_switch_the_compensation_off(rig: Rig) -> None:
    """Word 0 means off, so the least humidity is 1."""
    driver = sgp30(rig)
    driver.set_humidity(20.0, 0.0)
    rig.run(driver, 5.0)
    assert rig.sgp30.humidity_words == [1]


def test_a_kept_baseline_is_restored(rig: Rig) -> None:
    """After init the words are set, TVOC first, and the driver names it as the one in use."""
    driver = sgp30(rig, kept(), age_s=6 * 24 * HOUR_S)
    rig.run(driver, 5.0)
    assert rig.sgp30.baselines_set == [(0x8000, 0x9000)]
    assert driver.baseline == kept()
    assert driver.baseline_refusal is None


@pytest.mark.parametrize(
    ("baseline", "age_s", "reason"),
    [
        (kept(serial=SERIAL + 1), 0.0, "belongs to serial"),
        (kept(), 7 * 24 * HOUR_S + 1, "7.0 days"),
        (kept(), -1.0, "age"),
        (kept(eco2=0, tvoc=0), 0.0, "empty"),
    ],
)
def test_a_doubtful_baseline_is_refused(
    rig: Rig, baseline: Baseline, age_s: float, reason: str
) -> None:
    """Foreign, stale, of unknown age or empty: none is set, and the reason is told."""
    driver = sgp30(rig, baseline, age_s)
    rig.run(driver, 5.0)
    assert rig.sgp30.baselines_set == []
    assert driver.baseline is None
    assert driver.baseline_refusal is not None
    assert reason in driver.baseline_refusal


def test_a_chip_that_stayed_powered_keeps_its_newer_baseline(rig: Rig) -> None:
    """When only the process died, what the chip knows is newer than what was kept."""
    rig.run(sgp30(rig, kept()), 2 * HOUR_S)
    execute(rig.bus, ADDRESS, SET_IAQ_BASELINE, 0x9111, 0x8111)
    rig.run(sgp30(rig, kept(), age_s=HOUR_S), 5.0)
    assert rig.sgp30.baselines_set[-1] == (0x8111, 0x9111)


@pytest.mark.parametrize("kind", [FaultKind.NACK, FaultKind.CRC])
def test_a_sleeping_chip_that_refuses_the_question_gets_the_kept_one(
    rig: Rig, kind: FaultKind
) -> None:
    """Whether a chip without init knows its baseline is not documented."""
    driver = sgp30(rig, kept())
    for _ in range(2):
        driver.step(rig.time())
    rig.bus.inject(kind, address=ADDRESS, times=1)
    rig.run(driver, 5.0)
    assert rig.sgp30.baselines_set == [(0x8000, 0x9000)]


def test_a_running_baseline_without_a_kept_one_is_not_trusted(rig: Rig) -> None:
    """Nobody knows how long it learned, so the chip starts anew."""
    rig.run(sgp30(rig), 2 * HOUR_S)
    rig.run(sgp30(rig), 5.0)
    assert rig.sgp30.baselines_set == []
    assert rig.sgp30.inits == 2


def test_first_baseline_after_twelve_hours_then_hourly(rig: Rig) -> None:
    """Early operation keeps nothing; afterwards each hour brings a newer one."""
    driver = sgp30(rig)
    rig.run(driver, 12 * HOUR_S - 2)
    early = driver.baseline
    assert rig.sent().count("2015") == 0
    rig.run(driver, 4)
    first = driver.baseline
    assert early is None
    assert first is not None
    assert (first.serial, first.eco2 != 0, first.tvoc != 0) == (SERIAL, True, True)
    assert first.saved_at_s == pytest.approx(rig.time(), abs=5)
    rig.run(driver, HOUR_S + 2)
    assert driver.baseline is not None
    assert driver.baseline.saved_at_s > first.saved_at_s + 3590
    assert rig.sgp30.irregular_gaps == 0


def test_a_restored_baseline_is_renewed_after_an_hour(rig: Rig) -> None:
    """Within the hour the chip only repeats what it was given."""
    driver = sgp30(rig, kept())
    rig.run(driver, HOUR_S - 5)
    assert driver.baseline == kept()
    rig.run(driver, 10)
    assert driver.baseline is not None
    assert driver.baseline.saved_at_s > kept().saved_at_s


def test_zero_baseline_is_never_kept(rig: Rig) -> None:
    """0, 0 means that the chip has none."""
    rig.sgp30.baseline_warm_up_s = 1e9
    driver = sgp30(rig)
    rig.run(driver, 13.5 * HOUR_S)
    assert rig.sent().count("2015") == 2
    assert driver.baseline is None


def test_recovery_restores_the_newest_baseline(rig: Rig) -> None:
    """A reset after half a day gives the chip back what it had learned."""
    driver = sgp30(rig)
    rig.run(driver, 12 * HOUR_S + 5)
    learned = driver.baseline
    assert learned is not None
    rig.sgp30.power_cycle()
    rig.time.advance(1.0)
    driver.reset()
    rig.run(driver, 5.0)
    assert rig.sgp30.baselines_set == [(learned.eco2, learned.tvoc)]
    assert driver.baseline == learned


def test_saturation(rig: Rig) -> None:
    """60000 is the end of the scale, no value."""
    driver = sgp30(rig)
    rig.run(driver, 20.0)
    rig.sgp30.saturated = True
    (taken,) = rig.run(driver, 1.0)
    assert statuses(taken) == ["saturated", "saturated"]


def test_probe(rig: Rig) -> None:
    """Names features and serial in any state without leaving it; strangers are refused."""
    expected = "SGP30 features 0022 serial 000001127bf2"
    assert sgp30(rig).probe() == expected
    driver = sgp30(rig)
    rig.run(driver, 20.5)
    assert driver.probe() == expected
    assert rig.sgp30.state is State.IAQ
    rig.sgp30.feature_set = 0x1004
    with pytest.raises(UnexpectedChip, match="0x1004"):
        sgp30(rig).probe()
    rig.bus.inject(FaultKind.CRC, address=ADDRESS)
    with pytest.raises(UnexpectedChip, match="checksum"):
        sgp30(rig).probe()
    del rig.bus.chips[ADDRESS]
    with pytest.raises(Nack):
        sgp30(rig).probe()


def test_no_step_takes_long(rig: Rig) -> None:
    """Each step is one transfer of a few milliseconds."""
    driver = sgp30(rig, kept())
    driver.set_humidity(25.0, 50.0)
    for _ in range(60):
        began_s, transfers = rig.time(), rig.bus.transfers
        step = driver.step(rig.time())
        assert rig.time() - began_s <= 0.013
        assert rig.bus.transfers - transfers <= 1
        rig.time.advance(step.wait_s)


def test_control_a_driver_without_waits_fails(rig: Rig) -> None:
    """Negative control: the emulated chip does not answer inside its 12 ms."""
    rig.run(sgp30(rig), 2.5)
    with pytest.raises(Nack):
        rig.bus.transfer(ADDRESS, b"\x20\x08", 6, 0.011)


def test_control_reading_twice_or_too_much_gives_ones(rig: Rig) -> None:
    """Negative control: bytes beyond the answer are ones, a second read is a NACK."""
    frame = rig.bus.transfer(ADDRESS, GET_IAQ_BASELINE.code.to_bytes(2, "big"), 9, 0.01)
    assert frame[6:] == b"\xff\xff\xff"
    with pytest.raises(Nack):
        rig.bus.transfer(ADDRESS, b"", 6, 0.0)


def test_control_a_minutely_driver_is_noticed(rig: Rig) -> None:
    """Negative control: a period of 60 s shows in the chip's count of irregular gaps."""
    driver = Sgp30(rig.bus, realtime_s=rig.time, period_s=60.0)
    rig.run(driver, 300.0)
    assert rig.sgp30.irregular_gaps == len(rig.sgp30.gaps_s) > 0


def test_a_chip_that_lost_its_baseline_begins_anew(rig: Rig) -> None:
    """It had one and has none any more: it lost its power unnoticed, and gets the kept one back."""
    driver = sgp30(rig, kept())
    rig.run(driver, 1800.0)
    assert rig.sgp30.inits == 1
    rig.sgp30.power_cycle()
    rig.time.advance(1.0)
    rig.run(driver, 2000.0)
    assert rig.sgp30.inits == 2
    assert rig.sgp30.baselines_set == [(0x8000, 0x9000)] * 2
