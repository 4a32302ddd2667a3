"""Who a row is: install, epoch and seq, and how positions of one install are ordered.

``(install_id, epoch, seq)`` never names two samples. An install is one spool's life on one card
and board; an epoch is one boot's stretch of rows; the epochs of an install form a parent chain.
Positions are compared as (epoch order, seq), never by seq alone: after a card rolled back, equal
numbers of two epochs are different rows.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

ANCESTORS_MAX: Final = 4
"""How many ancestors an offset token names, nearest first."""

ABSENT: Final = "absent"
"""Serial number of hardware that has none; a value like any other."""


class Position(NamedTuple):
    """A place in the lineage of one install; compares by epoch order, then by seq."""

    order: int
    seq: int


@dataclass(frozen=True, slots=True)
class Hardware:
    """The serial numbers of the board and the card, or ``ABSENT``."""

    board_serial: str
    card_serial: str


@dataclass(frozen=True, slots=True)
class Install:
    """One spool's life.

    Attributes:
        install_id: 16 upper-case hex digits, random, with the serials mixed in.
        hardware: the serials seen when it was made, or last confirmed.
    """

    install_id: str
    hardware: Hardware

    @property
    def channel(self) -> str:
        """The live channel's name: a function of the install alone."""
        return f"TH_{self.install_id}"


@dataclass(frozen=True, slots=True)
class Epoch:
    """One boot's stretch of rows.

    Attributes:
        order: its place in the lineage, from 1.
        epoch: 16 lower-case hex digits, random.
        parent: the epoch before it that has rows; ``None`` for the first.
        boot_id: the boot that made it.
        first_seq: the first seq that it may hold.
        last_seq: the greatest seq ever stored in it; ``first_seq - 1`` while it is empty.
    """

    order: int
    epoch: str
    parent: str | None
    boot_id: str
    first_seq: int
    last_seq: int

    @property
    def end(self) -> Position:
        """Position of its last row."""
        return Position(self.order, self.last_seq)


@dataclass(frozen=True, slots=True)
class Lineage:
    """All epochs of an install, oldest first."""

    epochs: tuple[Epoch, ...] = ()

    @property
    def newest(self) -> Epoch | None:
        """The epoch that rows are stored in now."""
        return self.epochs[-1] if self.epochs else None

    def find(self, epoch: str) -> Epoch | None:
        """The epoch of that name, or ``None`` when it is not ours."""
        return next((e for e in reversed(self.epochs) if e.epoch == epoch), None)

    def at(self, order: int) -> Epoch:
        """The epoch at that place.

        Raises:
            LookupError: there is none.
        """
        for epoch in reversed(self.epochs):
            if epoch.order == order:
                return epoch
        raise LookupError(f"no epoch of order {order}")

    def ancestors(self, epoch: str) -> tuple[str, ...]:
        """Up to ``ANCESTORS_MAX`` parents of an epoch, nearest first."""
        chain: list[str] = []
        found = self.find(epoch)
        while found is not None and found.parent is not None and len(chain) < ANCESTORS_MAX:
            chain.append(found.parent)
            found = self.find(found.parent)
        return tuple(chain)

    def position(self, epoch: str, seq: int) -> Position | None:
        """The position of a row, or ``None`` when its epoch is not in this lineage."""
        found = self.find(epoch)
        return None if found is None else Position(found.order, seq)
