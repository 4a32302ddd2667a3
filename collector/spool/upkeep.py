"""The care of the spool between two commits: events, requests, salvage, trim, room.

The storing thread calls ``run`` every few seconds and after ``SpoolFull``. Each step is complete in
itself; one that fails leaves the spool as it was and is tried again at the next run.
"""

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import Final

from collector.spool import budget, disk, licence
from collector.spool.events import copy_events
from collector.spool.licence import Licence
from collector.spool.quarantine import ALWAYS_CHECKED_BYTES
from collector.spool.salvage import Salvage
from collector.spool.settle import Happening
from collector.spool.store import SpoolStore
from collector.spool.thinning import Thinned, thin
from collector.spool.trimming import trim
from common.database import PAGE_BYTES, WAL_BYTES_KEPT, damaged
from common.errors import SpoolError
from common.lock import FileLock
from common.ship_state import EXPOSURE_LOCK, ShipState, ShipStateUnreadable, read_ship_state
from common.spool import tables

_LOW_DISK_SHARE: Final = 2
INSPECT_S: Final = 86_400.0
"""Time between two checks of a file that is small enough for them, monotonic seconds."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one run did and found.

    Attributes:
        trimmed: committed rows deleted.
        thinned: what a thinning pass did; ``None``: there was none.
        events: the shipper's events stored as rows.
        salvaging: whether rows of a damaged file are still being carried over.
        used_bytes: what the rows take.
        limit_bytes: what they may take.
        ship_unreadable: ``ship.db`` cannot be read: nothing is trimmed.
    """

    trimmed: int
    thinned: Thinned | None
    events: int
    salvaging: bool
    used_bytes: int
    limit_bytes: int
    ship_unreadable: bool


class Upkeep:
    """See the module.

    Args:
        store: the spool.
    """

    def __init__(self, store: SpoolStore) -> None:
        self._store = store
        self._salvage = Salvage(store)
        self._ballast = disk.Ballast(
            store.options.directory, budget.ballast_bytes(store.options.limits)
        )
        self._unreadable = False
        self._inspect_s = store.clock.monotonic_s() + INSPECT_S

    def run(self) -> Report:
        """Do all that is due.

        Raises:
            SpoolError: a step failed; the ones before it count.
        """
        store = self._store
        # Room is made first: on a full spool every other step fails.
        self._relieve()
        ship, unreadable = self._ship_state()
        trimmed = 0 if unreadable else self._trim(ship)
        limit, usage = self._measure()
        thinned = None
        if budget.is_crowded(limit, usage):
            thinned = self._thin(limit)
            limit, usage = self._measure()
        self._restock(usage)
        salvaging = self._salvage.step()
        self._inspect()
        events = 0
        if ship is not None and licence.usable(store.install, ship) is not None:
            events = copy_events(store, ship)
            self._honour(ship)
        return Report(
            trimmed, thinned, events, salvaging, usage.used_bytes, limit * PAGE_BYTES, unreadable
        )

    def _inspect(self) -> None:
        """Once a day look for damage: a page in the middle is read by nobody until it is sent.

        Raises:
            SpoolCorrupt: there is some; the next call checks again, and sets the file aside.
        """
        store = self._store
        now_s = store.clock.monotonic_s()
        if now_s < self._inspect_s:
            return
        self._inspect_s = now_s + INSPECT_S
        if store.path.stat().st_size > ALWAYS_CHECKED_BYTES:
            return
        with store.reading("inspect") as connection:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if answer != "ok":
                raise damaged(f"quick_check: {answer}")

    def _ship_state(self) -> tuple[ShipState | None, bool]:
        """The shipper's state, and whether it cannot be read; a change of that is told."""
        try:
            ship = read_ship_state(self._store.options.directory, self._store.means.open_reader)
        except ShipStateUnreadable as error:
            if not self._unreadable:
                told = Happening("ship_state_unreadable", {"error": str(error)}, alarm=True)
                self._store.tell(told)
            self._unreadable = True
            return None, True
        self._unreadable = False
        return ship, False

    def _honour(self, ship: ShipState) -> None:
        """Make the epoch or the install that the shipper asked for (rule 3)."""
        if not ship.requests:
            return
        with self._store.reading("requests") as connection:
            honoured = tables.read_honoured(connection)
        if any(request.id not in honoured for request in ship.requests):
            self._store.renew()

    def _trim(self, ship: ShipState | None) -> int:
        with self._store.reading("trim") as connection:
            granted = self._licence(connection, ship)
        return trim(self._store, granted, self._store.options.limits.retain_rows)

    def _licence(self, connection: sqlite3.Connection, ship: ShipState | None) -> Licence:
        """The greater of both files' acknowledgements (rule 7)."""
        ours = licence.usable(self._store.install, ship)
        return licence.licence(
            tables.read_lineage(connection),
            ours.acknowledged if ours else None,
            tables.read_trimmed(connection),
        )

    def _thin(self, limit: int) -> Thinned | None:
        """Make room: committed rows first, whatever is to be retained; then thin or drop.

        The lock covers [read ``exposed``, commit the thinning]; it is only tried, because sampling
        never waits for the shipper (rule 20).
        """
        store = self._store
        lock = FileLock(store.options.directory / EXPOSURE_LOCK)
        if not lock.try_acquire():
            return None
        try:
            ship, unreadable = self._ship_state()
            with store.reading("thin") as connection:
                granted = self._licence(connection, ship)
                exposed = licence.exposed_through(
                    store.install,
                    tables.read_lineage(connection),
                    ship,
                    tables.read_trimmed(connection),
                )
            if unreadable:
                exposed = licence.EVERYTHING
            elif trim(store, granted, 1) and not budget.is_crowded(*self._measure()):
                return None
            done = None
            if exposed < store.last_seq:
                self._checkpoint()
                after = max(exposed, granted.through)
                done = thin(store, after, budget.pages_to_free(store.options.limits, limit))
        finally:
            lock.release()
        if done is not None:
            self._checkpoint()
            fields: dict[str, str | int] = {"rows": done.rows, "freed_pages": done.freed_pages}
            store.tell(Happening(f"rows_{done.reason}", fields, alarm=True))
        return done

    def _measure(self) -> tuple[int, budget.Usage]:
        """Limit in pages, set as the file's hard one, and the usage."""
        with self._store.reading("measure") as connection:
            try:
                usage = disk.usage(connection, self._store.options.directory)
            except OSError as error:
                raise SpoolError(
                    f"{self._store.options.directory}: cannot be measured: {error.strerror}",
                    op="measure",
                    path=str(self._store.options.directory),
                ) from error
            limit = budget.page_limit(self._store.options.limits, usage)
            connection.execute(f"PRAGMA max_page_count={limit}").fetchall()
            log = min(WAL_BYTES_KEPT, budget.log_bytes(self._store.options.limits))
            connection.execute(f"PRAGMA journal_size_limit={log}").fetchall()
        return limit, usage

    def _relieve(self) -> None:
        """On a disk without room, give up the ballast and empty the log into the freed space."""
        _, usage = self._measure()
        size = budget.ballast_bytes(self._store.options.limits)
        if usage.disk_free_bytes >= size // _LOW_DISK_SHARE or not self._ballast.give_up():
            return
        self._store.tell(Happening("ballast_given_up", {"bytes": size}, alarm=True))
        self._checkpoint()

    def _checkpoint(self) -> None:
        """Empty the log, so that the next commit begins it anew and cuts it to its usual size."""
        with (
            contextlib.suppress(SpoolError),
            self._store.reading("checkpoint") as connection,
        ):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def _restock(self, usage: budget.Usage) -> None:
        """Take ballast again once the disk has room for it beside the reserve."""
        limits = self._store.options.limits
        size = budget.ballast_bytes(limits)
        room = usage.disk_free_bytes - limits.free_reserve_bytes
        if not self._ballast.present and room > 2 * size:
            self._ballast.take()
