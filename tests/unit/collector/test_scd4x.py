"""The SCD4x driver's state machine, on an emulated chip that allows no short cut."""

import pytest

from collector.bus import Bus, BusFault, BusTimeout, Nack
from collector.drivers import NoData, UnexpectedChip
from collector.drivers.scd4x import ADDRESS, READ_MEASUREMENT, START_PERIODIC_MEASUREMENT, Scd4x
from collector.drivers.sensirion import ChecksumMismatch, execute
from tests.emulators.bus import FaultKind
from tests.emulators.chips.scd4x import State
from tests.unit.collector.rig import Rig, ScriptedBus, statuses, values

START = ["36f6", "3f86", "3646", "3682", "202f", "21b1"]


@pytest.fixture
def rig() -> Rig:
    """Chips on a bus."""
    return Rig()


def test_start_up_sequence(rig: Rig) -> None:
    """Wake up, stop, reinit, serial, variant, start: half a second and a little, no NACK raised."""
    driver = Scd4x(rig.bus)
    began_s = rig.time()
    while rig.scd4x.state is not State.PERIODIC:
        rig.time.advance(driver.step(rig.time()).wait_s)
    assert rig.sent() == START
    assert 0.5 < rig.time() - began_s < 1.7
    assert driver.description == "SCD41 serial f8969f073bbe"
    assert rig.scd4x.counters.violations == []


def test_measurements_arrive_once_each(rig: Rig) -> None:
    """A minute brings eleven or twelve, each sample of the chip read exactly once."""
    taken = rig.run(Scd4x(rig.bus), 60.0)
    assert len(taken) in (11, 12)
    assert rig.scd4x.samples_read == len(taken)
    assert values(taken[-1]) == {
        "scd4x_co2_ppm": 640.0,
        "scd4x_temperature_c": pytest.approx(22.5, abs=0.01),
        "scd4x_humidity_percent": pytest.approx(41.0, abs=0.05),
    }
    assert rig.scd4x.counters.violations == []


@pytest.mark.parametrize("interval_s", [4.9, 5.1])
def test_a_drifting_chip_loses_nothing(rig: Rig, interval_s: float) -> None:
    """The chip's own five seconds differ from ours; polls find every sample."""
    rig.scd4x.interval_s = interval_s
    rig.run(Scd4x(rig.bus), 3600.0)
    assert rig.scd4x.samples_taken - rig.scd4x.samples_read <= 1
    assert rig.scd4x.counters.violations == []


def test_no_step_takes_long(rig: Rig) -> None:
    """The bus is never held for more than a tenth of a second: the others have their seconds."""
    driver, longest_s = Scd4x(rig.bus), 0.0
    for _ in range(40):
        began_s = rig.time()
        step = driver.step(rig.time())
        longest_s = max(longest_s, rig.time() - began_s)
        rig.time.advance(step.wait_s)
    assert 0.0 < longest_s <= 0.1


@pytest.mark.parametrize("state", ["measuring", "asleep", "stopping", "idle"])
def test_starts_from_any_state(rig: Rig, state: str) -> None:
    """Whatever the process before left behind, the first sample comes within seven seconds."""
    before = {"measuring": "21b1", "asleep": "36e0", "stopping": "3f86", "idle": ""}[state]
    if before:
        rig.bus.transfer(ADDRESS, bytes.fromhex(before), 0, 0.0)
    driver = Scd4x(rig.bus)
    if state == "asleep":
        assert rig.scd4x.state is State.SLEEP
    assert len(rig.run(driver, 7.0)) == 1
    assert rig.scd4x.counters.violations == []


@pytest.mark.parametrize("state", ["measuring", "asleep", "idle"])
def test_probe_in_any_state(rig: Rig, state: str) -> None:
    """A measuring chip says that it measures, a sleeping one is woken, and none is disturbed."""
    before = {"measuring": "21b1", "asleep": "36e0", "idle": ""}[state]
    if before:
        rig.bus.transfer(ADDRESS, bytes.fromhex(before), 0, 0.001)
    began_s = rig.time()
    told = Scd4x(rig.bus).probe()
    expected = "SCD4x, measuring" if state == "measuring" else "SCD41 serial f8969f073bbe"
    assert told == expected
    assert rig.time() - began_s < 0.05
    assert rig.scd4x.state is (State.PERIODIC if state == "measuring" else State.IDLE)


def test_probe_of_a_busy_and_of_an_absent_chip_raises_nack(rig: Rig) -> None:
    """During the half second after a stop nobody answers; later the same question works."""
    rig.bus.transfer(ADDRESS, bytes.fromhex("3f86"), 0, 0.0)
    with pytest.raises(Nack):
        Scd4x(rig.bus).probe()
    rig.time.advance(0.5)
    assert "SCD41" in Scd4x(rig.bus).probe()
    del rig.bus.chips[ADDRESS]
    with pytest.raises(Nack):
        Scd4x(rig.bus).probe()


def test_probe_tells_a_stranger_from_noise(rig: Rig) -> None:
    """One damaged answer is asked again; a chip that never speaks in words is refused."""
    rig.scd4x.flip_bit = 3
    assert "SCD41" in Scd4x(rig.bus).probe()
    with pytest.raises(UnexpectedChip, match="0x62"):
        Scd4x(ScriptedBus(b"?I,pH,1.9", b"?I,pH,1.9")).probe()


@pytest.mark.parametrize(
    ("variant", "told"),
    [(None, "SCD40"), (0x0440, "SCD40"), (0x1408, "SCD41"), (0x5441, "SCD43")],
)
def test_variants(rig: Rig, variant: int | None, told: str) -> None:
    """Silicon that does not know the question for its variant is taken for an SCD40."""
    rig.scd4x.variant = variant
    driver = Scd4x(rig.bus)
    assert driver.probe().startswith(told)
    assert len(rig.run(driver, 7.0)) == 1
    assert driver.description.startswith(told)


def test_old_silicon_gets_a_second_after_reinit(rig: Rig) -> None:
    """Before v1.4 the datasheet gave 1000 ms; the driver asks again until then, no longer."""
    rig.scd4x.reinit_s = 0.95
    assert len(rig.run(Scd4x(rig.bus), 8.0)) == 1
    rig.scd4x.reinit_s = 1.3
    driver = Scd4x(rig.bus)
    with pytest.raises(Nack):
        rig.run(driver, 8.0)


def test_pressure_is_told_after_start_and_when_it_moved(rig: Rig) -> None:
    """1 hPa is worth a write, less is not; each new start tells it again."""
    driver = Scd4x(rig.bus)
    driver.ambient_pressure_pa = 98_765.0
    rig.run(driver, 10.0)
    assert rig.scd4x.pressure_hpa == 988
    driver.ambient_pressure_pa = 98_860.0
    rig.run(driver, 10.0)
    assert rig.scd4x.pressure_hpa == 988
    driver.ambient_pressure_pa = 98_865.0
    rig.run(driver, 10.0)
    assert rig.scd4x.pressure_hpa == 989
    driver.reset()
    rig.run(driver, 10.0)
    told = [sent[:8] for sent in rig.sent() if sent.startswith("e000")]
    assert told == ["e00003dc", "e00003dd", "e00003dd"]
    assert rig.scd4x.counters.violations == []


@pytest.mark.parametrize("pressure", [None, float("nan"), float("inf")])
def test_an_unknown_pressure_is_not_told(rig: Rig, pressure: float | None) -> None:
    """Without a good barometer the chip keeps its own default."""
    driver = Scd4x(rig.bus)
    driver.ambient_pressure_pa = pressure
    assert driver.ambient_pressure_pa is None
    rig.run(driver, 10.0)
    assert not [sent for sent in rig.sent() if sent.startswith("e000")]
    assert rig.scd4x.pressure_hpa == 1013


def test_temperature_offset_is_written_to_ram_after_every_reinit(rig: Rig) -> None:
    """The offset reaches the chip before each start, and the EEPROM never."""
    driver = Scd4x(rig.bus, temperature_offset_c=5.4)
    rig.run(driver, 10.0)
    driver.reset()
    rig.run(driver, 10.0)
    assert rig.sent().count("241d07e648") == 2
    assert rig.scd4x.settings["temperature_offset"] == 0x07E6
    assert rig.scd4x.eeprom["temperature_offset"] == 0x05DA
    assert rig.scd4x.eeprom_writes == 0


def test_a_damaged_measurement_is_dropped_not_read_again(rig: Rig) -> None:
    """After a checksum error the driver waits for the chip's next sample."""
    driver = Scd4x(rig.bus)
    rig.run(driver, 7.0)
    while rig.sent()[-1] != "e4b8" or rig.bus.messages[-1].data[:2] != b"\x80\x06":
        rig.time.advance(driver.step(rig.time()).wait_s)
    rig.bus.inject(FaultKind.CRC, address=ADDRESS, times=1)
    with pytest.raises(ChecksumMismatch):
        driver.step(rig.time())
    assert rig.sent().count("ec05") == rig.scd4x.samples_read == 2
    assert len(rig.run(driver, 6.0)) == 1
    assert rig.scd4x.samples_read == 3
    assert rig.scd4x.counters.violations == []


def test_no_data_for_three_intervals_is_an_error(rig: Rig) -> None:
    """A brown-out leaves the chip idle: it acknowledges, never has data, and is started again."""
    driver = Scd4x(rig.bus)
    rig.run(driver, 12.0)
    rig.scd4x.brown_out()
    began_s = rig.time()
    with pytest.raises(NoData, match="one every 5 s"):
        rig.run(driver, 60.0)
    assert 14.0 <= rig.time() - began_s <= 17.0
    driver.reset()
    assert len(rig.run(driver, 12.0)) == 2


def test_a_failed_start_is_followed_by_a_stop(rig: Rig) -> None:
    """A start whose fate is unknown is never simply repeated: that has hung real buses."""
    rig.scd4x.hangs_on_double_start = True
    driver = Scd4x(rig.bus)
    rig.time.advance(driver.step(rig.time()).wait_s)
    while rig.sent()[-1] != "202f":
        rig.time.advance(driver.step(rig.time()).wait_s)
    rig.bus.inject(FaultKind.LOST, address=ADDRESS, times=1)
    with pytest.raises(BusFault):
        driver.step(rig.time())
    assert rig.scd4x.state is State.PERIODIC
    assert len(rig.run(driver, 8.0)) == 1


def test_control_a_driver_that_starts_twice_hangs_the_bus(rig: Rig) -> None:
    """Negative control: the emulated chip does punish the second start, until its power is cut."""
    rig.scd4x.hangs_on_double_start = True
    execute(rig.bus, ADDRESS, START_PERIODIC_MEASUREMENT)
    with pytest.raises(BusTimeout):
        execute(rig.bus, ADDRESS, START_PERIODIC_MEASUREMENT)
    with pytest.raises(BusTimeout):
        rig.run(Scd4x(rig.bus), 1.0)
    rig.scd4x.power_cycle()
    assert len(rig.run(Scd4x(rig.bus), 8.0)) == 1


@pytest.mark.parametrize(("word", "status"), [(0, "out_of_range"), (47_867, "out_of_range")])
def test_co2_faults_leave_the_other_readings(rig: Rig, word: int, status: str) -> None:
    """No VDDH gives CO2 0 with good temperature and humidity."""
    rig.scd4x.co2_word = word
    (taken,) = rig.run(Scd4x(rig.bus), 7.0)
    assert statuses(taken) == [status, "ok", "ok"]


class NoPause:
    """A bus whose every pause is nothing: the driver without waits."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    def transfer(self, address: int, write: bytes, read_length: int, pause_s: float) -> bytes:
        """See ``Bus``."""
        return self._bus.transfer(address, write, read_length, 0.0)

    def reopen(self) -> None:
        """See ``Bus``."""

    def close(self) -> None:
        """See ``Bus``."""


def test_control_a_driver_without_waits_fails(rig: Rig) -> None:
    """Negative control: the emulated chip does not answer before its time of execution."""
    with pytest.raises(Nack):
        Scd4x(NoPause(rig.bus)).probe()
    driver = Scd4x(rig.bus)
    driver.step(rig.time())
    driver.step(rig.time())
    with pytest.raises(Nack):
        driver.step(rig.time())
    assert rig.scd4x.counters.busy_nacks > 0


def test_control_reading_twice_is_caught(rig: Rig) -> None:
    """Negative control: a second read of the same sample is a NACK and a noted violation."""
    rig.run(Scd4x(rig.bus), 7.0)
    with pytest.raises(Nack):
        execute(rig.bus, ADDRESS, READ_MEASUREMENT)
    assert rig.scd4x.counters.violations == ["read_measurement of an empty buffer"]
