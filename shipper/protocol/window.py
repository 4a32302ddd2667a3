"""Accepted batches that are not acknowledged, and the server's counters held against them.

The licence to trim is the committed token *and* balanced counters (rule 14): rows inserted plus
rows refused must be exactly the rows sent up to that token. Counters may lag the token; they are
asked again until they fit.
"""

from collections import deque
from dataclasses import dataclass

from common.identity import Position
from shipper.protocol.batch import Batch
from shipper.protocol.errors import RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Counters:
    """The server's totals since the birth of the channel."""

    inserted: int
    errors: int

    @property
    def rows(self) -> int:
        """Rows that came to an end, good or bad."""
        return self.inserted + self.errors


@dataclass(frozen=True, slots=True)
class Sent:
    """An accepted batch, without its bytes.

    Attributes:
        token: its end token.
        epoch: of its rows, by name: orders are given anew after a card lost epochs.
        last: position of its last row.
        rows: how many rows.
        spool_bytes: what they hold in the spool, estimated: half their length as JSON.
    """

    token: str
    epoch: str
    last: Position
    rows: int
    spool_bytes: int


class Window:
    """Batches of one session, from the acknowledged place on.

    Args:
        token: the server's committed text at the open.
        committed: the place that the reconcile table gave it.
        epoch: that place's epoch, by name; "" before the first row.
        carried: rows between acknowledged and committed at the open, of sessions before.
        base: the counters that belong to acknowledged.
    """

    def __init__(
        self, token: str | None, committed: Position, epoch: str, carried: int, base: Counters
    ) -> None:
        self.token = token
        self.committed = committed
        self.epoch = epoch
        self.base = base
        self._rows_committed = carried
        self._spool_bytes = 0
        self._uncommitted: deque[Sent] = deque()
        self._settling: deque[Sent] = deque()

    @property
    def uncommitted(self) -> int:
        """Accepted batches that are not committed."""
        return len(self._uncommitted)

    @property
    def batches(self) -> int:
        """Accepted batches that are not acknowledged."""
        return len(self._uncommitted) + len(self._settling)

    @property
    def spool_bytes(self) -> int:
        """What their rows hold in the spool, estimated."""
        return self._spool_bytes

    @property
    def rows_committed(self) -> int:
        """Rows sent between acknowledged and committed: what the counters must have grown by."""
        return self._rows_committed

    def accepted(self, batch: Batch) -> None:
        """One more batch is buffered on the server."""
        half = batch.raw_bytes // 2
        sent = Sent(batch.end_token, batch.epoch, batch.last, batch.rows, half)
        self._uncommitted.append(sent)
        self._spool_bytes += sent.spool_bytes

    def commit(self, token: str | None) -> int:
        """Take the server's committed token; returns how many rows were committed by it.

        Raises:
            RemoteProtocolError: it is neither the last one nor the end of a batch accepted since:
            it fell,
                or passed what was accepted.
        """
        if token == self.token:
            return 0
        if not any(s.token == token for s in self._uncommitted):
            raise RemoteProtocolError(
                f"committed token {token!r} is no batch accepted after {self.token!r}",
                hint="nothing is lost: the channel is opened again; tell who runs the account",
            )
        rows = 0
        while self.token != token:
            sent = self._uncommitted.popleft()
            self._settling.append(sent)
            self.token, self.epoch, self.committed = sent.token, sent.epoch, sent.last
            rows += sent.rows
        self._rows_committed += rows
        return rows

    def balanced(self, now: Counters) -> bool:
        """Whether the counters account for every row through committed, and for no other."""
        return now.rows - self.base.rows == self._rows_committed and now.errors >= self.base.errors

    def bound(self, token: str | None) -> Position:
        """The end of the batch that a row error's upper bound names.

        It is committed, when the bound names none.
        """
        return next((s.last for s in self._settling if s.token == token), self.committed)

    def settle(self, now: Counters) -> int:
        """Committed is acknowledged now, with these counters.

        Returns how many batches that settles.
        """
        self.base = now
        self._rows_committed = 0
        self._spool_bytes -= sum(s.spool_bytes for s in self._settling)
        settled = len(self._settling)
        self._settling.clear()
        return settled
