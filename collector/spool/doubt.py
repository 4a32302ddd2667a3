"""Rows of a commit whose outcome nobody told: found out after reopening, never stored twice."""

import json
import sqlite3
from collections.abc import Sequence

from common.spool import tables
from common.spool.row import NewRow, row_crc
from common.spool.schema import SALVAGE_KEY


class Doubt:
    """What is not known of the last commit, and what came out."""

    def __init__(self) -> None:
        self._rows: tuple[str, int, list[NewRow]] | None = None
        self._landed: set[NewRow] = set()

    @property
    def open(self) -> bool:
        """Whether the outcome of a commit is still to be found out."""
        return self._rows is not None

    def raise_for(self, epoch: str, first_seq: int, rows: list[NewRow]) -> None:
        """A commit of these rows failed without telling whether it took place."""
        self._rows = (epoch, first_seq, rows)

    def find_out(self, connection: sqlite3.Connection) -> None:
        """See which of the rows are there; inside a transaction on the reopened file.

        Rows that are not there will be given again, so a pending salvage must not bring them too.
        """
        if self._rows is None:
            return
        epoch, first, rows = self._rows
        found = dict(
            connection.execute(
                "SELECT seq, crc FROM readings WHERE seq BETWEEN ? AND ?",
                (first, first + len(rows) - 1),
            ).fetchall()
        )
        self._landed = {
            row for seq, row in enumerate(rows, first) if found.get(seq) == row_crc(epoch, seq, row)
        }
        told = tables.read_state(connection, SALVAGE_KEY)
        if told is not None:
            task = json.loads(told)
            task["last"] = min(task["last"], first - 1)
            tables.write_state(connection, SALVAGE_KEY, json.dumps(task))

    def resolve(self) -> None:
        """The outcome is known, durably."""
        self._rows = None

    def fresh(self, rows: Sequence[NewRow]) -> list[NewRow]:
        """The rows without those that turned out to be stored."""
        if not self._landed:
            return list(rows)
        return [row for row in rows if row not in self._landed]

    def forget(self) -> None:
        """Rows were stored after it: what had landed will not be given again."""
        self._landed.clear()
