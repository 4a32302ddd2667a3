"""How a mistake is planted into a process that was just made; the product knows nothing of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from shipper.protocol.events import Event
from shipper.protocol.reconcile import Decision, Known
from shipper.resumption import Resumer
from tests.model.simulation_host import SimDevice


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake that clients of this kind really make.

    Attributes:
        plant: spoils the processes of a device; called whenever the shipper was started.
        climate: the weather that brings it to light soonest.
    """

    plant: Callable[[SimDevice], None]
    climate: str

    @property
    def name(self) -> str:
        """What it is called."""
        return self.plant.__name__


def parts(device: SimDevice) -> Any:
    """The parts of the drain."""
    drain: Any = device.drain
    return drain._parts


def on_take(device: SimDevice, spoil: Callable[[Any, Event], Event | None]) -> None:
    """Let ``spoil`` see each event first.

    It may give another one, or ``None`` when it dealt with it.
    """
    drain: Any = device.drain
    feedback = drain._feedback
    real = feedback.take

    def take(event: Event, now_s: float) -> None:
        given = spoil(parts(device), event)
        if given is not None:
            real(given, now_s)

    feedback.take = take


def retable(device: SimDevice, table: Callable[[str | None, Known], Decision]) -> None:
    """Decide at each open by another table."""
    found = parts(device)
    found.resumer = Resumer(found.world, found.resumer._target_name, table)


class Instead:
    """A thing of which some names are replaced.

    Args:
        real: everything else is its.
        names: what is replaced.
    """

    def __init__(self, real: Any, **names: Any) -> None:
        self._real = real
        self.__dict__.update(names)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def with_ledger(device: SimDevice, **names: Any) -> None:
    """Replace calls of ``ship.db`` for all parts of the drain."""
    found = parts(device)
    _with_world(device, "ledger", Instead(found.world.ledger, **names))
    found.graves._ledger = found.world.ledger


def with_spool(device: SimDevice, **names: Any) -> None:
    """Replace calls of the spool's reader for all parts of the drain."""
    _with_world(device, "spool", Instead(parts(device).world.spool, **names))
    parts(device).feed._spool = parts(device).world.spool


def _with_world(device: SimDevice, name: str, thing: Any) -> None:
    """The world is one frozen value that all parts hold."""
    object.__setattr__(parts(device).world, name, thing)
