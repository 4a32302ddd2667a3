"""The shipper's view of a simulated spool: it may die, be overtaken or fail at every call."""

from collections.abc import Callable

from common.identity import Install, Lineage, Position
from common.ship_state import Acknowledgement
from common.spool.row import StoredRow
from tests.model.simulation_mortality import Mortality
from tests.model.simulation_spool import SimSpool


class SimReader:
    """The shipper's view: of whatever file the path names now, and mortal at every call.

    Args:
        spool: gives the file that is there now.
        mortality: the shipper's.
    """

    def __init__(self, spool: Callable[[], SimSpool], mortality: Mortality) -> None:
        self._spool = spool
        self._mortality = mortality

    def _file(self) -> SimSpool:
        self._mortality.touch("read")
        return self._spool()

    def install(self) -> Install:
        """See ``SpoolReader``."""
        return self._file().install()

    def lineage(self) -> Lineage:
        """See ``SpoolReader``."""
        return self._file().lineage()

    def newest(self) -> Position | None:
        """See ``SpoolReader``."""
        return self._file().newest()

    def read_after(self, position: Position | None, rows_max: int) -> list[StoredRow]:
        """See ``SpoolReader``."""
        return self._file().read_after(position, rows_max)

    def count_between(self, after: Position | None, through: Position) -> int:
        """See ``SpoolReader``."""
        return self._file().count_between(after, through)

    def boot_offset_ns(self, boot_id: str) -> int | None:
        """See ``SpoolReader``."""
        return self._file().boot_offset_ns(boot_id)

    def trimmed(self) -> Acknowledgement | None:
        """See ``SpoolReader``."""
        return self._file().trimmed()

    def salvage_pending(self) -> bool:
        """See ``SpoolReader``."""
        return self._file().salvage_pending()

    def copied_events(self) -> dict[str, Position]:
        """See ``SpoolReader``."""
        return self._file().copied_events()

    def honoured_requests(self) -> frozenset[str]:
        """See ``SpoolReader``."""
        return self._file().honoured_requests()
