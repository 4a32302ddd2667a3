"""Mistakes that somebody could make with one chip: its health, its driver, its part of a row."""

from dataclasses import replace
from typing import Any

import pytest

from collector import assemble, health
from collector.assemble import ChipReport
from collector.drivers import Measurement, Step
from collector.drivers.scd4x import Scd4x
from collector.health import LADDER, Health, Order, Remedy
from collector.station import News, Station, Turn
from collector.stuck import Repeats
from common.sample import Quality, SensorStatus


def a_measurement_is_handed_out_twice(patch: pytest.MonkeyPatch) -> None:
    """A tick does not use the measurement up."""
    honest = Station.report

    def report(self: Station, now_s: float) -> ChipReport:
        told = honest(self, now_s)
        self._newest = told.measurement
        return told

    patch.setattr(Station, "report", report)


def null_becomes_the_last_value(patch: pytest.MonkeyPatch) -> None:
    """A silent chip goes on with what it said before; its status stays honest."""
    last: dict[str, dict[str, Any]] = {}
    honest = assemble.sensor_values

    def sensor_values(report: ChipReport) -> tuple[dict[str, Any], SensorStatus]:
        values, status = honest(report)
        last[report.sensor] = values or last.get(report.sensor, {})
        return last[report.sensor], status

    patch.setattr(assemble, "sensor_values", sensor_values)


def null_becomes_zero(patch: pytest.MonkeyPatch) -> None:
    """A silent chip measures 0.0."""
    columns: dict[str, list[str]] = {}
    honest = assemble.sensor_values

    def sensor_values(report: ChipReport) -> tuple[dict[str, Any], SensorStatus]:
        values, status = honest(report)
        if values:
            columns[report.sensor] = list(values)
        return values or dict.fromkeys(columns.get(report.sensor, []), 0.0), status

    patch.setattr(assemble, "sensor_values", sensor_values)


def the_status_stays_ok(patch: pytest.MonkeyPatch) -> None:
    """A row without a value of a chip calls it good."""
    honest = Station.report
    patch.setattr(
        Station, "report", lambda s, now_s: replace(honest(s, now_s), status=SensorStatus.OK)
    )


def a_lost_chip_is_never_asked(patch: pytest.MonkeyPatch) -> None:
    """Giving a chip up is for ever."""
    honest = Health._lose
    patch.setattr(Health, "_lose", lambda s: Order(honest(s).remedy, 1e9))


def a_chip_is_never_given_up(patch: pytest.MonkeyPatch) -> None:
    """The ladder has no end: the last rung is taken again and again."""
    patch.setattr(Health, "_lose", lambda _: Order(Remedy.RETRY, 0.2))


def an_absent_chip_is_asked_every_second(patch: pytest.MonkeyPatch) -> None:
    """No growing pauses: the bus is full of questions that nobody answers."""
    honest = Health._lose
    patch.setattr(Health, "_lose", lambda s: Order(honest(s).remedy, 1.0))


def a_found_chip_stays_lost(patch: pytest.MonkeyPatch) -> None:
    """It answers, and its health does not hear of it."""
    patch.setattr(Health, "answered", lambda _: None)


def a_chip_is_lost_at_its_first_fault(patch: pytest.MonkeyPatch) -> None:
    """No ladder at all."""
    patch.setattr(health, "LADDER", ())


def _without(patch: pytest.MonkeyPatch, remedy: Remedy) -> None:
    """A ladder on which one remedy is a mere retry."""
    retry = Order(Remedy.RETRY, 0.2)
    rungs = tuple(retry if order.remedy is remedy else order for order in LADDER)
    patch.setattr(health, "LADDER", rungs)


def the_ladder_never_resets(patch: pytest.MonkeyPatch) -> None:
    """A chip that needs its start-up sequence never gets it."""
    _without(patch, Remedy.RESET)


def the_computer_counts_as_a_value(patch: pytest.MonkeyPatch) -> None:
    """The verdict looks at the host's readings too."""
    honest = assemble.quality
    patch.setattr(assemble, "quality", lambda said, required, **_: honest(
        said, required, any_value=True))


def quality_is_always_valid(patch: pytest.MonkeyPatch) -> None:
    """VALID also without the required sensor."""
    patch.setattr(assemble, "quality", lambda *_, **__: Quality.VALID)


def no_required_group_lacks(patch: pytest.MonkeyPatch) -> None:
    """VALID as soon as anything was measured."""
    patch.setattr(assemble, "lacking", lambda *_: ())


def every_group_needs_all_its_sensors(patch: pytest.MonkeyPatch) -> None:
    """``a|b`` is read as a and b."""

    def lacking(statuses: Any, required: Any) -> tuple[str, ...]:
        ok = SensorStatus.OK
        return tuple(g for g in required if any(statuses.get(n) is not ok for n in g.split("|")))

    patch.setattr(assemble, "lacking", lacking)


def checksums_are_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    """What comes is believed."""

    def decode_words(frame: bytes, count: int) -> tuple[int, ...]:
        return tuple(int.from_bytes(frame[3 * n : 3 * n + 2], "big") for n in range(count))

    patch.setattr("collector.drivers.sensirion.decode_words", decode_words)


def every_fault_is_logged(patch: pytest.MonkeyPatch) -> None:
    """Weather is told as news."""
    honest = Station.news

    def news(self: Station, turn: Turn) -> News | None:
        return honest(self, turn) or (None if turn.error is None else News.FAILING)

    patch.setattr(Station, "news", news)


def the_data_read_is_repeated(patch: pytest.MonkeyPatch) -> None:
    """A retry calls the same step again, and the step is the read."""
    honest = Scd4x._read

    def read(self: Scd4x, now_s: float) -> Step:
        try:
            return honest(self, now_s)
        except Exception:
            self._next = lambda again_s: read(self, again_s)
            raise

    patch.setattr(Scd4x, "_read", read)


def a_frozen_chip_is_never_found(patch: pytest.MonkeyPatch) -> None:
    """Nobody compares the words."""
    patch.setattr(Repeats, "see", lambda *_: False)


def a_frozen_chip_is_marked_and_not_reset(patch: pytest.MonkeyPatch) -> None:
    """The remedy is told, and not taken."""
    honest = Station._measured

    def measured(self: Station, measurement: Measurement, now_s: float) -> Turn:
        return Turn(honest(self, measurement, now_s).measurement)

    patch.setattr(Station, "_measured", measured)


def a_frozen_chip_loses_its_values(patch: pytest.MonkeyPatch) -> None:
    """The proof is thrown away."""
    honest = Repeats.marked

    def marked(self: Repeats, measurement: Measurement) -> Measurement:
        told = honest(self, measurement)
        if not self.stuck:
            return told
        return replace(told, readings=tuple(replace(r, value=None) for r in told.readings))

    patch.setattr(Repeats, "marked", marked)


def equal_words_are_suspicious_at_once(patch: pytest.MonkeyPatch) -> None:
    """A minute of still air is called a fault."""
    patch.setattr("collector.stuck.REPEATS_MIN", 3)
    patch.setattr("collector.stuck.STUCK_S_MIN", 5.0)
