"""Reading what can be read of a file that may be damaged, by ranges of keys.

A page that cannot be read makes the whole statement fail; the range is halved until only the keys
on that page are left out. A page that lies about its keys gives rows that were not asked for.
"""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from common.columns import Scalar
from common.spool.schema import SELECT_RANGE

Raw: TypeAlias = tuple[Scalar, ...]
"""A row of ``readings`` as SQLite gives it; its checksum is not looked at here."""

UNREADABLE: Final = (sqlite3.Error, ValueError, TypeError, OverflowError)
"""What reading a damaged page raises: SQLite itself does not check the types that it finds."""


def readable(
    source: sqlite3.Connection, low: int, high: int, mark_bad: Callable[[int, int], None]
) -> Iterator[Raw]:
    """Rows of a key range that can be read, in the order of their keys.

    Args:
        source: the damaged file, opened for reading.
        low: the first key.
        high: the last key.
        mark_bad: told of each key range that cannot be read.
    """
    try:
        rows = source.execute(SELECT_RANGE, (low, high)).fetchall()
    except UNREADABLE:
        if low == high:
            mark_bad(low, high)
            return
        middle = (low + high) // 2
        yield from readable(source, low, middle, mark_bad)
        yield from readable(source, middle + 1, high, mark_bad)
        return
    before = low - 1
    for row in rows:
        if isinstance(row[0], int) and before < row[0] <= high:
            before = row[0]
            yield row


def next_key(source: sqlite3.Connection, low: int, last: int) -> int:
    """The next key that exists, to leap over holes; ``low`` itself where that cannot be read."""
    try:
        row = source.execute(
            "SELECT seq FROM readings WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT 1", (low, last)
        ).fetchone()
    except UNREADABLE:
        return low
    return last + 1 if row is None else max(low, int(row[0]))
