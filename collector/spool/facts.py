"""What can be read of a spool, sound or damaged."""

import contextlib
import json
import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeVar

from collector.spool.decide import LastRow, SpoolFacts
from common.database import Opener
from common.identity import Epoch, Install, Lineage
from common.ship_state import Acknowledgement
from common.spool import tables
from common.spool.readable import UNREADABLE
from common.spool.schema import CLEAN_STOP_KEY, SALVAGE_KEY, STOPPED_AT_KEY

_T = TypeVar("_T")
_HEX: Final = re.compile("[0-9a-fA-F]{16}")


def read_facts(connection: sqlite3.Connection, path: Path) -> SpoolFacts:
    """All facts of a sound spool.

    Raises:
        sqlite3.Error: it cannot be read.
        ValueError: it says what no spool says.
        TypeError: likewise.
    """
    named = path.stat()
    install, lineage = _install(connection), _believed(tables.read_lineage(connection))
    last_seq = tables.last_seq(connection)
    if (install is None) != (not lineage.epochs) or (install is None and last_seq):
        raise ValueError("install, epochs and rows come together, and one of them is gone")
    for origin in tables.read_origins(connection).values():
        if not all(map(_is_text, (origin.device_id, origin.hostname, origin.collector_version))):
            raise ValueError(f"origin {origin} is none")
    return SpoolFacts(
        install,
        lineage,
        last_seq,
        _trimmed(connection),
        _last_row(connection),
        tables.read_honoured(connection),
        False,
        named.st_dev,
        named.st_ino,
    )


def _install(connection: sqlite3.Connection) -> Install | None:
    """The install; only as this program writes one.

    Raises:
        ValueError: it is something else.
    """
    found = tables.read_install(connection)
    if found is not None and not (
        _is_id(found.install_id)
        and _is_text(found.hardware.board_serial)
        and _is_text(found.hardware.card_serial)
    ):
        raise ValueError(f"install {found} is none")
    return found


def _believed(lineage: Lineage) -> Lineage:
    """The lineage, if its epochs are named and in order.

    Raises:
        ValueError: they are not.
    """
    order = first_seq = 0
    for epoch in lineage.epochs:
        names = (epoch.parent, epoch.epoch) if epoch.parent is not None else (epoch.epoch,)
        if not (
            all(_is_id(name) for name in names)
            and _is_text(epoch.boot_id)
            and order < epoch.order
            and first_seq <= epoch.first_seq
        ):
            raise ValueError(f"epoch {epoch} is none, or out of order")
        order, first_seq = epoch.order, epoch.first_seq
    return lineage


def _trimmed(connection: sqlite3.Connection) -> Acknowledgement | None:
    """The last trim's acknowledgement.

    Raises:
        ValueError: it is none.
    """
    found = tables.read_trimmed(connection)
    if found is not None and not (_is_id(found.epoch) and found.seq >= 0):
        raise ValueError(f"{found} is no acknowledgement")
    return found


def _is_text(found: object) -> bool:
    return isinstance(found, str)


def _is_id(found: object) -> bool:
    return isinstance(found, str) and _HEX.fullmatch(found) is not None


def read_damaged(path: Path, opener: Opener) -> SpoolFacts:
    """Each fact of a damaged spool that can still be read; the others are as in an empty one."""
    facts = SpoolFacts(damaged=True)
    try:
        connection = opener(path)
    except UNREADABLE:
        return facts
    with contextlib.closing(connection):
        install: Install | None = _try(_install, connection, None)
        lineage = _try(lambda c: _believed(tables.read_lineage(c)), connection, None)
        if lineage is None:
            lineage = _try(lambda c: _believed(_lineage_without_rows(c)), connection, Lineage())
        last = _try(
            tables.last_seq, connection, max((e.last_seq for e in lineage.epochs), default=0)
        )
        return replace(
            facts,
            install=install,
            lineage=lineage,
            last_seq=last,
            trimmed=_try(_trimmed, connection, None),
            last_row=_try(_last_row, connection, None),
            honoured=_try(tables.read_honoured, connection, frozenset()),
            pending=_try(_pending, connection, ()),
        )


def _pending(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The files of a salvage that has not ended.

    Raises:
        ValueError: what is noted of it is none.
    """
    told = tables.read_state(connection, SALVAGE_KEY)
    if told is None:
        return ()
    task = json.loads(told)
    files = (task.get("file"), *task.get("older", ())) if isinstance(task, dict) else (None,)
    if not all(map(_is_text, files)):
        raise ValueError(f"salvage {told} is none")
    return files


def stopped_cleanly(connection: sqlite3.Connection) -> bool:
    """Whether the file is as its last owner closed it; if not, it is checked before use."""
    if tables.read_state(connection, CLEAN_STOP_KEY) != "1":
        return False
    return tables.read_state(connection, STOPPED_AT_KEY) == str(tables.last_seq(connection))


def _try(read: Callable[[sqlite3.Connection], _T], connection: sqlite3.Connection, else_: _T) -> _T:
    try:
        return read(connection)
    except UNREADABLE:
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
