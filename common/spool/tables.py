"""Reading the small tables of ``spool.db``: the same words for its owner and its reader."""

import sqlite3

from common.identity import Epoch, Hardware, Install, Lineage
from common.ship_state import Acknowledgement
from common.spool.row import Origin
from common.spool.schema import CLEAN_STOP_KEY, REQUESTED, STOPPED_AT_KEY


def read_install(connection: sqlite3.Connection) -> Install | None:
    """The install that the file belongs to; ``None`` before the first start has settled it."""
    row = connection.execute("SELECT install_id, board_serial, card_serial FROM install").fetchone()
    return None if row is None else Install(row[0], Hardware(row[1], row[2]))


def read_lineage(connection: sqlite3.Connection) -> Lineage:
    """All epochs, each with the greatest seq that was ever stored in it.

    An epoch's record is never changed. Its end stands in the record of the next one, as the
    greatest seq stored before that was made (``stored_before``); the newest epoch ends at the
    newest row.
    """
    rows = connection.execute(
        "SELECT ord, epoch, parent, boot_id, first_seq, stored_before FROM epochs ORDER BY ord"
    ).fetchall()
    if not rows:
        return Lineage()
    ends = [row[5] for row in rows[1:]] + [last_seq(connection)]
    return Lineage(
        tuple(
            Epoch(order, epoch, parent, boot_id, first, max(first - 1, end))
            for (order, epoch, parent, boot_id, first, _), end in zip(rows, ends, strict=True)
        )
    )


def last_seq(connection: sqlite3.Connection) -> int:
    """The greatest seq in the file, 0 when it has no row."""
    row = connection.execute("SELECT max(seq) FROM readings").fetchone()
    return row[0] or 0


def read_origins(connection: sqlite3.Connection) -> dict[int, Origin]:
    """All origins by their number."""
    rows = connection.execute(
        "SELECT o.ord, e.ord, e.epoch, i.install_id, e.boot_id, o.device_id, o.hostname, "
        "o.collector_version FROM origins o JOIN epochs e ON e.ord = o.epoch_ord, install i"
    ).fetchall()
    return {row[0]: Origin(*row) for row in rows}


def read_starts(connection: sqlite3.Connection) -> list[tuple[int, int]]:
    """The first seq and the order of each epoch, oldest first; no seq is in two epochs."""
    return connection.execute("SELECT first_seq, ord FROM epochs ORDER BY ord").fetchall()


def read_trimmed(connection: sqlite3.Connection) -> Acknowledgement | None:
    """The acknowledgement that the last trim used; ``None``: nothing was trimmed yet."""
    row = connection.execute("SELECT token, epoch, seq FROM trimmed").fetchone()
    return None if row is None else Acknowledgement(*row)


def read_boot_offset(connection: sqlite3.Connection, boot_id: str) -> int | None:
    """Wall clock minus uptime of that boot, in ns; ``None``: it never had a synchronised clock."""
    row = connection.execute(
        "SELECT realtime_offset_ns FROM boots WHERE boot_id = ?", (boot_id,)
    ).fetchone()
    return None if row is None else int(row[0])


def read_honoured(connection: sqlite3.Connection) -> frozenset[str]:
    """Ids of the shipper's requests that led to an epoch."""
    found = connection.execute(
        "SELECT reason FROM epochs WHERE reason LIKE ?", (f"{REQUESTED}%",)
    ).fetchall()
    return frozenset(reason.removeprefix(REQUESTED) for (reason,) in found)


def read_state(connection: sqlite3.Connection, key: str) -> str | None:
    """One remembered value, or ``None``."""
    row = connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
    return None if row is None else str(row[0])


def write_state(connection: sqlite3.Connection, key: str, value: str | None) -> None:
    """Remember one value; ``None`` forgets it."""
    if value is None:
        connection.execute("DELETE FROM state WHERE key = ?", (key,))
    else:
        connection.execute("INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)", (key, value))


def note_stop(connection: sqlite3.Connection, at_seq: int) -> None:
    """Note that, and where, a run ended by storing all that it had."""
    write_state(connection, CLEAN_STOP_KEY, "1")
    write_state(connection, STOPPED_AT_KEY, str(at_seq))
