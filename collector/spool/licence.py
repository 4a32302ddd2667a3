"""What may be trimmed, and what may not be touched: positions, never seq alone (rules 4, 7)."""

from dataclasses import dataclass
from typing import Final

from common.identity import Install, Lineage, Position
from common.ship_state import Acknowledgement, ShipState

EVERYTHING: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Licence:
    """The greatest acknowledgement and how far it reaches.

    Attributes:
        acknowledgement: the one that counts; ``None``: nothing was ever committed.
        through: rows up to this seq are committed; 0: none.
    """

    acknowledgement: Acknowledgement | None = None
    through: int = 0


def licence(lineage: Lineage, *acknowledgements: Acknowledgement | None) -> Licence:
    """The greatest of several acknowledgements, by position.

    One whose epoch is not in the lineage covers nothing. One beyond the end of its epoch covers
    that epoch only: rows of a later epoch may have smaller numbers than a token of a lost tail.
    """
    best: tuple[Position, Acknowledgement] | None = None
    for acknowledgement in acknowledgements:
        if acknowledgement is None:
            continue
        position = lineage.position(acknowledgement.epoch, acknowledgement.seq)
        if position is not None and (best is None or position > best[0]):
            best = (position, acknowledgement)
    if best is None:
        return Licence()
    position, acknowledgement = best
    return Licence(acknowledgement, min(position.seq, lineage.at(position.order).last_seq))


def usable(install: Install, ship: ShipState | None) -> ShipState | None:
    """The shipper's state if it is of this install; a foreign one says nothing of our rows."""
    return ship if ship is not None and ship.install_id == install.install_id else None


def exposed_through(
    install: Install, lineage: Lineage, ship: ShipState | None, trimmed: Acknowledgement | None
) -> int:
    """The greatest seq that may have left the device.

    Args:
        install: whose spool it is.
        lineage: its epochs.
        ship: the shipper's state; ``None``: it has no file yet. One that cannot be read does not
            come here: then ``EVERYTHING`` counts as exposed.
        trimmed: the last trim's acknowledgement: proof that something was sent once.

    Returns:
        A seq, 0 for nothing, or ``EVERYTHING``.
    """
    ours = usable(install, ship)
    if ours is None:
        foreign = ship is not None and ship.install_id is not None
        return EVERYTHING if foreign or trimmed is not None else 0
    if ours.exposed is None:
        return EVERYTHING if trimmed is not None else 0
    epoch = lineage.find(ours.exposed.epoch)
    if epoch is not None:
        return min(ours.exposed.seq, epoch.last_seq)
    # The spool lost that epoch, and a start made a newer one: only rows before it can have left.
    newest = lineage.newest
    return EVERYTHING if newest is None else newest.first_seq - 1
