"""The storing thread: opens the spool, stores groups of rows, takes care of it, closes it.

SQLite's connection never leaves this thread. A spool that cannot be opened at the start ends the
start; later troubles are the writer's, which keeps the rows meanwhile.
"""

import threading
from collections.abc import Callable
from typing import Final

from collector.care import Care
from collector.spool.store import SpoolStore
from collector.writer import Writer
from common.errors import SpoolError
from common.logs import Log

STACK_BYTES: Final = 512 * 1024
"""The default of 8 MiB is address space only, but counts where memory is limited by it."""

JOIN_S: Final = 15.0
"""How long a stop waits for the last rows; systemd allows the service 20 s."""


class Storing:
    """Runs a writer and the care of the spool on a thread of their own.

    Args:
        open_store: opens the spool; called on the thread.
        make_writer: makes the writer for an open spool.
        make_care: makes what takes care of an open spool.
        log: what happened to the spool is told here.

    Attributes:
        store: the open spool, for its plain facts; set once ``start`` has returned.
        writer: takes the rows; likewise.
        care: likewise.
    """

    store: SpoolStore
    writer: Writer
    care: Care

    def __init__(
        self,
        open_store: Callable[[], SpoolStore],
        make_writer: Callable[[SpoolStore], Writer],
        make_care: Callable[[SpoolStore], Care],
        log: Log,
    ) -> None:
        self._open_store = open_store
        self._make_writer = make_writer
        self._make_care = make_care
        self._log = log
        self._opened = threading.Event()
        self._failure: BaseException | None = None
        self._stopping = False
        self._left = 0
        self._care_failure = ""
        self._thread = threading.Thread(target=self._run, name="storing", daemon=True)

    def start(self) -> None:
        """Open the spool and begin to store.

        Raises:
            ThermalError: the spool cannot be opened, or belongs to a running collector.
        """
        before = threading.stack_size(STACK_BYTES)
        try:
            self._thread.start()
        finally:
            threading.stack_size(before)
        self._opened.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure

    def stop(self) -> int:
        """Store what is left, note the clean stop, close the spool.

        Returns:
            Rows that could not be stored.
        """
        self._stopping = True
        self.writer.wake()
        self._thread.join(JOIN_S)
        return self.writer.waiting if self._thread.is_alive() else self._left

    def _run(self) -> None:
        try:
            self.store = self._open_store()
            self.writer = self._make_writer(self.store)
            self.care = self._make_care(self.store)
        except BaseException as error:  # noqa: BLE001 - it is raised again where the start waits
            self._failure = error
            return
        finally:
            self._opened.set()
        self._tell()
        while not self._stopping:
            self._round()
        self.writer.store()
        self._left = self.writer.waiting
        self.store.close()

    def _round(self) -> None:
        """Store what is due and take care of the spool."""
        if self.writer.wait(self.care.due_in_s()) and not self.writer.store() and self.writer.full:
            self.care.urge()
        self.care.store_offset()
        try:
            self.care.look()
        except SpoolError as error:
            if str(error) != self._care_failure:
                self._log.error("care_failed", str(error), hint=error.hint or "")
            self._care_failure = str(error)
        else:
            self._care_failure = ""
        self._tell()

    def _tell(self) -> None:
        """Log what happened in the spool."""
        for happening in self.store.happenings():
            say = self._log.error if happening.alarm else self._log.notice
            say(happening.name, **happening.fields)
