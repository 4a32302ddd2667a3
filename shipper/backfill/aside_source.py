"""The rows of an adoption: a spool that was set aside, read by its keys and never changed."""

import sqlite3
from pathlib import Path
from typing import Final, Self

from common.columns import Scalar
from common.database import Opener, open_reader
from common.spool import tables
from common.spool.readable import next_key, readable
from common.spool.row import Origin, StoredRow, row_crc
from shipper.backfill.source import LINE_BYTES_MAX, Line
from shipper.protocol.payload import RowCorrupt, RowEncoder, Sending

_CHUNK: Final = 256


class AsideSource:
    """``Source`` over a file: a place is a seq, so one that has no row is never sent.

    All rows are flagged: whoever had this spool before may have sent them. A row that cannot be
    read, or whose check sum does not fit, stays in the file.

    Args:
        path: the file.
        first: the first seq that is sent: rows before it are known to have reached the server.
        last: the last seq that is sent.
    """

    def __init__(self, path: Path, first: int, last: int, opener: Opener = open_reader) -> None:
        self.last = last
        self._first = first
        self._connection = opener(path)
        self._encoder = RowEncoder(row_crc)
        self._offsets: dict[str, int | None] = {}
        self._bad: set[int] = set()
        self._origins: dict[int, Origin] = {}

    def __enter__(self) -> Self:
        self._origins = tables.read_origins(self._connection)
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    @property
    def unreadable(self) -> int:
        """Rows that were found and could not be sent, so far."""
        return len(self._bad)

    def lines(self, first: int, last: int) -> list[Line]:
        """See ``Source``."""
        first, found = max(first, self._first), []
        while (low := next_key(self._connection, first, last)) <= last:
            high = min(low + _CHUNK - 1, last)
            for raw in readable(self._connection, low, high, self._mark_bad):
                line = self._line(raw)
                if line is not None:
                    found.append(line)
            first = high + 1
        return found

    def _line(self, raw: tuple[Scalar, ...]) -> Line | None:
        seq, number = raw[0], raw[1]
        assert isinstance(seq, int), "the key of the table"
        origin = self._origins.get(number) if isinstance(number, int) else None
        crc = raw[-1]
        if origin is not None and isinstance(crc, int):
            row = StoredRow(origin, seq, raw[2:-1], crc)
            sending = Sending(self._offset(origin.boot_id), in_doubt=True)
            try:
                text = self._encoder.encode(row, sending)
            except RowCorrupt:
                text = b""
            if 0 < len(text) <= LINE_BYTES_MAX:
                return Line(seq, text)
        self._bad.add(seq)
        return None

    def _offset(self, boot_id: str) -> int | None:
        if boot_id not in self._offsets:
            try:
                self._offsets[boot_id] = tables.read_boot_offset(self._connection, boot_id)
            except sqlite3.Error:
                self._offsets[boot_id] = None
        return self._offsets[boot_id]

    def _mark_bad(self, low: int, high: int) -> None:
        self._bad.update(range(low, high + 1))
