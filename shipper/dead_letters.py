"""Rows and ranges that the server refused, kept with their payload and the reason."""

import gzip
import sqlite3
import zlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Transaction: TypeAlias = Callable[[str], AbstractContextManager[sqlite3.Connection]]
"""``Ledger.transaction``."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One row, or one range of whole batches in which some rows were refused.

    Attributes:
        form: ``row`` or ``range``.
        epoch: epoch of the rows.
        first_seq: least seq.
        last_seq: greatest seq; the same for a row.
        reason: short code, such as ``refused`` or ``corrupt``.
        message: the server's words, or ours.
        payload: the NDJSON lines, not compressed; the table compresses them. Empty: what the
            table has is damaged.
        created_at: UTC, µs.
        id: its number, once it is stored; ``None`` before.
    """

    form: Literal["row", "range"]
    epoch: str
    first_seq: int
    last_seq: int
    reason: str
    message: str
    payload: bytes
    created_at: int
    id: int | None = None


class DeadLetters:
    """The dead-letter table of ``ship.db``."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def add(self, letter: DeadLetter) -> int:
        """Store one, durably; the same rows in the same form are kept once, for the first reason.

        Returns:
            Its number.
        """
        with self._transaction("add_dead_letter") as connection:
            return self.insert(connection, letter)

    def same(self, connection: sqlite3.Connection, letter: DeadLetter) -> int | None:
        """The number of the one that is stored under the same key; ``None``: there is none."""
        known = connection.execute(
            "SELECT id FROM dead_letters WHERE form = ? AND epoch = ? AND first_seq = ? "
            "AND last_seq = ?",
            (letter.form, letter.epoch, letter.first_seq, letter.last_seq),
        ).fetchone()
        return None if known is None else int(known[0])

    def insert(self, connection: sqlite3.Connection, letter: DeadLetter) -> int:
        """Store one inside a transaction of the caller; see ``add``."""
        known = self.same(connection, letter)
        if known is not None:
            return known
        key = (letter.form, letter.epoch, letter.first_seq, letter.last_seq)
        payload = gzip.compress(letter.payload, mtime=0)
        made = connection.execute(
            "INSERT INTO dead_letters (form, epoch, first_seq, last_seq, reason, message, payload, "
            "created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*key, letter.reason, letter.message, payload, letter.created_at),
        )
        assert made.lastrowid is not None
        return made.lastrowid

    def list(self, after: int = 0, limit: int = 100) -> "list[DeadLetter]":
        """Some of them by number, payloads included.

        Args:
            after: greater numbers only.
            limit: at most so many, so that memory stays flat.
        """
        with self._transaction("list_dead_letters") as connection:
            rows = connection.execute(
                "SELECT form, epoch, first_seq, last_seq, reason, message, payload, created_at, id "
                "FROM dead_letters WHERE id > ? ORDER BY id LIMIT ?",
                (after, limit),
            ).fetchall()
        return [_letter(row) for row in rows]

    def replace(
        self, connection: sqlite3.Connection, letter: DeadLetter, *, whole: bool
    ) -> int:
        """Store one whose rows were refused again, inside a transaction of the caller.

        One with the same key keeps its number and gets the new reason.

        Args:
            connection: in a transaction.
            letter: it.
            whole: whether the rows are all that is to be kept under that key; otherwise rows that
                are there stay too.

        Returns:
            Its number.
        """
        number = self.insert(connection, letter)
        stored = connection.execute(
            "SELECT payload FROM dead_letters WHERE id = ?", (number,)
        ).fetchone()[0]
        lines = letter.payload.splitlines(keepends=True)
        if not whole:
            lines += [x for x in _lines(stored).splitlines(keepends=True) if x not in lines]
        connection.execute(
            "UPDATE dead_letters SET reason = ?, message = ?, payload = ? WHERE id = ?",
            (letter.reason, letter.message, gzip.compress(b"".join(lines), mtime=0), number),
        )
        return number

    def find(self, number: int) -> DeadLetter | None:
        """One by its number; ``None``: there is none."""
        found = self.list(number - 1, 1)
        return found[0] if found and found[0].id == number else None

    def count(self) -> int:
        """How many there are."""
        with self._transaction("count_dead_letters") as connection:
            return int(connection.execute("SELECT count(*) FROM dead_letters").fetchone()[0])

    def drop(self, number: int) -> bool:
        """Forget one that was dealt with; returns whether it was there."""
        with self._transaction("drop_dead_letter") as connection:
            done = connection.execute("DELETE FROM dead_letters WHERE id = ?", (number,))
            return done.rowcount == 1


def _letter(row: tuple[Any, ...]) -> DeadLetter:
    form, epoch, first_seq, last_seq, reason, message, payload, created_at, number = row
    return DeadLetter(
        form, epoch, first_seq, last_seq, reason, message, _lines(payload), created_at, number
    )


def _lines(payload: bytes | None) -> bytes:
    """The stored lines; empty when they are damaged: the rest of the letter still tells much."""
    try:
        return gzip.decompress(payload or b"")
    except (OSError, EOFError, zlib.error):
        return b""
