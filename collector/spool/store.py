"""The only writer of ``spool.db``.

Every change is one transaction with ``synchronous=FULL``: when a call returns, what it stored would
survive a power cut. When it raises, the rows are not stored and may be given again; where a
commit's outcome was unknown, the store finds out by itself before it takes the next rows.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Final

from collector.spool import rescue
from collector.spool.decide import LastRow
from collector.spool.doubt import Doubt
from collector.spool.options import Means, SpoolOptions
from collector.spool.position import PositionRecord, write_record
from collector.spool.settle import Happening, Settled, settle
from common.clock import Clock
from common.database import OpenFile, SpoolBusy, SpoolFull, SpoolReplaced, translate
from common.errors import SpoolError
from common.identity import Install, Lineage
from common.lock import FileLock
from common.spool import tables
from common.spool.prepare import make_directory
from common.spool.row import NewRow, canonical, row_crc
from common.spool.schema import COLLECTOR_LOCK, INSERT_ROW, SPOOL_FILE

_MEANS: Final = Means()


def open_and_settle(options: SpoolOptions, clock: Clock, means: Means = _MEANS) -> "SpoolStore":
    """Open the spool, alone, and settle install and epoch; done before any sensor is probed.

    ``happenings`` of the store then tells what the start found.

    Raises:
        LockHeld: another collector has it.
        SpoolNewer: the file is of a newer version; it was not touched.
        SpoolError: the disk does not work.
    """
    make_directory(options.directory)
    lock = FileLock(options.directory / COLLECTOR_LOCK)
    lock.acquire()
    try:
        return SpoolStore(options, clock, means, lock)
    except BaseException:
        lock.release()
        raise


class SpoolStore(contextlib.AbstractContextManager["SpoolStore"]):
    """See the module; made by ``open_and_settle``. One thread uses it."""

    def __init__(self, options: SpoolOptions, clock: Clock, means: Means, lock: FileLock) -> None:
        self.options, self.clock, self.means = options, clock, means
        self.path = options.directory / SPOOL_FILE
        self._lock = lock
        self._happenings: list[Happening] = []
        self._broken: SpoolError | None = None
        self._doubt = Doubt()
        self._rescues_failed = 0
        self._settled = settle(options, clock, means)
        self._last_row = self._settled.last_row
        self._adopt(self._settled)

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def install(self) -> Install:
        """Whose spool it is."""
        return self._settled.install

    @property
    def epoch(self) -> str:
        """The epoch that rows go into."""
        return self._settled.epoch

    @property
    def last_seq(self) -> int:
        """The greatest seq given so far."""
        return self._last_seq

    def happenings(self) -> tuple[Happening, ...]:
        """What happened since the last call, for the log."""
        told, self._happenings = tuple(self._happenings), []
        return told

    def tell(self, happening: Happening) -> None:
        """Remember something for the log."""
        self._happenings.append(happening)

    def last_row(self) -> LastRow | None:
        """The newest tick that the spool knew of when it was opened; ``None``: it knew none."""
        return self._last_row

    def lineage(self) -> Lineage:
        """All epochs, oldest first."""
        with self.reading("lineage") as file:
            return tables.read_lineage(file)

    def append(self, rows: Sequence[NewRow]) -> range:
        """Store rows in one transaction.

        Args:
            rows: as ``new_row`` makes them; rows that a commit of unknown outcome turned out to
                have stored are recognised and not stored twice.

        Returns:
            The seqs of the rows that were newly stored.

        Raises:
            SpoolFull: no room; nothing was stored.
            SpoolReplaced: the file was taken away; nothing was stored.
            SpoolError: any other failure; nothing was stored, the same rows may be given again.
        """
        checked = [canonical(row) for row in rows]
        with self.transaction("append") as connection:
            fresh = self._doubt.fresh(checked)
            first = self._last_seq + 1
            self.insert(connection, fresh)
        self._doubt.forget()
        return range(first, first + len(fresh))

    def insert(self, connection: sqlite3.Connection, rows: Sequence[NewRow]) -> None:
        """Give rows their seqs and insert them, inside a transaction of ``transaction``."""
        epoch, origin, first = self._settled.epoch, self._settled.origin, self._last_seq + 1
        connection.executemany(
            INSERT_ROW,
            (
                (seq, origin, *row, row_crc(epoch, seq, row))
                for seq, row in enumerate(rows, first + len(self._inserted))
            ),
        )
        self._inserted.extend(rows)

    def store_boot_offset(self, offset_ns: int) -> bool:
        """Store wall clock minus uptime of this boot, by which its rows are re-dated.

        Returns whether it was the first: a later one would change rows that were sent already.
        """
        with self.transaction("store_boot_offset") as connection:
            done = connection.execute(
                "INSERT OR IGNORE INTO boots (boot_id, realtime_offset_ns) VALUES (?, ?)",
                (self.clock.boot_id(), offset_ns),
            )
            return done.rowcount == 1

    @contextlib.contextmanager
    def reading(self, op: str) -> Iterator[sqlite3.Connection]:
        """The connection, for reading what is stored; SQLite's errors become the product's."""
        connection = self._ready()
        try:
            yield connection
        except sqlite3.Error as error:
            raise self._failed(error, op) from error

    @contextlib.contextmanager
    def transaction(self, op: str) -> Iterator[sqlite3.Connection]:
        """BEGIN IMMEDIATE … COMMIT; seqs given by ``insert`` count only once it is committed.

        Raises:
            SpoolError: it was not committed, or its outcome is unknown and will be found out.
        """
        connection = self._ready()
        self._check_file()
        self._inserted: list[NewRow] = []
        committing = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            committing = True
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            failed = self._failed(error, op)
            if committing and self._broken is not None:
                self._doubt.raise_for(self._settled.epoch, self._last_seq + 1, self._inserted)
            raise failed from error
        except BaseException:
            self._roll_back()
            raise
        self._check_file()
        self._last_seq += len(self._inserted)
        self._remember()

    def reopen(self) -> None:
        """Close the file and settle anew, checking it whole; done by itself after an error.

        Raises:
            SpoolError: it cannot be opened; the next call tries again.
        """
        if isinstance(self._broken, SpoolReplaced):
            self._rescue(self._broken)
        self._release("reopen")
        self._adopt(settle(self.options, self.clock, self.means, suspect=True))
        self._find_out()
        self._broken = None

    def close(self) -> None:
        """Note the clean stop, close the file, give the lock back."""
        if self._broken is None:
            with contextlib.suppress(SpoolError), self.transaction("close") as connection:
                tables.note_stop(connection, self._last_seq)
        with contextlib.suppress(sqlite3.Error):
            self._settled.connection.close()
        self._lock.release()

    def renew(self) -> None:
        """Close the file cleanly and settle anew under the same lock: honours requests.

        The shipper also asks when it cannot read a page, so the file is checked whole.

        Raises:
            SpoolError: the file cannot be opened; the next call tries again.
        """
        with self.transaction("renew") as connection:
            tables.note_stop(connection, self._last_seq)
        self._release("renew")
        self._adopt(settle(self.options, self.clock, self.means, suspect=True))
        self._broken = None

    def _release(self, op: str) -> None:
        """Close the connection; until a new one is settled, every call tries to open it."""
        with contextlib.suppress(sqlite3.Error):
            self._settled.connection.close()
        self._broken = SpoolError(f"{self.path}: is not open", op=op, path=str(self.path))

    def _rescue(self, broken: SpoolError) -> None:
        """Copy what only the open file has; after a few failures its loss is told instead."""
        try:
            rescue.rescue(
                self._settled.connection, self.path, self.clock.realtime_ns(), self._last_seq
            )
        except SpoolError as error:
            self._rescues_failed += 1
            if self._rescues_failed < rescue.TRIES:
                raise
            self.tell(Happening("rescue_given_up", {"error": str(error)}, alarm=True))
        self._rescues_failed = 0
        self.tell(Happening("spool_taken_away", {"error": str(broken)}, alarm=True))

    def _adopt(self, settled: Settled) -> None:
        self._settled = settled
        self._file = OpenFile(self.path)
        self._last_seq = settled.last_seq
        self._inserted = []
        self._happenings += settled.happenings
        self._remember()

    def _remember(self) -> None:
        """Keep the position where a restored spool cannot take it along (rule 5)."""
        install, epoch = self._settled.install.install_id, self._settled.epoch
        file = (self._file.device, self._file.inode)
        record = PositionRecord(self.clock.boot_id(), *file, install, epoch, self._last_seq)
        write_record(self.options.runtime_directory, record)

    def _ready(self) -> sqlite3.Connection:
        if self._broken is not None:
            self.reopen()
        return self._settled.connection

    def _check_file(self) -> None:
        try:
            self._file.check()
        except SpoolReplaced as error:
            self._broken = error
            raise

    def _failed(self, error: sqlite3.Error, op: str) -> SpoolError:
        """The product's error; but for a full or busy file, the file is opened anew after it."""
        self._roll_back()
        failed = translate(error, op, self.path)
        if not isinstance(failed, SpoolFull | SpoolBusy):
            self._broken = failed
        return failed

    def _roll_back(self) -> None:
        if self._settled.connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._settled.connection.execute("ROLLBACK")

    def _find_out(self) -> None:
        """Whether the rows of a commit of unknown outcome are there; if so, make them durable.

        After a failed fsync the kernel may count pages as clean that never reached the card, so
        they are written again: by a checkpoint, into the database file.
        """
        connection = self._settled.connection
        try:
            if self._doubt.open:
                connection.execute("BEGIN IMMEDIATE")
                self._doubt.find_out(connection)
                connection.execute("COMMIT")
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
                self._doubt.resolve()
        except sqlite3.Error as error:
            raise self._failed(error, "reopen") from error
