"""Trim: rows that the server has committed leave, all but the newest of them."""

import sqlite3
from typing import Final

from collector.spool.licence import Licence
from collector.spool.store import SpoolStore
from common.ship_state import Acknowledgement

TRIM_ROWS: Final = 20_000
"""Most rows of one transaction, so that the write-ahead log stays small."""
_SLACK_SHARE: Final = 16


def trim(store: SpoolStore, granted: Licence, keep: int) -> int:
    """Delete committed rows but the newest ``keep`` of them, in short transactions.

    Each transaction stores the acknowledgement that it used (rule 7), so that after the loss of
    ``ship.db`` nobody takes the trimmed rows for never sent.

    Args:
        store: the spool.
        granted: see ``Licence``.
        keep: committed rows that stay; at least one always does, because the greatest seq of the
            file must never fall.

    Returns:
        How many rows were deleted.

    Raises:
        SpoolError: a transaction failed; the ones before it count.
    """
    acknowledgement = granted.acknowledgement
    if acknowledgement is None:
        return 0
    with store.reading("trim") as connection:
        limit = _limit(connection, granted.through, max(1, keep))
    done = 0
    while limit is not None:
        with store.transaction("trim") as connection:
            deleted, more = _delete(connection, limit, acknowledgement)
        done += deleted
        if not more:
            break
    return done


def _limit(connection: sqlite3.Connection, through: int, keep: int) -> int | None:
    """Rows up to this seq may go; ``None``: too few to be worth a transaction."""
    newest = connection.execute(
        "SELECT max(seq) FROM readings WHERE seq <= ?", (through,)
    ).fetchone()[0]
    oldest = connection.execute("SELECT min(seq) FROM readings").fetchone()[0]
    if newest is None or newest - oldest < keep + keep // _SLACK_SHARE:
        return None
    row = connection.execute(
        "SELECT seq FROM readings WHERE seq <= ? ORDER BY seq DESC LIMIT 1 OFFSET ?",
        (newest, keep),
    ).fetchone()
    return None if row is None else int(row[0])


def _delete(
    connection: sqlite3.Connection, limit: int, acknowledgement: Acknowledgement
) -> tuple[int, bool]:
    """Delete the oldest rows up to a seq; returns how many, and whether more are left."""
    row = connection.execute(
        "SELECT seq FROM readings ORDER BY seq LIMIT 1 OFFSET ?", (TRIM_ROWS - 1,)
    ).fetchone()
    last = limit if row is None else min(limit, row[0])
    deleted = connection.execute("DELETE FROM readings WHERE seq <= ?", (last,)).rowcount
    connection.execute(
        "INSERT OR REPLACE INTO trimmed (id, token, epoch, seq) VALUES (1, ?, ?, ?)",
        (acknowledgement.token, acknowledgement.epoch, acknowledgement.seq),
    )
    return deleted, last < limit
