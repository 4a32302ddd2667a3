"""What every chip has in common: its readings, its steps and the errors that are its own.

A driver knows a ``Bus`` and the time that it is told. It never sleeps: waits longer than
``PAUSE_S_MAX`` are handed back in ``Step.wait_s``, so that one chip's half second never costs
another chip its tick.
"""

from dataclasses import dataclass
from typing import Final, Protocol

from common.errors import ExitCode, ThermalError
from common.sample import SensorStatus

PAUSE_S_MAX: Final = 0.1
"""Longest pause inside one transfer, seconds (the ICP-10125's slowest mode needs 95 ms)."""

WAIT_MARGIN_S: Final = 0.01
"""Added to waits that the datasheet gives as a time of execution: the host's clock and the
chip's differ, and the time of the transfer itself may or may not be counted by the caller."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One quantity of one measurement.

    Attributes:
        column: name of the row's column, with the unit, such as ``scd4x_co2_ppm``.
        value: in that unit; ``None`` when ``status`` says why not.
        status: ``OK``, or why the value is not there.
        ticks: the raw number as it came, so that a value stuck for hours can be seen.
    """

    column: str
    value: float | None
    status: SensorStatus
    ticks: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """All readings of one physical act.

    Attributes:
        sensor: ``scd4x``, ``icp10125`` or ``sgp30``.
        readings: one for each of the chip's columns.
    """

    sensor: str
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """What one call of a chip's state machine gave.

    Attributes:
        wait_s: seconds after which ``step`` wants to be called again; 0: at once.
        measurement: a new one, never handed out before; ``None``: this step measured nothing.
    """

    wait_s: float
    measurement: Measurement | None = None


class NoData(ThermalError):
    """The chip acknowledges everything but has had no new measurement for far too long."""

    exit_code = ExitCode.UNAVAILABLE


class UnexpectedChip(ThermalError):
    """Somebody answers at the address, but not the chip that belongs there."""

    exit_code = ExitCode.UNAVAILABLE


class Chip(Protocol):
    """One sensor as the sampling loop drives it."""

    @property
    def name(self) -> str:
        """``scd4x``, ``icp10125`` or ``sgp30``."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the row that this chip fills."""

    def probe(self) -> str:
        """Ask the chip who it is, in a few milliseconds, in any state, changing none of ours.

        Returns:
            One line for people, such as ``SCD41 serial f8969f073bbe``.

        Raises:
            Nack: nobody answers now; a chip that is executing a command does so for up to 0.5 s.
            UnexpectedChip: somebody else answers.
            BusError: the bus failed.
        """

    def reset(self) -> None:
        """Forget the state: the next step begins the start-up sequence."""

    def step(self, now_s: float) -> Step:
        """Do at most one transfer (write, pause of at most ``PAUSE_S_MAX``, read).

        After an error the same call is safe to repeat: it sends the same command again, or, where
        the answer may already have left the chip, goes for the next measurement.

        Args:
            now_s: monotonic seconds; only differences count.

        Raises:
            BusError: the transfer failed.
            ChecksumMismatch: the answer was damaged; it is not asked for again.
            NoData: no measurement for several intervals.
            UnexpectedChip: the answers are those of another chip.
        """
