"""One row out of what the chips, the computer and the clock said."""

import math

import pytest

from collector.assemble import ChipReport, lacking, sample_row, sensor_values, within
from collector.drivers import Measurement, Reading
from collector.stamp import Stamp
from common.sample import SensorStatus
from tests.unit.collector.bench import record

STAMP = Stamp(1_792_000_000_123_456_789, 55_000_000_001, True)
OK = SensorStatus.OK


def scd4x(co2: float | None = 612.0, status: SensorStatus = OK) -> ChipReport:
    """A report of the SCD4x."""
    readings = (
        Reading("scd4x_co2_ppm", co2, status, 612),
        Reading("scd4x_temperature_c", 21.5, OK, 24_000),
        Reading("scd4x_humidity_percent", 40.0, OK, 26_000),
    )
    return ChipReport("scd4x", Measurement("scd4x", readings), SensorStatus.STALE)


def icp(pressure: float | None = 98_765.0, status: SensorStatus = OK) -> ChipReport:
    """A report of the ICP-10125."""
    readings = (
        Reading("icp10125_pressure_pa", pressure, status, 9_000_000),
        Reading("icp10125_temperature_c", 22.0, OK, 25_000),
    )
    return ChipReport("icp10125", Measurement("icp10125", readings), SensorStatus.STALE)


def silent(sensor: str, status: SensorStatus) -> ChipReport:
    """A chip that has nothing new."""
    return ChipReport(sensor, None, status)


HOST = {"cpu_temperature_c": 48.3, "cpu_percent": None, "memory_percent": 31.0, "disk_free_mb": 9.0}
NONE = silent("sgp30", SensorStatus.ABSENT)


def test_a_row_has_what_was_measured_and_null_for_the_rest() -> None:
    """Values, statuses, host readings and both clocks stand in their columns."""
    row = record(sample_row(STAMP, [scd4x(), icp(), NONE], HOST, ["scd4x|icp10125"]))
    assert row["taken_at"] == 1_792_000_000_123_456
    assert (row["boottime_ns"], row["clock_synced"], row["kind"]) == (55_000_000_001, 1, "sample")
    assert (row["scd4x_co2_ppm"], row["icp10125_pressure_pa"]) == (612.0, 98_765.0)
    assert (row["sgp30_eco2_ppm"], row["cpu_percent"], row["detail"]) == (None, None, None)
    assert row["cpu_temperature_c"] == 48.3
    assert row["sensor_status"] == {"scd4x": "ok", "icp10125": "ok", "sgp30": "absent"}
    assert row["quality"] == "VALID"


@pytest.mark.parametrize(
    ("required", "reports", "verdict"),
    [
        (["scd4x|icp10125"], [silent("scd4x", SensorStatus.NACK), icp()], "VALID"),
        (["scd4x", "icp10125"], [silent("scd4x", SensorStatus.NACK), icp()], "PARTIAL"),
        (["scd4x", "icp10125"], [scd4x(), icp()], "VALID"),
        (["scd4x"], [scd4x(None, SensorStatus.OUT_OF_RANGE), icp()], "PARTIAL"),
        (["scd4x|icp10125"], [silent("scd4x", SensorStatus.NACK), NONE], "INVALID"),
        ([], [silent("scd4x", SensorStatus.NACK), NONE], "INVALID"),
    ],
)
def test_quality_follows_the_required_groups(
    required: list[str], reports: list[ChipReport], verdict: str
) -> None:
    """VALID with one good sensor of each group, INVALID without any value, else PARTIAL."""
    assert record(sample_row(STAMP, reports, HOST, required))["quality"] == verdict


@pytest.mark.parametrize("value", [24_999.9, 115_001.0, math.nan, math.inf, -math.inf])
def test_a_value_out_of_its_columns_range_is_null_with_the_reason(value: float) -> None:
    """Nothing that cannot be true is stored, and the other readings of the chip stay."""
    values, status = sensor_values(icp(value))
    assert values == {"icp10125_pressure_pa": None, "icp10125_temperature_c": 22.0}
    assert status is SensorStatus.OUT_OF_RANGE


def test_the_bounds_themselves_are_in_range() -> None:
    """The range of a column includes both its ends."""
    assert within("icp10125_pressure_pa", 25_000.0)
    assert within("icp10125_pressure_pa", 115_000.0)
    assert within("disk_free_mb", 1e12)
    assert not within("disk_free_mb", -1.0)


def test_a_host_reading_out_of_range_is_null() -> None:
    """A thermal zone that says 1000 °C is not believed."""
    row = record(sample_row(STAMP, [icp()], {"cpu_temperature_c": 1000.0}, []))
    assert row["cpu_temperature_c"] is None


def test_the_status_of_a_chip_is_its_first_reading_that_is_not_good() -> None:
    """CO2 without VDDH: temperature and humidity stay, the chip says out_of_range."""
    values, status = sensor_values(scd4x(None, SensorStatus.OUT_OF_RANGE))
    assert status is SensorStatus.OUT_OF_RANGE
    assert values["scd4x_temperature_c"] == 21.5


def test_lacking_names_the_groups_without_a_good_sensor() -> None:
    """A group of alternatives lacks only if all of them do."""
    statuses = {"scd4x": SensorStatus.NACK, "icp10125": OK}
    assert lacking(statuses, ["scd4x|icp10125", "sgp30", "scd4x"]) == ("sgp30", "scd4x")
