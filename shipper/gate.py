"""Whether the network may be touched at all.

Nothing leaves before the identity of this machine is settled.
"""

import contextlib
from pathlib import Path
from typing import Final

from common.database import SpoolCorrupt
from common.errors import SpoolError
from common.identity import Install
from common.spool.schema import SPOOL_FILE
from shipper.permission import waiting_for_collector
from shipper.ports import Present, World

ASK_AGAIN_S: Final = 3600.0
"""Pause between two requests to check the spool: each one makes an epoch."""


class Gate:
    """Asked before every open; remembers for which install the ledger was settled."""

    def __init__(self, world: World, present: Present) -> None:
        self._world = world
        self._present = present
        self._settled: str | None = None
        self._asked_s: float | None = None

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
            self.failed(error)
            return str(error)

    def failed(self, error: SpoolError) -> None:
        """Have a damaged file seen to: ours is settled anew, the spool is checked by its owner.

        The collector only appends; a page in the middle may be read by nobody but us. It checks the
        whole file when it is asked for an epoch, and sets it aside.
        """
        if not isinstance(error, SpoolCorrupt):
            return
        self._settled = None
        now_s = self._world.clock.monotonic_s()
        due = self._asked_s is None or now_s - self._asked_s >= ASK_AGAIN_S
        if due and Path(error.path).name == SPOOL_FILE:
            with contextlib.suppress(SpoolError):
                self._world.ledger.request("new_epoch", "the spool is damaged")
                self._asked_s = now_s

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
