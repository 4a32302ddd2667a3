"""Reading a range of the spool in pieces, for keeping ranges that hold refused rows."""

from collections.abc import Iterator, Sequence
from typing import Final

from common.identity import Position
from shipper.ports import SpoolPort
from shipper.protocol.payload import Row
from shipper.protocol.reconcile import START

CHUNK_ROWS: Final = 512


def rows_between(spool: SpoolPort, after: Position, through: Position) -> Iterator[Sequence[Row]]:
    """Pieces of the rows with ``after`` < position ≤ ``through``; each is of one epoch."""
    while after < through:
        rows = [
            row
            for row in spool.read_after(None if after == START else after, CHUNK_ROWS)
            if Position(row.origin.order, row.seq) <= through
        ]
        if not rows:
            return
        yield rows
        after = Position(rows[-1].origin.order, rows[-1].seq)
