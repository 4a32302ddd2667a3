"""One chip's health: what its faults lead to, and what a row says of it; pure.

Rules:

1. Only a measurement proves health. Answers without one (a poll, a reset) prove nothing.
2. The n-th fault in a row takes the n-th rung of ``LADDER``; above it the chip is lost, and is
   asked who it is with growing pauses until it answers, for ever.
3. A retry calls the chip's next step; the driver sees to it that a data read is never repeated.
4. A chip that is not there, or is another one, skips the ladder: no remedy of ours brings it.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from common.sample import SensorStatus


class Phase(StrEnum):
    """Where a chip stands."""

    STARTING = "starting"
    MEASURING = "measuring"
    FAILING = "failing"
    LOST = "lost"


class Remedy(StrEnum):
    """What to do before the chip's next step."""

    RETRY = "retry"
    RESET = "reset"
    REOPEN = "reopen"
    PROBE = "probe"


@dataclass(frozen=True, slots=True)
class Order:
    """A remedy, and the pause before it, seconds."""

    remedy: Remedy
    wait_s: float


_RETRIES: Final = (
    Order(Remedy.RETRY, 0.01),
    Order(Remedy.RETRY, 0.05),
    Order(Remedy.RETRY, 0.2),
)

LADDER: Final[tuple[Order, ...]] = (
    *_RETRIES,
    Order(Remedy.RESET, 0.0),
    *_RETRIES,
    Order(Remedy.REOPEN, 1.0),
    *_RETRIES,
)
"""What the n-th fault in a row leads to. A busy chip answers within the first pauses; the reset
re-writes the chip's settings, the reopening drops a stale handle."""

LOST_WAIT_S: Final = 5.0
LOST_WAIT_S_MAX: Final = 60.0
"""First and longest pause between two questions to a chip that has measured in this run."""

ABSENT_WAIT_S: Final = 60.0
ABSENT_WAIT_S_MAX: Final = 300.0
"""The same for a chip that nobody has seen: a question costs little, its NACKs fill bus traces."""


class Health:
    """The health of one chip, from the end of its first probe on.

    Attributes:
        phase: see ``Phase``.
        faults: faults since the last measurement.
        resets: sensor resets ordered so far.
        losses: how often it was given up.
    """

    def __init__(self) -> None:
        self.phase = Phase.STARTING
        self.faults = 0
        self.resets = 0
        self.losses = 0
        self._status = SensorStatus.WARMING_UP
        self._seen = False
        self._probes = 0

    @property
    def status(self) -> SensorStatus:
        """Why a row has no value of this chip now; ``STALE`` when nothing is wrong with it."""
        return self._status

    def answered(self) -> None:
        """A probe found the chip: it starts."""
        self.phase = Phase.STARTING
        self.faults = 0
        self._probes = 0
        self._status = SensorStatus.WARMING_UP

    def measured(self) -> bool:
        """It gave a measurement; returns whether that ended a trouble or a start."""
        changed = self.phase is not Phase.MEASURING
        self.phase = Phase.MEASURING
        self.faults = 0
        self._seen = True
        self._status = SensorStatus.STALE
        return changed

    def failed(self, status: SensorStatus, *, retry: bool = True) -> Order:
        """A step failed.

        Args:
            status: the fault, as rows will say it.
            retry: whether asking again can help; if not, the ladder goes on at its next reset.

        Returns:
            What to do next.
        """
        self._status = status
        rung = self.faults
        while not retry and rung < len(LADDER) and LADDER[rung].remedy is Remedy.RETRY:
            rung += 1
        self.faults = rung + 1
        if rung >= len(LADDER):
            return self._lose()
        self.phase = Phase.FAILING
        order = LADDER[rung]
        if order.remedy is Remedy.RESET:
            self.resets += 1
        return order

    def absent(self) -> Order:
        """Nobody, or somebody else, answers at its address."""
        self._status = SensorStatus.ABSENT
        return self._lose()

    def unanswered(self, status: SensorStatus) -> Order:
        """A probe of the lost chip failed in another way than that nobody answered."""
        self._status = status
        return self._lose()

    def _lose(self) -> Order:
        """Give the chip up until a probe finds it."""
        if self.phase is not Phase.LOST:
            self.phase = Phase.LOST
            self.losses += 1
            self._probes = 0
        first_s, most_s = (
            (LOST_WAIT_S, LOST_WAIT_S_MAX) if self._seen else (ABSENT_WAIT_S, ABSENT_WAIT_S_MAX)
        )
        wait_s = min(most_s, first_s * (1 << min(self._probes, 10)))
        self._probes += 1
        return Order(Remedy.PROBE, wait_s)


class Lockup:
    """Counts timeouts of the whole bus: each costs up to a second of every chip's time.

    After ``TIMEOUTS_MAX`` in a row, whoever had them, no chip is polled until the bus was reopened.
    """

    TIMEOUTS_MAX: Final = 3
    WAIT_S: Final = 1.0
    WAIT_S_MAX: Final = 60.0

    def __init__(self) -> None:
        self.reopens = 0
        self._timeouts = 0
        self._fruitless = 0

    def answered(self) -> None:
        """A chip acknowledged, or did not: the bus itself works."""
        self._timeouts = 0
        self._fruitless = 0

    def timed_out(self) -> bool:
        """A transfer timed out; returns whether the bus must be reopened."""
        self._timeouts += 1
        return self._timeouts >= self.TIMEOUTS_MAX

    def reopened(self) -> float:
        """The bus is being reopened; returns how long to leave it alone after that, seconds."""
        self.reopens += 1
        self._timeouts = 0
        wait_s = min(self.WAIT_S_MAX, self.WAIT_S * (1 << min(self._fruitless, 10)))
        self._fruitless += 1
        return wait_s
