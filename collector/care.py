"""What the storing thread does besides storing: the offset, the baseline file, the upkeep."""

from collections.abc import Callable
from typing import Final

from collector.spool.store import SpoolStore
from collector.spool.upkeep import Report, Upkeep
from common.errors import SpoolError

CARE_S: Final = 10.0
"""Time between two rounds while nothing presses: the shipper's requests are heard this soon."""

PRESSING_S: Final = 1.0
"""The same while a salvage is under way, which the shipper waits for."""


class Care:
    """Rounds of care, when they are due; used by the storing thread, read by others.

    Args:
        store: the open spool.
        save_baseline: writes the SGP30's baseline if it is a new one.

    Attributes:
        report: what the last round found; ``None`` before the first.
        oldest_seq: least seq in the spool at the last round; 0: it was empty, or none yet.
        removed: rows thinned or dropped since the start, by reason.
    """

    def __init__(self, store: SpoolStore, save_baseline: Callable[[], None]) -> None:
        self.report: Report | None = None
        self.oldest_seq = 0
        self.removed: dict[str, int] = {}
        self._store = store
        self._upkeep = Upkeep(store)
        self._save_baseline = save_baseline
        self._offset_ns: int | None = None
        self._due_s = store.clock.monotonic_s()

    def offset(self, offset_ns: int) -> None:
        """Take the offset of the boot; from any thread."""
        self._offset_ns = offset_ns

    def urge(self) -> None:
        """Make the next round due now: the spool is full."""
        self._due_s = self._store.clock.monotonic_s()

    def due_in_s(self) -> float:
        """Seconds until the next round."""
        return max(0.0, self._due_s - self._store.clock.monotonic_s())

    def look(self) -> None:
        """Do what is due.

        Raises:
            SpoolError: something could not be written; it is tried again at the next round.
        """
        if self.due_in_s() > 0:
            return
        self._due_s = self._store.clock.monotonic_s() + CARE_S
        self._store_offset()
        self._save_baseline()
        self._keep_up()

    def store_offset(self) -> None:
        """Store the offset of the boot as soon as it is known: rows wait for it."""
        try:
            self._store_offset()
        except SpoolError:
            # The next round tries again, and tells.
            return

    def _store_offset(self) -> None:
        offset_ns = self._offset_ns
        if offset_ns is not None:
            self._store.store_boot_offset(offset_ns)
            self._offset_ns = None

    def _keep_up(self) -> None:
        """One round of the spool's own upkeep."""
        report = self.report = self._upkeep.run()
        if report.thinned is not None:
            reason = report.thinned.reason.value
            self.removed[reason] = self.removed.get(reason, 0) + report.thinned.rows
        if report.salvaging:
            self._due_s = self._store.clock.monotonic_s() + PRESSING_S
        with self._store.reading("count") as connection:
            (oldest,) = connection.execute("SELECT min(seq) FROM readings").fetchone()
        self.oldest_seq = oldest or 0

    @property
    def rows(self) -> int:
        """Rows in the spool, from their numbers: holes count as rows."""
        return self._store.last_seq - self.oldest_seq + 1 if self.oldest_seq else 0
