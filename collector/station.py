"""One chip's place in the sampling loop: driver, health, next turn, newest measurement.

A station decides nothing about other chips and does not touch the bus but through its chip; what it
cannot do itself (reopen the bus) it hands back as the remedy.
"""

from dataclasses import dataclass
from enum import StrEnum

from collector.assemble import ChipReport
from collector.bus import BusError, BusGone, BusTimeout, Nack
from collector.drivers import Chip, Measurement, NoData, UnexpectedChip
from collector.drivers.icp10125_compensation import OtpInvalid
from collector.drivers.sensirion import ChecksumMismatch
from collector.health import Health, Order, Phase, Remedy
from collector.relapse import Relapse
from collector.stuck import Repeats
from common.errors import ThermalError
from common.sample import SensorStatus

RESULTS = ("ok", "error", "crc", "timeout", "nack")
"""Outcomes that are counted for each chip: a measurement, or the kind of a fault."""


class News(StrEnum):
    """What is worth a line in the log."""

    MEASURING = "measuring"
    FOUND = "found"
    STUCK = "stuck"
    FAILING = "failing"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn of a chip gave.

    Attributes:
        measurement: a new one, or ``None``.
        order: the remedy, if something failed.
        error: what failed.
    """

    measurement: Measurement | None = None
    order: Order | None = None
    error: ThermalError | None = None


def fault_of(error: ThermalError) -> tuple[SensorStatus, bool, str]:
    """What an error means: status of the rows, whether a retry can help, result counted."""
    match error:
        case ChecksumMismatch():
            return SensorStatus.CRC_ERROR, True, "crc"
        case OtpInvalid():
            return SensorStatus.CRC_ERROR, False, "crc"
        case BusTimeout():
            return SensorStatus.TIMEOUT, True, "timeout"
        case NoData():
            return SensorStatus.TIMEOUT, False, "timeout"
        case UnexpectedChip() | BusGone():
            return SensorStatus.ABSENT, False, "error"
        case Nack() | BusError():
            return SensorStatus.NACK, True, "nack" if isinstance(error, Nack) else "error"
    return SensorStatus.NACK, False, "error"


class Station:
    """One chip in the loop.

    Args:
        chip: the driver.
        max_age_s: a measurement older than this is no longer new: the tick goes without it.
        now_s: monotonic clock.

    Attributes:
        due_s: monotonic time of the next turn.
        measured_s: monotonic time of the newest measurement; ``None``: none yet.
        results: turns that gave a measurement or a fault, by ``RESULTS``.
    """

    def __init__(self, chip: Chip, *, max_age_s: float, now_s: float) -> None:
        self.chip = chip
        self.health = Health()
        self.due_s = now_s
        self.measured_s: float | None = None
        self.results = dict.fromkeys(RESULTS, 0)
        self._max_age_s = max_age_s
        self._newest: Measurement | None = None
        self._repeats = Relapse() if chip.name == "sgp30" else Repeats()
        self._told: News | None = None

    @property
    def name(self) -> str:
        """The chip's name."""
        return self.chip.name

    @property
    def working(self) -> bool:
        """Whether it counts among the sensors that are sampled."""
        return self.health.phase is not Phase.LOST

    def turn(self, now_s: float) -> Turn:
        """Do what is due: one step of the chip, or one question whether a lost one is back."""
        turn = self._ask(now_s) if self.health.phase is Phase.LOST else self._step(now_s)
        if turn.order is not None:
            self.due_s = now_s + turn.order.wait_s
            if turn.order.remedy is Remedy.RESET:
                self.chip.reset()
        return turn

    def news(self, turn: Turn) -> News | None:
        """What the turn just taken tells the log; ``None`` unless it differs from the last told.

        A fault that a retry mends tells nothing; the first remedy beyond that does.
        """
        told = self._told
        if turn.measurement is not None:
            self._told = News.STUCK if self._repeats.stuck else News.MEASURING
        elif self.health.phase is Phase.LOST:
            self._told = News.LOST
        elif turn.order is not None and turn.order.remedy is Remedy.RESET:
            self._told = News.FAILING
        elif told is News.LOST:
            self._told = News.FOUND
        return None if self._told is told else self._told

    def missing(self, now_s: float) -> None:
        """Say that the first probe has not found it, which the start has told already."""
        self._told = News.LOST
        self.due_s = now_s + self.health.absent().wait_s

    def restart(self, chip: Chip, now_s: float) -> None:
        """Go on with another driver object for the same chip, from its start-up sequence."""
        self.chip = chip
        self.due_s = now_s

    def report(self, now_s: float) -> ChipReport:
        """Give the newest measurement to a tick, which uses it up."""
        newest, self._newest = self._newest, None
        if newest is not None and self._age_s(now_s) > self._max_age_s:
            newest = None
        return ChipReport(self.name, newest, self.health.status)

    def _age_s(self, now_s: float) -> float:
        """Age of the newest measurement."""
        return now_s - (now_s if self.measured_s is None else self.measured_s)

    def _step(self, now_s: float) -> Turn:
        try:
            step = self.chip.step(now_s)
        except ThermalError as error:
            return self._failed(error)
        self.due_s = now_s + step.wait_s
        if step.measurement is None:
            return Turn()
        return self._measured(step.measurement, now_s)

    def _measured(self, measurement: Measurement, now_s: float) -> Turn:
        self.health.measured()
        self.results["ok"] += 1
        self.measured_s = now_s
        frozen = self._repeats.see(measurement, now_s)
        self._newest = self._repeats.marked(measurement)
        if not frozen:
            return Turn(self._newest)
        self.health.resets += 1
        return Turn(self._newest, Order(Remedy.RESET, 0.0))

    def _failed(self, error: ThermalError) -> Turn:
        status, retry, result = fault_of(error)
        self.results[result] += 1
        return Turn(order=self.health.failed(status, retry=retry), error=error)

    def _ask(self, now_s: float) -> Turn:
        """Ask a lost chip who it is; if it answers, begin its start-up sequence."""
        try:
            self.chip.probe()
        except (Nack, UnexpectedChip) as error:
            return Turn(order=self.health.absent(), error=error)
        except ThermalError as error:
            status, _, result = fault_of(error)
            self.results[result] += 1
            return Turn(order=self.health.unanswered(status), error=error)
        self.chip.reset()
        self.health.answered()
        self.due_s = now_s
        return Turn()
