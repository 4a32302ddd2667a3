"""The only writer of ``ship.db``: what the server has, what it may have, and what must be told.

Each durable write is one transaction with ``synchronous=FULL``. A row may leave the device only
after ``expose`` returned; a row may be trimmed only after ``acknowledge`` returned.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable
from enum import StrEnum
from pathlib import Path
from typing import Self

from common.database import Opener, open_writer
from common.identity import Hardware, Install
from common.ship_progress import read_stored_progress, write_stored_progress
from common.ship_state import Acknowledgement, Mark, acknowledgement_of, mark_of
from common.spool.prepare import prepare
from shipper.backfill.jobs import Jobs
from shipper.dead_letters import DeadLetter, DeadLetters
from shipper.progress import Progress
from shipper.ship_file import Prepare, ShipFile
from shipper.shipping_events import ShippingEvents


class Settling(StrEnum):
    """What ``Ledger.settle`` found."""

    CONTINUED = "continued"
    """The file belongs to the install."""
    CREATED = "created"
    """There was none: whatever is stored in the spool may have been sent before."""
    SET_ASIDE = "set_aside"
    """The file belonged to another install; it was set aside and a new one was made."""


class Ledger:
    """See the module.

    Args:
        directory: the spool directory.
        opener: opens the file for its writer.
        random_bytes: source of the ids of events and requests.
        prepared: makes the tables; see ``common.spool.prepare``.
    """

    def __init__(
        self,
        directory: Path,
        opener: Opener = open_writer,
        random_bytes: Callable[[int], bytes] = os.getrandom,
        prepared: Prepare = prepare,
    ) -> None:
        self._file = ShipFile(directory, opener, prepared)
        self._random_bytes = random_bytes
        self.dead_letters = DeadLetters(self._file.transaction)
        self.jobs = Jobs(self._file.transaction, self.dead_letters, random_bytes)
        self.events = ShippingEvents(self._file.transaction, random_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        self._file.close()

    def settle(self, install: Install, realtime_ns: int) -> Settling:
        """Make the file belong to the spool's install, setting a foreign or damaged one aside.

        Args:
            install: as the spool names it; its serial numbers are taken over.
            realtime_ns: wall clock, names the directory of what is set aside.

        Raises:
            SpoolNewer: a newer version made the file.
            SpoolError: it cannot be opened or written.
        """
        if not self._file.is_sound():
            self._file.set_aside("damaged", realtime_ns)
        known = self.install()
        outcome = Settling.CREATED if known is None else Settling.CONTINUED
        if known is not None and known.install_id != install.install_id:
            self._file.set_aside("foreign", realtime_ns)
            outcome = Settling.SET_ASIDE
        hardware = install.hardware
        with self._file.transaction("settle") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO install (id, install_id, board_serial, card_serial) "
                "VALUES (1, ?, ?, ?)",
                (install.install_id, hardware.board_serial, hardware.card_serial),
            )
        return outcome

    def install(self) -> Install | None:
        """Whose file it is; ``None``: not settled yet."""
        with self._file.reading("install") as connection:
            row = connection.execute(
                "SELECT install_id, board_serial, card_serial FROM install"
            ).fetchone()
        return None if row is None else Install(row[0], Hardware(row[1], row[2]))

    def progress(self) -> Progress:
        """How far shipping has come.

        Raises:
            SpoolCorrupt: it is not as it was written; the gate has the file settled anew.
            SpoolError: it cannot be read.
        """
        with self._file.reading("progress") as connection:
            return read_progress(connection)

    def expose(self, epoch: str, seq: int) -> None:
        """Store the newest row that is about to leave the device; before its first byte does.

        Within one epoch it never falls: a batch that is sent again does not take back what left.
        """
        with self._file.transaction("expose") as connection:
            before = read_progress(connection).exposed
            if before is None or before.epoch != epoch or before.seq < seq:
                write_stored_progress(connection, {"exposed_epoch": epoch, "exposed_seq": seq})

    def acknowledge(
        self,
        acknowledgement: Acknowledgement,
        *,
        rows_inserted: int,
        rows_error: int,
        held: Iterable[DeadLetter] = (),
        in_doubt: Mark | None = None,
    ) -> None:
        """Store the committed token with the counters that balance it, all in one transaction.

        Args:
            acknowledgement: token and the local position it stands for.
            rows_inserted: the channel's count of inserted rows, the new baseline.
            rows_error: its count of refused rows, the new baseline.
            held: ranges that hold refused rows; kept before their rows may be trimmed (rule 15).
            in_doubt: the end of the range that is still flagged; ``None``: nothing is, any more.
        """
        with self._file.transaction("acknowledge") as connection:
            for letter in held:
                self.dead_letters.insert(connection, letter)
            write_stored_progress(
                connection,
                {
                    "acknowledged_token": acknowledgement.token,
                    "acknowledged_epoch": acknowledgement.epoch,
                    "acknowledged_seq": acknowledgement.seq,
                    "rows_inserted_base": rows_inserted,
                    "rows_error_base": rows_error,
                    "in_doubt_epoch": in_doubt and in_doubt.epoch,
                    "in_doubt_seq": in_doubt and in_doubt.seq,
                },
            )

    def retarget(
        self,
        target: str,
        created_on_ms: int | None,
        in_doubt: Mark | None,
        *,
        rows_inserted: int = 0,
        rows_error: int = 0,
    ) -> None:
        """Store a new or recreated channel before the first append to it (rules 17, 18).

        Args:
            target: account, pipe and channel.
            created_on_ms: when the server made the channel.
            in_doubt: everything stored at this moment may be there already; ``None``: nothing is.
            rows_inserted: the channel's count at open, the baseline.
            rows_error: its count of refused rows at open.
        """
        with self._file.transaction("retarget") as connection:
            write_stored_progress(
                connection,
                {
                    "target": target,
                    "created_on_ms": created_on_ms,
                    "rows_inserted_base": rows_inserted,
                    "rows_error_base": rows_error,
                    "in_doubt_epoch": in_doubt and in_doubt.epoch,
                    "in_doubt_seq": in_doubt and in_doubt.seq,
                },
            )

    def add_dead_letter(self, letter: DeadLetter) -> int:
        """Keep a row or a range that the server refused; returns its number once it is durable."""
        return self.dead_letters.add(letter)

    def add_event(self, kind: str, detail: str, realtime_ns: int) -> None:
        """Note something to be told to the table; see ``ShippingEvents.add``."""
        self.events.add(kind, detail, realtime_ns)

    def close_events(self, realtime_ns: int) -> None:
        """Close the coalesced events of earlier days; see ``ShippingEvents.close_past``."""
        self.events.close_past(realtime_ns)

    def drop_copied_events(self, ids: Iterable[str]) -> None:
        """Forget events whose rows are committed."""
        self.events.drop(ids)

    def request(self, kind: str, reason: str) -> str:
        """Ask the collector for ``new_epoch`` or ``new_install``; one open request of a kind.

        Returns:
            The request's id; the older one's if it is still open.
        """
        with self._file.transaction("request") as connection:
            row = connection.execute("SELECT id FROM requests WHERE kind = ?", (kind,)).fetchone()
            if row is not None:
                return str(row[0])
            name = self._random_bytes(8).hex()
            connection.execute(
                "INSERT INTO requests (id, kind, reason) VALUES (?, ?, ?)", (name, kind, reason)
            )
            return name

    def requests(self) -> tuple[str, ...]:
        """Ids of requests that are open; while there are any, the shipper stays silent."""
        with self._file.reading("requests") as connection:
            return tuple(row[0] for row in connection.execute("SELECT id FROM requests").fetchall())

    def drop_requests(self, ids: Iterable[str]) -> None:
        """Forget requests that the collector honoured (``SpoolReader.honoured_requests``)."""
        with self._file.transaction("drop_requests") as connection:
            connection.executemany("DELETE FROM requests WHERE id = ?", [(name,) for name in ids])


def read_progress(connection: sqlite3.Connection) -> Progress:
    """The one row of progress, or what it is before there is one.

    Raises:
        sqlite3.Error: it cannot be read, or does not fit its checksum (SQLITE_CORRUPT).
    """
    row = read_stored_progress(connection)
    if row is None:
        return Progress()
    return Progress(
        row.target,
        row.created_on_ms,
        acknowledgement_of(row),
        mark_of(row.exposed_epoch, row.exposed_seq),
        row.rows_inserted_base,
        row.rows_error_base,
        mark_of(row.in_doubt_epoch, row.in_doubt_seq),
    )
