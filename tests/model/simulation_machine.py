"""What one simulated device is made of, and what all devices of a history share."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from collector.spool.position import PositionRecord
from common.identity import Hardware
from tests.model.simulation_books import Books
from tests.model.simulation_device import SimClock
from tests.model.simulation_ledger import SimLedger
from tests.model.simulation_mortality import Mortality, SimLock
from tests.model.simulation_spool import SimSpool
from tests.model.simulation_verdict import Auditor


@dataclass(slots=True)
class Machine:
    """The hardware and files of one device.

    Attributes:
        missing: ``spool.db`` is gone.
        bad: rows of a damaged file that cannot be read, by seq.
        record: the position of the last commit, on tmpfs; ``None``: there is none.
        original: whether its install is its own; a copy's belongs to another device.
    """

    clock: SimClock
    hardware: Hardware
    spool: SimSpool
    ledger: SimLedger
    mortality: Mortality
    lock: SimLock
    missing: bool = False
    bad: frozenset[int] = frozenset()
    record: PositionRecord | None = None
    original: bool = True


@dataclass(frozen=True, slots=True)
class Shared:
    """What all devices of a history share.

    Attributes:
        ids: numbers each sample.
        rows_max: more rows than this are thinned.
        poison: share of samples that the door or the table refuses.
        lying: whether cards take back what they said was durable.
        trace: told each thing that happens.
    """

    random: Random
    books: Books
    auditor: Auditor
    ids: "itertools.count[int]"
    rows_max: int
    poison: float
    lying: bool
    trace: Callable[[str], None]

    def hex(self) -> str:
        """Sixteen random digits."""
        return f"{self.random.getrandbits(64):016x}"
