"""The scenarios by name, and those with a planted mistake, which the sweep must find."""

import os
import sqlite3
from collections.abc import Sequence
from typing import Final
from unittest import mock

from collector.spool import trimming
from collector.spool.position import PositionRecord, write_record
from collector.spool.store import SpoolStore
from common.database import OpenFile
from common.errors import SpoolError
from common.ship_state import Acknowledgement
from common.spool.row import NewRow
from tests.faults.power.life import Life
from tests.faults.power.scenarios import FIRST_NEW, SCENARIOS, Scenario, tell
from tests.tools.spools import samples


def _trim_then_tell(life: Life) -> None:
    """Trim in one transaction, and store the acknowledgement that it used in a second one."""
    real = trimming._delete

    def delete(
        connection: sqlite3.Connection, limit: int, acknowledgement: Acknowledgement
    ) -> tuple[int, bool]:
        connection.execute("DELETE FROM readings WHERE seq <= ?", (limit,))
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        return real(connection, limit, acknowledgement)

    with mock.patch.object(trimming, "_delete", delete):
        SCENARIOS["trim"].act(life)


def _record_first(life: Life) -> None:
    """Write the position record before the commit that it tells of."""
    real = SpoolStore.insert

    def insert(self: SpoolStore, connection: sqlite3.Connection, rows: Sequence[NewRow]) -> None:
        real(self, connection, rows)
        file = OpenFile(self.path)
        last = self.last_seq + len(self._inserted)
        places = (file.device, file.inode, self.install.install_id, self.epoch)
        record = PositionRecord(self.clock.boot_id(), *places, last)
        write_record(self.options.runtime_directory, record)

    with mock.patch.object(SpoolStore, "insert", insert):
        SCENARIOS["append"].act(life)


def _tell_whatever(life: Life) -> None:
    """Count rows as stored although storing them failed, as who logs an error and goes on."""
    real = SpoolStore.append

    def append(self: SpoolStore, rows: Sequence[NewRow]) -> range:
        try:
            return real(self, rows)
        except SpoolError:
            return range(self.last_seq + 1, self.last_seq + 1 + len(rows))

    with mock.patch.object(SpoolStore, "append", append):
        SCENARIOS["append"].act(life)


def _tell_before(life: Life) -> None:
    """Count rows as stored before their transaction is committed."""
    store = life.collector()
    # A service that was killed does not come back with the same samples.
    rows = samples(FIRST_NEW + int.from_bytes(os.urandom(3), "big"), 2)
    with store.transaction("append") as connection:
        first = store.last_seq + 1
        store.insert(connection, rows)
        tell(life, store, range(first, first + 2), rows)


MISTAKES: Final[dict[str, Scenario]] = {
    "trim in two transactions": Scenario(SCENARIOS["trim"].before, _trim_then_tell),
    "record before commit": Scenario(SCENARIOS["append"].before, _record_first),
    "told before commit": Scenario(SCENARIOS["append"].before, _tell_before),
    "told in spite of errors": Scenario(SCENARIOS["append"].before, _tell_whatever),
}


def scenario_named(name: str) -> Scenario:
    """A scenario of the product, or one with a mistake.

    Raises:
        KeyError: there is none of that name.
    """
    return {**SCENARIOS, **MISTAKES}[name]
