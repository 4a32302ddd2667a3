"""One trial: start on what the damage left, keep sampling, salvage, drain, and say how it went."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, TypeVar

from collector.spool.settle import Happening
from collector.spool.store import SpoolStore
from collector.spool.upkeep import Upkeep
from common.errors import SpoolError, ThermalError
from shipper.drain import Drain
from tests.faults.disk.scene import Arrived, Key, Shore
from tests.tools.spools import Device, sample

_T = TypeVar("_T")

FRESH_FIRST: Final = 1_000_000
"""Number of the first sample that is taken after the damage: none before it has its time."""

FRESH_ROWS: Final = 6
ROUNDS_MAX: Final = 120
STEPS: Final = 60
CARE_S: Final = 10.0


@dataclass(slots=True)
class Outcome:
    """What a trial showed.

    Attributes:
        refused: why the collector would not start; ``None``: it did.
        fresh: number of each sample that was accepted after the damage, by the key it got.
        happenings: what the collector told the log.
        arrived: the table at the end.
        home: whether everything stored was acknowledged in time.
        crashes: tracebacks of a process that ended by an error nobody caught.
        troubles: errors that the processes met and outlived.
        aside: names of what was set aside.
    """

    refused: ThermalError | None = None
    fresh: dict[Key, int] = field(default_factory=dict)
    happenings: list[Happening] = field(default_factory=list)
    arrived: list[Arrived] = field(default_factory=list)
    home: bool = False
    crashes: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)

    @property
    def quarantined(self) -> bool:
        """Whether the spool was set aside."""
        return any(happening.name == "spool_set_aside" for happening in self.happenings)


Hook = Callable[[int], None]
"""Called with the number of each round, before it: more damage while both services run."""


def recover(device: Device, shore: Shore, hook: Hook | None = None) -> Outcome:
    """Run both services over a damaged disk until all is home, or nothing moves any more."""
    outcome = Outcome()
    try:
        store = device.start()
    except ThermalError as error:
        outcome.refused = error
        return outcome
    with store:
        run = _Run(device, shore, store, outcome)
        for number in range(ROUNDS_MAX):
            if hook is not None:
                hook(number)
            if run.round() and number >= FRESH_ROWS:
                outcome.home = True
                break
        outcome.happenings += store.happenings()
    shore.close()
    outcome.arrived = shore.arrived()
    aside = device.directory / "aside"
    outcome.aside = sorted(p.name for p in aside.iterdir()) if aside.is_dir() else []
    return outcome


class _Run:
    """The two services of a trial, taking turns."""

    def __init__(self, device: Device, shore: Shore, store: SpoolStore, outcome: Outcome) -> None:
        self._device, self._shore, self._store = device, shore, store
        self._outcome = outcome
        self._upkeep = Upkeep(store)
        self._drain: Drain | None = None
        self._taken = 0
        self._salvaging = True

    def round(self) -> bool:
        """Ten seconds of both services; returns whether all that is stored is acknowledged."""
        self._sample()
        self._care()
        for _ in range(STEPS):
            if self._ship() >= 1.0:
                break
        self._device.clock.sleep(CARE_S)
        return not self._salvaging and self._home()

    def _sample(self) -> None:
        """Store one more sample, or try again with the one that was refused."""
        if self._taken < FRESH_ROWS:
            self._outlived(self._append)

    def _append(self) -> None:
        seqs = self._store.append([sample(FRESH_FIRST + self._taken)])
        self._taken += 1
        for seq in seqs:
            key = (self._store.install.install_id, self._store.epoch, seq)
            self._outcome.fresh[key] = self._taken

    def _care(self) -> None:
        report = self._outlived(self._upkeep.run)
        if report is not None:
            self._salvaging = report.salvaging

    def _ship(self) -> float:
        """One step of the shipper; returns the seconds that it wants to wait."""
        try:
            if self._drain is None:
                self._drain = self._shore.process()
            wait_s = self._drain.step()
        except Exception:  # noqa: BLE001 - it ends the process, and systemd starts it again
            self._outcome.crashes.append(f"shipper: {traceback.format_exc()}")
            self._drain = None
            return CARE_S
        self._device.clock.sleep(max(min(wait_s, 1.0), 0.02))
        return wait_s

    def _home(self) -> bool:
        return self._taken == FRESH_ROWS and bool(
            self._outlived(lambda: self._shore.acknowledged() >= self._store.last_seq)
        )

    def _outlived(self, act: Callable[[], _T]) -> _T | None:
        """Do something whose trouble the storing thread catches; any other ends the collector."""
        try:
            return act()
        except SpoolError as error:
            self._outcome.troubles.append(str(error))
        except Exception:  # noqa: BLE001 - whatever ends the process is what the trial looks for
            self._outcome.crashes.append(f"collector: {traceback.format_exc()}")
        return None
