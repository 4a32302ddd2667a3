"""Whether the network may be touched at all.

Nothing leaves before the identity of this machine is settled.
"""

from common.errors import SpoolError
from common.identity import Install
from shipper.permission import waiting_for_collector
from shipper.ports import Present, World


class Gate:
    """Asked before every open; remembers for which install the ledger was settled."""

    def __init__(self, world: World, present: Present) -> None:
        self._world = world
        self._present = present
        self._settled: str | None = None

    def shut(self) -> str:
        """Why nothing may be sent, or "" when the gate is open.

        Closed while the collector has not settled install and epoch of this boot (rule 2), while
        rows of a damaged spool may come back (rule 6), and while the collector is asked for an
        epoch or an install.
        """
        world = self._world
        try:
            install = world.spool.install()
            reason = waiting_for_collector(
                install, world.spool.lineage(), self._present.hardware, world.clock.boot_id()
            )
            if reason is not None:
                return reason
            if world.spool.salvage_pending():
                return "rows of a damaged spool are being salvaged"
            self._settle(install)
            return self._asked()
        except SpoolError as error:
            return str(error)

    def _settle(self, install: Install) -> None:
        """Once per install and process: the ledger must be of the same install (rule 3)."""
        if self._settled != install.install_id:
            self._world.ledger.settle(install, self._world.clock.realtime_ns())
            self._settled = install.install_id

    def _asked(self) -> str:
        ledger = self._world.ledger
        waiting = ledger.requests()
        if not waiting:
            return ""
        honoured = self._world.spool.honoured_requests()
        ledger.drop_requests([name for name in waiting if name in honoured])
        if all(name in honoured for name in waiting):
            return ""
        return "the collector was asked for a new epoch or install"
