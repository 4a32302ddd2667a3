"""The ICP-10125 driver's state machine, on an emulated chip that allows no short cut."""

import pytest

from collector.bus import Nack
from collector.drivers import UnexpectedChip
from collector.drivers.icp10125 import ADDRESS, MEASURE_LOW_NOISE, READ_OTP, Icp10125
from collector.drivers.icp10125_compensation import Otp, OtpInvalid
from collector.drivers.sensirion import ChecksumMismatch, execute
from tests.emulators.bus import FaultKind
from tests.unit.collector.rig import Rig, statuses, values


@pytest.fixture
def rig() -> Rig:
    """Chips on a bus."""
    return Rig()


def test_start_up_reads_the_calibration_twice(rig: Rig) -> None:
    """Reset, ID, two passes over the calibration, then a measurement, all within 0.1 s."""
    driver = Icp10125(rig.bus, period_s=1.0)
    (taken,) = rig.run(driver, 0.1)
    otp_pass = ["c59500669c", *["c7f7"] * 4]
    assert rig.sent() == ["805d", "efc8", *otp_pass, *otp_pass, "70df"]
    assert driver.otp == Otp(-1200, -850, 430, 4150)
    assert values(taken) == {
        "icp10125_pressure_pa": pytest.approx(98_765.0, abs=0.5),
        "icp10125_temperature_c": pytest.approx(22.5, abs=0.005),
    }
    assert rig.icp10125.counters.violations == []


@pytest.mark.parametrize(
    "otp", [(1000, 2000, 3000, 4000), (-2048, -1777, -3000, 4207), (-1, -1, -1, 4000)]
)
@pytest.mark.parametrize("pressure_pa", [30_000.0, 65_000.0, 101_325.0, 110_000.0])
@pytest.mark.parametrize("temperature_c", [-20.0, 22.5, 65.0])
def test_round_trip(
    rig: Rig, otp: tuple[int, int, int, int], pressure_pa: float, temperature_c: float
) -> None:
    """The emulated chip solves the curve the other way round, and the driver comes back."""
    rig.icp10125.otp = otp
    rig.air.change(pressure_pa=pressure_pa, temperature_c=temperature_c)
    (taken,) = rig.run(Icp10125(rig.bus), 0.1)
    pressure, temperature = taken.readings
    assert pressure.value == pytest.approx(pressure_pa, abs=0.5)
    assert temperature.value == pytest.approx(temperature_c, abs=0.005)


def test_measurements_keep_to_the_grid(rig: Rig) -> None:
    """The 25 ms of each measurement do not add up: a minute holds sixty."""
    assert len(rig.run(Icp10125(rig.bus, period_s=1.0), 59.99)) == 60
    assert rig.icp10125.measurements == 60


def test_a_step_before_its_time_sends_nothing(rig: Rig) -> None:
    """A caller that is early is told to wait."""
    driver = Icp10125(rig.bus, period_s=1.0)
    rig.run(driver, 0.5)
    transfers = rig.bus.transfers
    assert 0.0 < driver.step(rig.time()).wait_s < 1.0
    assert rig.bus.transfers == transfers


def test_no_step_takes_long(rig: Rig) -> None:
    """Each step is one transfer with its pause."""
    driver = Icp10125(rig.bus)
    for _ in range(30):
        began_s, transfers = rig.time(), rig.bus.transfers
        step = driver.step(rig.time())
        assert rig.time() - began_s <= 0.03
        assert rig.bus.transfers - transfers <= 1
        rig.time.advance(step.wait_s)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ((0xFFFFFF, 25_739), ["out_of_range", "ok"]),
        ((0, 25_739), ["out_of_range", "ok"]),
        ((10_564_659, 0), ["out_of_range", "out_of_range"]),
        ((10_564_659, 0xFFFF), ["out_of_range", "out_of_range"]),
    ],
)
def test_impossible_values_are_null(rig: Rig, raw: tuple[int, int], expected: list[str]) -> None:
    """A temperature off the scale takes the pressure with it, which was computed from it."""
    rig.icp10125.raw = raw
    (taken,) = rig.run(Icp10125(rig.bus), 0.1)
    assert statuses(taken) == expected
    assert [r.value for r, s in zip(taken.readings, expected, strict=True) if s != "ok"] == [
        None for s in expected if s != "ok"
    ]


def test_probe(rig: Rig) -> None:
    """Names the id; a stranger is refused with its word; a busy chip is a Nack."""
    assert Icp10125(rig.bus).probe() == "ICP-10125 id 0048"
    rig.icp10125.flip_bit = 20
    assert Icp10125(rig.bus).probe() == "ICP-10125 id 0048"
    rig.icp10125.id_word = 0x0028
    with pytest.raises(UnexpectedChip, match="0x0028"):
        Icp10125(rig.bus).probe()
    rig.bus.transfer(ADDRESS, b"\x78\x66", 0, 0.0)
    with pytest.raises(Nack):
        Icp10125(rig.bus).probe()


def test_a_stranger_that_speaks_no_words_is_refused(rig: Rig) -> None:
    """Two damaged answers in a row are no noise."""
    rig.bus.inject(FaultKind.CRC, address=ADDRESS)
    with pytest.raises(UnexpectedChip, match="checksum"):
        Icp10125(rig.bus).probe()


def test_calibration_that_differs_between_the_passes_is_refused(rig: Rig) -> None:
    """Damage that the checksum let through is found by the second pass; the next start mends it."""
    rig.icp10125.otp_noise = [0, 0, 0x0040]
    driver = Icp10125(rig.bus)
    with pytest.raises(OtpInvalid, match="then as"):
        rig.run(driver, 0.1)
    assert driver.otp is None
    assert len(rig.run(driver, 0.1)) == 1


def test_a_failed_calibration_read_begins_its_pass_anew(rig: Rig) -> None:
    """The chip moves its pointer by itself, so a retried word would be the next one."""
    driver = Icp10125(rig.bus)
    for _ in range(9):
        driver.step(rig.time())
    rig.icp10125.flip_bit = 0
    with pytest.raises(ChecksumMismatch):
        driver.step(rig.time())
    assert len(rig.run(driver, 0.1)) == 1
    assert driver.otp == Otp(*rig.icp10125.otp)


def test_a_damaged_measurement_is_measured_again(rig: Rig) -> None:
    """After an error the same step may be repeated at once, and measures anew."""
    driver = Icp10125(rig.bus, period_s=1.0)
    rig.run(driver, 0.5)
    rig.time.advance(0.6)
    rig.icp10125.flip_bit = 40
    with pytest.raises(ChecksumMismatch):
        driver.step(rig.time())
    assert driver.step(rig.time()).measurement is not None
    assert rig.icp10125.measurements == 3


def test_reset_while_measuring_is_a_nack_that_a_retry_heals(rig: Rig) -> None:
    """A process killed in the middle of a measurement leaves the chip busy for 95 ms at most."""
    rig.bus.transfer(ADDRESS, b"\x78\x66", 0, 0.0)
    driver = Icp10125(rig.bus)
    with pytest.raises(Nack):
        driver.step(rig.time())
    rig.time.advance(0.1)
    assert len(rig.run(driver, 0.1)) == 1


def test_reset_forgets_the_calibration(rig: Rig) -> None:
    """After a reset everything is read again."""
    driver = Icp10125(rig.bus)
    rig.run(driver, 1.0)
    driver.reset()
    assert driver.otp is None
    rig.icp10125.otp = (100, 200, 300, 5400)
    rig.run(driver, 1.0)
    assert driver.otp == Otp(100, 200, 300, 5400)


def test_control_a_driver_without_waits_fails(rig: Rig) -> None:
    """Negative control: the emulated chip acknowledges nothing while it measures."""
    frame = rig.bus.transfer(ADDRESS, b"\x70\xdf", 9, MEASURE_LOW_NOISE.execution_s)
    assert len(frame) == 9
    with pytest.raises(Nack):
        rig.bus.transfer(ADDRESS, b"\x70\xdf", 9, 0.02)
    rig.icp10125.stuck_measuring = True
    rig.time.advance(1.0)
    with pytest.raises(Nack):
        rig.run(Icp10125(rig.bus), 60.0)


def test_control_the_emulated_chip_minds_the_order(rig: Rig) -> None:
    """Negative control: calibration without its pointer, and a result read twice, are NACKs."""
    with pytest.raises(Nack):
        execute(rig.bus, ADDRESS, READ_OTP)
    assert rig.icp10125.counters.violations == ["calibration read without its pointer"]
    execute(rig.bus, ADDRESS, MEASURE_LOW_NOISE)
    with pytest.raises(Nack):
        rig.bus.transfer(ADDRESS, b"", 9, 0.0)
