"""One life of both services' storing parts on one disk, for scenarios that a test ends anywhere."""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from collector.spool.options import Prepare
from collector.spool.store import SpoolStore
from common.clock import Clock
from common.errors import SpoolError
from common.spool.migrate import migrate
from common.spool.prepare import drop_stray_log, prepare, sync_directory, version_of
from shipper.ledger import Ledger
from tests.emulators.clock import ManualClock
from tests.tools.spools import Device

Report = Callable[[str], None]
"""Takes what the process told the world: from then on it is a promise."""

OTHER_BOOT: Final = "b1" * 16


def prepare_here(path: Path, kind: str, supported: int) -> None:
    """The steps of ``common.spool.prepare.prepare`` without its child process, to be counted."""
    if version_of(path, supported) < supported:
        try:
            drop_stray_log(path)
            migrate(path, kind)
            sync_directory(path.parent)
        except OSError as error:
            raise SpoolError(str(error), op="migrate", path=str(path)) from error


class Life:
    """Opens spool and ledger by the product's own code.

    Args:
        root: of the device.
        report: see ``Report``.
        prepared: makes the tables.
        boot_id: the running boot; ``None``: the one that the device began with.
    """

    def __init__(
        self, root: Path, report: Report, prepared: Prepare = prepare_here,
        boot_id: str | None = None,
    ) -> None:
        self.device = Device(root, seed=int.from_bytes(os.urandom(8), "big"))
        self.device.means = replace(self.device.means, prepare=prepared)
        if boot_id is not None:
            self.device.clock = ManualClock(boot_id=boot_id)
        self.report = report
        self._prepared = prepared
        self._stores: list[SpoolStore] = []
        self._ledgers: list[Ledger] = []

    @property
    def clock(self) -> Clock:
        """Of both services."""
        return self.device.clock

    def collector(self) -> SpoolStore:
        """Start the collector's spool."""
        store = self.device.start()
        self._stores.append(store)
        return store

    def shipper(self) -> Ledger:
        """Start the shipper's file."""
        ledger = Ledger(self.device.directory, prepared=self._prepared)
        self._ledgers.append(ledger)
        return ledger

    def end(self) -> None:
        """End without a clean stop: nothing is noted, only the files are let go."""
        for store in self._stores:
            with contextlib.suppress(sqlite3.Error):
                store._settled.connection.close()
            store._lock.release()
        for ledger in self._ledgers:
            ledger.close()
        self._stores, self._ledgers = [], []


def with_child(root: Path, report: Report) -> Life:
    """A life in which tables are made in a child process, as in the installed services."""
    return Life(root, report, prepare)
