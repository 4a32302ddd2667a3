"""One chip's place in the loop: what errors mean, how old a measurement may be, what is told."""

import pytest

from collector.bus import BusFault, BusGone, BusTimeout, Nack, Operation
from collector.drivers import Measurement, NoData, Reading, UnexpectedChip
from collector.drivers.icp10125_compensation import OtpInvalid
from collector.drivers.sensirion import ChecksumMismatch
from collector.station import RESULTS, fault_of
from collector.stuck import REPEATS_MIN, STUCK_S_MIN, Repeats
from common.errors import ThermalError
from common.sample import SensorStatus
from tests.unit.collector.bench import Bench


def bus_error(kind: type[Nack] | type[BusTimeout] | type[BusFault] | type[BusGone]) -> ThermalError:
    """An error of the bus."""
    return kind("broken", address=0x62, op=Operation.READ, errno=5)


@pytest.mark.parametrize(
    ("error", "status", "retry", "result"),
    [
        (bus_error(Nack), SensorStatus.NACK, True, "nack"),
        (bus_error(BusFault), SensorStatus.NACK, True, "error"),
        (bus_error(BusTimeout), SensorStatus.TIMEOUT, True, "timeout"),
        (bus_error(BusGone), SensorStatus.ABSENT, False, "error"),
        (ChecksumMismatch(b"\1\2\3", 0, 4, 5), SensorStatus.CRC_ERROR, True, "crc"),
        (OtpInvalid("read twice, differs"), SensorStatus.CRC_ERROR, False, "crc"),
        (NoData("nothing for 15 s"), SensorStatus.TIMEOUT, False, "timeout"),
        (UnexpectedChip("another"), SensorStatus.ABSENT, False, "error"),
        (ThermalError("anything else"), SensorStatus.NACK, False, "error"),
    ],
)
def test_every_error_has_a_status_a_remedy_and_a_counter(
    error: ThermalError, status: SensorStatus, retry: bool, result: str
) -> None:
    """What a driver raises is told in rows, decides the ladder, and is counted by kind."""
    assert fault_of(error) == (status, retry, result)
    assert result in RESULTS


def test_a_measurement_of_long_ago_is_not_new() -> None:
    """A chip that measured and then fell silent for minutes gives the tick its fault instead."""
    bench = Bench(900.0)
    bench.run(60.0)
    station = bench.station("scd4x")
    assert station.measured_s is not None
    report = station.report(station.measured_s + 15.1)
    assert (report.measurement, report.status) == (None, SensorStatus.STALE)
    bench.run(10.0)
    assert station.report(bench.clock.monotonic_s()).measurement is not None


def frozen(ticks: int = 7, sensor: str = "scd4x") -> Measurement:
    """A measurement with the same raw word as ever."""
    return Measurement(sensor, (Reading("scd4x_co2_ppm", 400.0, SensorStatus.OK, ticks),))


def test_a_frozen_chip_needs_both_many_repeats_and_much_time() -> None:
    """Equal words are suspicious only after ten minutes and sixty measurements."""
    fast, slow = Repeats(), Repeats()
    assert not any(fast.see(frozen(), n * 0.05) for n in range(10_000))
    assert not any(slow.see(frozen(), n * 100.0) for n in range(REPEATS_MIN - 1))
    found = [n for n in range(200) if Repeats.see(slow, frozen(), 6000.0 + n * 10.0)]
    assert found
    assert slow.stuck


def test_a_chip_that_moves_again_is_no_longer_stuck() -> None:
    """One other word ends it, and readings are unmarked again."""
    repeats = Repeats()
    times = [n * STUCK_S_MIN / 100 for n in range(121)]
    assert any(repeats.see(frozen(), t) for t in times)
    assert repeats.marked(frozen()).readings[0].status is SensorStatus.STUCK
    assert repeats.marked(frozen()).readings[0].value == 400.0
    repeats.see(frozen(8), times[-1] + 5.0)
    assert not repeats.stuck
    assert repeats.marked(frozen(8)) == frozen(8)
