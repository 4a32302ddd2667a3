"""What can be read of a spool, sound or damaged."""

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from collector.spool.decide import LastRow, SpoolFacts
from common.database import Opener
from common.identity import Epoch, Install, Lineage
from common.spool import tables
from common.spool.schema import CLEAN_STOP_KEY

_T = TypeVar("_T")


def read_facts(connection: sqlite3.Connection, path: Path) -> SpoolFacts:
    """All facts of a sound spool.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    named = path.stat()
    return SpoolFacts(
        tables.read_install(connection),
        tables.read_lineage(connection),
        tables.last_seq(connection),
        tables.read_trimmed(connection),
        _last_row(connection),
        tables.read_honoured(connection),
        False,
        named.st_dev,
        named.st_ino,
    )


def read_damaged(path: Path, opener: Opener) -> SpoolFacts:
    """Each fact of a damaged spool that can still be read; the others are as in an empty one."""
    facts = SpoolFacts(damaged=True)
    try:
        connection = opener(path)
    except sqlite3.Error:
        return facts
    with contextlib.closing(connection):
        install: Install | None = _try(tables.read_install, connection, None)
        lineage = _try(tables.read_lineage, connection, None)
        if lineage is None:
            lineage = _try(_lineage_without_rows, connection, Lineage())
        last = _try(
            tables.last_seq, connection, max((e.last_seq for e in lineage.epochs), default=0)
        )
        return replace(
            facts,
            install=install,
            lineage=lineage,
            last_seq=last,
            trimmed=_try(tables.read_trimmed, connection, None),
            last_row=_try(_last_row, connection, None),
            honoured=_try(tables.read_honoured, connection, frozenset()),
        )


def stopped_cleanly(connection: sqlite3.Connection) -> bool:
    """Whether the last owner closed the file; if not, it is checked before use."""
    return tables.read_state(connection, CLEAN_STOP_KEY) == "1"


def _try(read: Callable[[sqlite3.Connection], _T], connection: sqlite3.Connection, else_: _T) -> _T:
    try:
        return read(connection)
    except (sqlite3.Error, ValueError, TypeError, OverflowError):
        return else_


def _lineage_without_rows(connection: sqlite3.Connection) -> Lineage:
    """The epochs when the readings cannot be read: the newest counts as empty."""
    rows = connection.execute(
        "SELECT ord, epoch, parent, boot_id, first_seq, stored_before FROM epochs ORDER BY ord"
    ).fetchall()
    ends = [row[5] for row in rows[1:]] + [0]
    return Lineage(
        tuple(
            Epoch(order, epoch, parent, boot_id, first, max(first - 1, end))
            for (order, epoch, parent, boot_id, first, _), end in zip(rows, ends, strict=True)
        )
    )


def _last_row(connection: sqlite3.Connection) -> LastRow | None:
    """The newest sample, or the newest gap row of ticks that were never stored.

    Other gap rows and events say nothing of ticks: counted from them, ticks would be missed.
    """
    row = connection.execute(
        "SELECT e.boot_id, r.boottime_ns, r.taken_at, r.clock_synced, b.realtime_offset_ns "
        "FROM readings r JOIN origins o ON o.ord = r.origin JOIN epochs e ON e.ord = o.epoch_ord "
        "LEFT JOIN boots b ON b.boot_id = e.boot_id "
        "WHERE r.kind = 'sample' OR (r.kind = 'gap' AND r.detail LIKE '{\"first_seq\":null%' "
        'AND r.detail NOT LIKE \'%"reason":"inherited"%\') ORDER BY r.seq DESC LIMIT 1'
    ).fetchone()
    return (
        None
        if row is None
        else LastRow(row[0], row[1], row[2], bool(row[3]), row[4], stopped_cleanly(connection))
    )
