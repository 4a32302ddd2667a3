"""The storing side: rows wait in memory, and go to the spool in groups.

Rules:

1. Rows are stored together every ``store_interval_s``; one that comes after that much quiet is
   stored at once. A kill costs at most what has come since.
2. What the spool refuses stays in the ring and is tried again with growing pauses; only the ring's
   bound gives rows up, and says so in a gap row.
3. Sampling never waits: ``keep`` takes a lock that is never held over the disk.
4. The store is used by one thread alone, from its opening to its closing.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from collector.ring import Ring
from collector.timekeeping import Timekeeper
from common.clock import Clock
from common.database import SpoolFull
from common.errors import SpoolError
from common.logs import Log
from common.spool.row import NewRow

RETRY_S: Final = 1.0
RETRY_S_MAX: Final = 30.0
ATTEMPT_S_MAX: Final = 45.0
"""A commit that takes longer than this is a hang; the slowest cards stall for seconds."""


class Appends(Protocol):
    """What the writer needs of the spool's store."""

    def append(self, rows: Sequence[NewRow]) -> range:
        """Store rows in one transaction; returns their seqs.

        Raises:
            SpoolError: nothing of it was stored.
        """


class Writer:
    """Stores rows in groups.

    Args:
        store: the spool.
        store_interval_s: see rule 1.
        clock: monotonic time.
        time: stamps gap rows.
        log: where a failing spool is told, once.
        ring: where rows wait.

    Attributes:
        rows_stored: rows stored since the start.
        failures: attempts that failed since the start.
        full: whether the last attempt failed for want of room.
        committed_s: monotonic time of the last commit; ``None``: none yet.
        observe: called with the seconds that each commit took; ``None``: nobody wants to know.
    """

    def __init__(
        self,
        store: Appends,
        store_interval_s: float,
        clock: Clock,
        time: Timekeeper,
        log: Log,
        ring: Ring,
    ) -> None:
        self.rows_stored = 0
        self.failures = 0
        self.full = False
        self.committed_s: float | None = None
        self.observe: Callable[[float], None] | None = None
        self._store = store
        self._store_interval_s = store_interval_s
        self._clock = clock
        self._time = time
        self._log = log
        self._ring = ring
        self._lock = threading.Lock()
        self._fresh = threading.Condition(self._lock)
        self._failing = 0
        self._reason = ""
        self._retry_s = 0.0
        self._attempt_s: float | None = None
        self._woken = False

    @property
    def waiting(self) -> int:
        """Rows in memory."""
        with self._lock:
            return len(self._ring)

    @property
    def dropped(self) -> int:
        """Rows given up because memory was full."""
        return self._ring.dropped

    @property
    def trouble(self) -> str:
        """Why storing fails; empty while it works."""
        return self._reason

    def keep(self, row: NewRow) -> None:
        """Take a row; from any thread, without waiting for the disk."""
        with self._fresh:
            first = not len(self._ring)
            self._ring.add(row, self._clock.monotonic_s())
            if first:
                self._fresh.notify()

    def wait(self, seconds_max: float) -> bool:
        """Wait on the storing thread until rows are due, or for that long at most.

        Returns:
            Whether rows are due. ``wake`` ends the wait, also one that begins after it.
        """
        with self._fresh:
            due_in_s = self._due_in_s()
            if not self._woken and (due_in_s is None or due_in_s > 0):
                self._fresh.wait(seconds_max if due_in_s is None else min(seconds_max, due_in_s))
            self._woken = False
            due_in_s = self._due_in_s()
        return due_in_s is not None and due_in_s <= 0

    def wake(self) -> None:
        """End the ``wait`` of the storing thread."""
        with self._fresh:
            self._woken = True
            self._fresh.notify()

    def due_in_s(self) -> float | None:
        """Seconds until rows ought to be stored; ``None`` while there is none."""
        with self._lock:
            return self._due_in_s()

    def _due_in_s(self) -> float | None:
        oldest_s = self._ring.oldest_s
        if oldest_s is None:
            return None
        due_s = max(oldest_s, self._retry_s)
        if self.committed_s is not None:
            due_s = max(due_s, self.committed_s + self._store_interval_s)
        return max(0.0, due_s - self._clock.monotonic_s())

    def store(self) -> bool:
        """Try to store all that waits; returns whether nothing is left."""
        while self.waiting:
            if not self._store_chunk():
                return False
        return True

    def progressing(self, now_s: float) -> bool:
        """Whether storing works, or is known to fail while the memory still takes rows.

        False only for a hang: an attempt that does not end, or rows that nobody tries to store.
        """
        attempt_s = self._attempt_s
        if attempt_s is not None:
            return now_s - attempt_s < ATTEMPT_S_MAX
        due_in_s = self.due_in_s()
        if due_in_s is None or due_in_s > 0:
            return True
        with self._lock:
            oldest_s = self._ring.oldest_s
        latest_s = max(oldest_s or now_s, self._retry_s, self.committed_s or 0.0)
        return now_s - latest_s < self._store_interval_s + ATTEMPT_S_MAX

    def _store_chunk(self) -> bool:
        """Store the oldest rows in one transaction."""
        stamp = self._time.stamp()
        with self._lock:
            rows = self._ring.take(stamp)
        began_s = self._attempt_s = self._clock.monotonic_s()
        try:
            self._store.append(rows)
        except SpoolError as error:
            with self._lock:
                self._ring.failed()
            self._failed(error)
            return False
        finally:
            self._attempt_s = None
        with self._lock:
            self._ring.stored()
        self.committed_s = self._clock.monotonic_s()
        self.rows_stored += len(rows)
        if self.observe is not None:
            self.observe(self.committed_s - began_s)
        self._worked()
        return True

    def _failed(self, error: SpoolError) -> None:
        """Count a failure, tell the first one, and try again later."""
        self.failures += 1
        self.full = isinstance(error, SpoolFull)
        wait_s = min(RETRY_S_MAX, RETRY_S * (1 << min(self._failing, 10)))
        self._retry_s = self._clock.monotonic_s() + wait_s
        if str(error) != self._reason:
            self._log.error("store_failed", str(error), hint=error.hint or "")
        self._failing += 1
        self._reason = str(error)

    def _worked(self) -> None:
        """Tell that storing works again."""
        if self._failing:
            self._log.notice("store_recovered", failures=self._failing, dropped=self.dropped)
        self._failing = 0
        self._reason = ""
        self._retry_s = 0.0
