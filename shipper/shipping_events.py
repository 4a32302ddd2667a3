"""Events of shipping that the table shall hear of, coalesced by kind and UTC day.

The first of a kind and day is told at once. Later ones of that day are one event with a count, told
when the day is over: a fault that repeats every minute makes two rows a day, not 1440.
"""

import sqlite3
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Final

from common.ship_state import ShippingEvent
from shipper.dead_letters import Transaction

_ID_BYTES: Final = 8
_DAY_US: Final = 86_400_000_000


class ShippingEvents:
    """The events table of ``ship.db``; the collector copies the closed ones into the spool."""

    def __init__(self, transaction: Transaction, random_bytes: Callable[[int], bytes]) -> None:
        self._transaction = transaction
        self._random_bytes = random_bytes

    def add(self, kind: str, detail: str, realtime_ns: int) -> None:
        """Note that something happened now.

        Args:
            kind: what, such as ``channel_recreated``.
            detail: JSON object; of a coalesced event the newest is kept.
            realtime_ns: wall clock.
        """
        now_us = realtime_ns // 1000
        day = _day(now_us)
        with self._transaction("add_event") as connection:
            _close_other_days(connection, day)
            merged = connection.execute(
                "UPDATE events SET count = count + 1, last_at = ?, detail = ? "
                "WHERE kind = ? AND day = ? AND closed = 0",
                (now_us, detail, kind, day),
            ).rowcount
            if merged:
                return
            told = connection.execute(
                "SELECT 1 FROM told WHERE kind = ? AND day = ?", (kind, day)
            ).fetchone()
            connection.execute(
                "INSERT INTO events (id, kind, day, count, first_at, last_at, detail, closed) "
                "VALUES (?, ?, ?, 1, ?, ?, ?, ?)",
                (
                    self._random_bytes(_ID_BYTES).hex(),
                    kind,
                    day,
                    now_us,
                    now_us,
                    detail,
                    int(told is None),
                ),
            )
            connection.execute("INSERT OR REPLACE INTO told (kind, day) VALUES (?, ?)", (kind, day))

    def close_past(self, realtime_ns: int) -> None:
        """Close the open events of other days than today, so that they are copied."""
        day = _day(realtime_ns // 1000)
        with self._transaction("close_events") as connection:
            _close_other_days(connection, day)

    def closed(self) -> tuple[ShippingEvent, ...]:
        """Events that may be copied, oldest first."""
        with self._transaction("closed_events") as connection:
            rows = connection.execute(
                "SELECT id, kind, first_at, last_at, count, detail FROM events WHERE closed = 1 "
                "ORDER BY first_at, id"
            ).fetchall()
        return tuple(ShippingEvent(*row) for row in rows)

    def drop(self, ids: Iterable[str]) -> None:
        """Forget events whose rows are committed."""
        names = [(name,) for name in ids]
        if names:
            with self._transaction("drop_events") as connection:
                connection.executemany("DELETE FROM events WHERE id = ? AND closed = 1", names)


def _close_other_days(connection: sqlite3.Connection, day: str) -> None:
    connection.execute("UPDATE events SET closed = 1 WHERE closed = 0 AND day <> ?", (day,))


def _day(us: int) -> str:
    """The UTC day of a time; a clock beyond the calendar gives its number of days."""
    try:
        return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return str(us // _DAY_US)
