"""The shipper's events become rows: by set difference of ids, never by a cursor (rule 21)."""

import json
import sqlite3
from typing import Final

from collector.spool.store import SpoolStore
from collector.stamp import marker_row, read_stamp
from common.sample import Kind
from common.ship_state import ShippingEvent, ShipState

IDS_KEPT: Final = 1000
"""Ids that outlive the shipper's event: an older ``ship.db`` may bring it back."""


def copy_events(store: SpoolStore, ship: ShipState) -> int:
    """Store a row for each closed event that has none yet; returns how many.

    Raises:
        SpoolError: none was stored.
    """
    if not ship.events:
        return 0
    with store.reading("copy_events") as connection:
        copied = {row[0] for row in connection.execute("SELECT id FROM events").fetchall()}
    fresh = [event for event in ship.events if event.id not in copied]
    if not fresh:
        return 0
    now = read_stamp(store.clock)
    with store.transaction("copy_events") as connection:
        first = store.last_seq + 1
        store.insert(connection, [marker_row(now, Kind.EVENT, _detail(e)) for e in fresh])
        connection.executemany(
            "INSERT INTO events (id, seq) VALUES (?, ?)",
            [(event.id, seq) for seq, event in enumerate(fresh, first)],
        )
        _forget(connection, ship)
    return len(fresh)


def _forget(connection: sqlite3.Connection, ship: ShipState) -> None:
    """Forget the oldest ids that the shipper no longer names."""
    named = {event.id for event in ship.events}
    old = connection.execute(
        "SELECT id FROM events ORDER BY seq DESC LIMIT -1 OFFSET ?", (IDS_KEPT,)
    ).fetchall()
    connection.executemany("DELETE FROM events WHERE id = ?", [r for r in old if r[0] not in named])


def _detail(event: ShippingEvent) -> dict[str, object]:
    """The row's detail."""
    told = {
        "event": event.kind,
        "id": event.id,
        "count": event.count,
        "first_at_us": event.first_at,
        "last_at_us": event.last_at,
    }
    try:
        detail = json.loads(event.detail)
    except ValueError:
        detail = event.detail
    return {**told, "detail": detail}
