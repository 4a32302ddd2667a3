"""How small the next batch must be, after the server refused one for what is in it.

A refused batch is halved until a single row is left (413: too large, 400: something in it); each
acceptance doubles the limit again. A single row that is refused is *the* row, unless nothing else
gets through either: then the table is at fault and nobody's row is set aside (rule 16).
"""

from enum import Enum, auto

from shipper.protocol.batch import Batch
from shipper.protocol.limits import Limits

_UNLIMITED_ROWS = 4096


class Verdict(Enum):
    """What a refusal means."""

    CUT_SMALLER = auto()
    BURY_ROW = auto()
    TABLE_AT_FAULT = auto()


class Cutting:
    """The limit of rows, and the single rows refused since the last sample got through."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.strikes = 0
        self._rows_max: int | None = None

    def rows_max(self, *, small: bool) -> int | None:
        """Most rows of the next batch; ``None``: what fits.

        Args:
            small: slow start (rule 13).
        """
        bounds = [n for n in (self._rows_max, self._limits.batch_rows if small else None) if n]
        return min(bounds, default=None)

    def refused(self, batch: Batch) -> Verdict:
        """A batch was certainly refused at every try."""
        if batch.rows > 1:
            self._rows_max = batch.rows // 2
            return Verdict.CUT_SMALLER
        self._rows_max = 1
        self.strikes += 1
        if batch.samples == 0 or self.strikes > self._limits.strikes_max:
            return Verdict.TABLE_AT_FAULT
        return Verdict.BURY_ROW

    def refused_in_doubt(self, batch: Batch) -> None:
        """A batch was refused, but an earlier try of it may have been applied.

        An open decides first.
        """
        self._rows_max = max(1, batch.rows // 2)

    def accepted(self, batch: Batch) -> None:
        """A batch got through; one of tombstones alone proves nothing about the table."""
        if batch.samples:
            self.strikes = 0
        if self._rows_max is not None:
            doubled = self._rows_max * 2
            self._rows_max = doubled if doubled < _UNLIMITED_ROWS else None
