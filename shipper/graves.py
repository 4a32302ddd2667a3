"""Rows that cannot be sent: kept as dead letters first, then replaced by tombstones (rule 16)."""

import json
import zlib
from typing import Final

from common.clock import Clock
from shipper.dead_letters import DeadLetter
from shipper.ports import LedgerPort
from shipper.protocol.batch import Batch
from shipper.protocol.payload import Row, RowCorrupt, RowEncoder, Sending

_PAGE: Final = 16
_GZIP: Final = 16 + zlib.MAX_WBITS


class Graves:
    """Which rows are dead and why, and the lines that stand for them."""

    def __init__(self, ledger: LedgerPort, clock: Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._unchecked = RowEncoder(None)
        self._reasons: dict[tuple[str, int], str] = {}

    def load(self) -> None:
        """Read which rows were buried before; once per session."""
        self._reasons.clear()
        after = 0
        while letters := self._ledger.dead_letters.list(after, _PAGE):
            for letter in letters:
                if letter.form == "row":
                    self._reasons[letter.epoch, letter.first_seq] = letter.reason
            after = letters[-1].id or 0

    def line(self, row: Row, sending: Sending, encoder: RowEncoder) -> tuple[bytes, bool]:
        """The line to send for a row, and whether it is the row itself (not a tombstone).

        A row whose check sum does not fit is buried on the way.
        """
        reason = self._reasons.get((row.origin.epoch, row.seq))
        if reason is not None:
            return encoder.tombstone(row, reason, sending), False
        try:
            return encoder.encode(row, sending), True
        except RowCorrupt as error:
            self._bury(row.origin.epoch, row.seq, ("corrupt", str(error)), raw_line(row))
            return encoder.tombstone(row, "corrupt", sending), False

    def too_long(self, row: Row, sending: Sending, encoder: RowEncoder) -> bytes:
        """Bury a row that is longer than any request may be."""
        why = ("too_large", "longer than a request")
        self._bury(row.origin.epoch, row.seq, why, raw_line(row))
        return encoder.tombstone(row, "too_large", sending)

    def bury(self, batch: Batch, reason: str, message: str) -> None:
        """Bury the only row of a batch that the server refused."""
        line = zlib.decompress(batch.body, _GZIP)
        self._bury(batch.epoch, batch.first.seq, (reason, message), line)

    def kept(self, row: Row, sending: Sending) -> bytes:
        """A row of a refused range, for a person to look at; nothing is buried on the way.

        Empty for a row that was buried before: a tombstone was sent, and its letter has the row.
        """
        if (row.origin.epoch, row.seq) in self._reasons:
            return b""
        try:
            return self._unchecked.encode(row, sending)
        except RowCorrupt:
            return raw_line(row)

    def _bury(self, epoch: str, seq: int, why: tuple[str, str], payload: bytes) -> None:
        now_us = self._clock.realtime_ns() // 1000
        self._ledger.add_dead_letter(DeadLetter("row", epoch, seq, seq, *why, payload, now_us))
        self._reasons[epoch, seq] = why[0]


def raw_line(row: Row) -> bytes:
    """A row as it was found, for a person to look at; its values may be anything."""
    found = [row.origin.epoch, row.seq, row.crc, *row.values]
    return json.dumps(found, default=repr).encode() + b"\n"
