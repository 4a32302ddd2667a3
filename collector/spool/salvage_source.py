"""The damaged files of a pending salvage, read as one."""

import contextlib
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final, Self, TypeAlias

from common.columns import Scalar
from common.database import Opener
from common.spool.readable import next_key, readable
from common.spool.row import row_crc

Range: TypeAlias = tuple[int, int]
Row: TypeAlias = tuple[Scalar, ...]
_UNOPENED: Final = (sqlite3.Error, ValueError, OSError)
"""What opening a file raises whose name comes out of a damaged one."""


class Sources:
    """Damaged files, newest first: what one cannot give, an older one may still have.

    There is more than one when a spool is damaged before the salvage into it has ended.

    Args:
        connections: at least one.
    """

    def __init__(self, connections: list[sqlite3.Connection]) -> None:
        self._connections = connections

    @classmethod
    def open(cls, paths: Iterable[Path], opener: Opener) -> Self | None:
        """Open those that can be opened; ``None``: none can."""
        connections = []
        for path in paths:
            with contextlib.suppress(*_UNOPENED):
                connections.append(opener(path))
        return cls(connections) if connections else None

    def close(self) -> None:
        """Close them all."""
        for connection in self._connections:
            connection.close()

    def next_key(self, low: int, last: int) -> int:
        """The next key that exists in any; ``low`` itself where that cannot be read."""
        return min(next_key(connection, low, last) for connection in self._connections)

    def read(self, low: int, high: int, epochs: dict[int, str]) -> tuple[list[Row], list[Range]]:
        """Read a range of keys.

        Args:
            low: the first key.
            high: the last key.
            epochs: names of the epochs, by the numbers of their origins.

        Returns:
            The rows whose checksum fits, and the ranges of keys that only led to damage, in order.
        """
        rows: dict[int, Row] = {}
        bad: list[Range] = []
        for connection in self._connections:
            for seq, row in _intact(connection, (low, high), epochs, bad):
                rows.setdefault(seq, row)
            if len(rows) > high - low:
                break
        keys = {key for first, last in bad for key in range(first, last + 1)}
        return [rows[key] for key in sorted(rows)], list(_ranges(sorted(keys - rows.keys())))


def _intact(
    source: sqlite3.Connection, keys: Range, epochs: dict[int, str], bad: list[Range]
) -> Iterator[tuple[int, Row]]:
    """Rows that can be read and whose checksum fits, by their keys; the rest is marked bad."""
    for row in readable(source, *keys, lambda low, high: bad.append((low, high))):
        seq, origin = row[0], row[1]
        assert isinstance(seq, int), "the key of the table"
        epoch = epochs.get(origin) if isinstance(origin, int) else None
        if epoch is None or row_crc(epoch, seq, row[2:-1]) != row[-1]:
            bad.append((seq, seq))
        else:
            yield seq, row


def _ranges(keys: Iterable[int]) -> Iterator[Range]:
    """Keys in order, neighbours together."""
    first = last = None
    for key in keys:
        if first is not None and last is not None and key > last + 1:
            yield first, last
            first = None
        first, last = (key if first is None else first), key
    if first is not None and last is not None:
        yield first, last
