"""A batch: consecutive rows of one epoch as one gzip body that never changes again.

The body is compressed while it is built, so that a backlog of months needs the memory of one batch.
What the compressor still holds back is bounded from above, and asked for only when that bound comes
near the limit.
"""

import zlib
from dataclasses import dataclass
from typing import Final

from common.identity import Position
from shipper.protocol.errors import LocalProtocolError

WIRE_BYTES_MAX: Final = 4_194_304
"""Greatest body that the server takes, compressed.

One more byte is 413 (seen live in supabase/etl tests).
"""
_GZIP: Final = 16 + zlib.MAX_WBITS
_LEVEL: Final = 1
"""Fastest: a Pi's time is dearer than a tenth of the bytes."""
_MARGIN: Final = 256
"""Room for the trailer and for the flushes themselves."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Frozen rows under one pair of offset tokens and one request id.

    Attributes:
        epoch: of all its rows.
        first, last: positions of its ends.
        rows: how many.
        samples: how many of them carry data (are not tombstones).
        body: gzip NDJSON.
        raw_bytes: length of the body before compression.
        start_token, end_token: offset tokens of the ends.
        request_id: the same on every try.
    """

    epoch: str
    first: Position
    last: Position
    rows: int
    samples: int
    body: bytes
    raw_bytes: int
    start_token: str
    end_token: str
    request_id: str


@dataclass(frozen=True, slots=True)
class Packed:
    """Rows between two positions as one compressed body."""

    first: Position
    last: Position
    rows: int
    samples: int
    body: bytes
    raw_bytes: int


class BatchBuilder:
    """Takes lines until the next one might not fit.

    Args:
        bytes_max: greatest body, compressed; at most ``WIRE_BYTES_MAX``.
    """

    def __init__(self, bytes_max: int) -> None:
        if not 0 < bytes_max <= WIRE_BYTES_MAX:
            raise LocalProtocolError(f"batch of {bytes_max} bytes: expected 1 … {WIRE_BYTES_MAX}")
        self._bytes_max = bytes_max
        self._gzip = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._parts: list[bytes] = []
        self._out = 0
        self._held = 0
        self._raw = 0
        self._samples = 0
        self._rows = 0
        self._first: Position | None = None
        self._last: Position | None = None

    @property
    def rows(self) -> int:
        """Rows taken so far."""
        return self._rows

    def add(self, line: bytes, position: Position, *, sample: bool) -> bool:
        """Take one more row, unless the body might then pass the limit.

        Returns:
            False when it was not taken; an empty builder that does not take a row never will.

        Raises:
            LocalProtocolError: the row is not behind the one before it, or of another epoch.
        """
        if self._last is not None and (
            position.order != self._last.order or position.seq <= self._last.seq
        ):
            raise LocalProtocolError(f"row {position} in a batch behind {self._last}")
        if not self._fits(len(line)):
            return False
        self._keep(self._gzip.compress(line))
        self._held += len(line)
        self._raw += len(line)
        self._rows += 1
        self._samples += sample
        self._first = self._first or position
        self._last = position
        return True

    def pack(self) -> Packed:
        """Close the body; the builder must not be used again.

        Raises:
            LocalProtocolError: it is empty, or longer than allowed.
        """
        self._keep(self._gzip.flush(zlib.Z_FINISH))
        if self._first is None or self._last is None:
            raise LocalProtocolError("a batch without rows")
        if self._out > self._bytes_max:
            raise LocalProtocolError(f"batch of {self._out} bytes, at most {self._bytes_max}")
        body = b"".join(self._parts)
        return Packed(self._first, self._last, self._rows, self._samples, body, self._raw)

    def _fits(self, length: int) -> bool:
        if self._bound(length) <= self._bytes_max:
            return True
        if not self._held:
            return False
        self._keep(self._gzip.flush(zlib.Z_SYNC_FLUSH))
        self._held = 0
        return self._bound(length) <= self._bytes_max

    def _bound(self, length: int) -> int:
        """Greatest size of the body with ``length`` more raw bytes.

        Deflate falls back to stored blocks, 5 bytes each 16 KiB.
        """
        raw = self._held + length
        return self._out + raw + (raw >> 11) + _MARGIN

    def _keep(self, part: bytes) -> None:
        if part:
            self._parts.append(part)
            self._out += len(part)
