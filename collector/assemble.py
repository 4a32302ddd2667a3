"""Makes the row of one tick out of what the chips, the computer and the clock said; pure.

A value that was not measured is NULL with its reason, never 0.0 and never one of an earlier row.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from collector.drivers import Measurement
from collector.stamp import Stamp, json_text, stamped_row
from common.columns import BY_NAME, Scalar
from common.sample import Kind, Quality, SensorStatus
from common.spool.row import NewRow


@dataclass(frozen=True, slots=True)
class ChipReport:
    """What one chip brings to a tick.

    Attributes:
        sensor: its name.
        measurement: its newest measurement that no row has used; ``None``: there is none.
        status: the reason then; of no meaning when there is one.
    """

    sensor: str
    measurement: Measurement | None
    status: SensorStatus


def within(name: str, value: float) -> bool:
    """Whether a value is finite and in the range of its column."""
    column = BY_NAME[name]
    if not math.isfinite(value):
        return False
    return (column.low is None or value >= column.low) and (
        column.high is None or value <= column.high
    )


def sensor_values(report: ChipReport) -> tuple[dict[str, Scalar], SensorStatus]:
    """The chip's columns and its status: that of its first reading that is not good."""
    if report.measurement is None:
        return {}, report.status
    values: dict[str, Scalar] = {}
    status = SensorStatus.OK
    for reading in report.measurement.readings:
        value, said = reading.value, reading.status
        if value is not None and not within(reading.column, value):
            value, said = None, SensorStatus.OUT_OF_RANGE
        values[reading.column] = value
        if status is SensorStatus.OK:
            status = said
    return values, status


def quality(
    statuses: Mapping[str, SensorStatus], required: Sequence[str], *, any_value: bool
) -> Quality:
    """The verdict over one sample.

    Args:
        statuses: by sensor.
        required: groups such as ``scd4x|icp10125``: one sensor of each group must be good.
        any_value: whether any chip gave a value.
    """
    if not any_value:
        return Quality.INVALID
    return Quality.VALID if not lacking(statuses, required) else Quality.PARTIAL


def lacking(statuses: Mapping[str, SensorStatus], required: Sequence[str]) -> tuple[str, ...]:
    """The required groups of which no sensor is good."""
    return tuple(
        group
        for group in required
        if not any(statuses.get(name) is SensorStatus.OK for name in group.split("|"))
    )


def sample_row(
    stamp: Stamp,
    reports: Sequence[ChipReport],
    host: Mapping[str, float | None],
    required: Sequence[str],
) -> NewRow:
    """The row of one tick; it is always written, also when every chip is silent."""
    values: dict[str, Scalar] = {}
    statuses: dict[str, SensorStatus] = {}
    for report in reports:
        measured, statuses[report.sensor] = sensor_values(report)
        values |= measured
    any_value = any(value is not None for value in values.values())
    for name, value in host.items():
        values[name] = value if value is not None and within(name, value) else None
    values["quality"] = quality(statuses, required, any_value=any_value).value
    values["sensor_status"] = json_text({name: s.value for name, s in statuses.items()})
    return stamped_row(stamp, Kind.SAMPLE, values)
