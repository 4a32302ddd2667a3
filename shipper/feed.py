"""From the spool to a frozen batch, stored as exposed before it is offered.

A batch is due when ``batch_rows`` rows wait or the oldest of them has waited ``interval_s``; it
then takes all that fits into ``batch_bytes_max``, so a backlog drains in batches as large as
allowed. Only rows of the running boot wait for a synchronised clock, by uptime (rule 8).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from common.identity import Install, Lineage, Position
from shipper.graves import Graves
from shipper.ports import SpoolPort, World
from shipper.protocol.batch import WIRE_BYTES_MAX, Batch, BatchBuilder
from shipper.protocol.limits import Limits
from shipper.protocol.payload import Row, RowEncoder, Sending, is_sample, waits_for_clock
from shipper.protocol.reconcile import START
from shipper.protocol.token import token_of

CHUNK_ROWS: Final = 256
"""Rows read at a time; a batch is built from chunks, so memory does not grow with the backlog."""


class SpoolChanged(Exception):
    """The spool is of another install or history now: places of the session mean nothing in it."""


@dataclass(frozen=True, slots=True)
class Order:
    """Which batch is wanted.

    Attributes:
        after: rows after it.
        exposed: through here is stored as exposed already.
        rows_max: at most so many; ``None``: what fits.
        in_doubt: rows through it are flagged; ``START``: none.
    """

    after: Position
    exposed: Position
    rows_max: int | None
    in_doubt: Position


class Feed:
    """Cuts batches; one object for the life of the drain."""

    def __init__(self, world: World, limits: Limits, clock_wait_s: float) -> None:
        self._world = world
        self._spool = world.spool
        self._clock = world.clock
        self._limits = limits
        self._clock_wait_s = clock_wait_s
        self._waiting_since_s: float | None = None
        self._lineage = Lineage()
        self._held = False

    def begin(self, lineage: Lineage) -> None:
        """A session begins, whose places refer to this lineage."""
        self._lineage = lineage
        self._waiting_since_s = None

    def verify(self, after: Position) -> None:
        """See that the spool still is the one that the session's places refer to.

        A card, or an operator with a backup, can take epochs back while we run; the next one gets
        the order of a lost one, and rows would be skipped that only look as if they were sent. A
        new epoch ends the session too: it may have come with a quarantine, whose salvaged rows
        belong before it, and only an open asks whether they are all back (rule 6).

        Args:
            after: the newest place that the session relies on.

        Raises:
            SpoolChanged: see the class.
        """
        found = self._spool.lineage()
        known = {epoch.order: epoch.epoch for epoch in self._lineage.epochs}
        for epoch in found.epochs:
            name = known.pop(epoch.order, None)
            if name is None:
                raise SpoolChanged(f"epoch {epoch.epoch} has begun")
            if epoch.epoch != name:
                raise SpoolChanged(f"epoch {epoch.order} is {epoch.epoch} now")
        if known:
            raise SpoolChanged(f"epochs {sorted(known)} are gone")
        newest = found.newest
        if newest is not None and newest.order == after.order and newest.last_seq < after.seq:
            raise SpoolChanged(
                f"epoch {newest.epoch} ends at {newest.last_seq}, before {after.seq}"
            )
        self._lineage = found

    def due_s(self, after: Position, now_s: float) -> float | None:
        """Seconds until a batch is due; 0: now; ``None``: no row waits."""
        newest = self._spool.newest()
        if newest is None or newest <= after:
            self._waiting_since_s = None
            return None
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s
        waited_s = now_s - self._waiting_since_s
        same_epoch = newest.order == after.order
        if self._held:
            # Rows that wait for the clock do not become due by waiting: look again now and then.
            self._held = False
            return min(self._limits.interval_s, 1.0)
        if not same_epoch or newest.seq - after.seq >= self._limits.batch_rows:
            return 0.0
        return max(0.0, self._limits.interval_s - waited_s)

    def cut(
        self,
        order: Order,
        encoder: RowEncoder,
        graves: Graves,
        install: Install,
        new_id: Callable[[], str],
    ) -> Batch | None:
        """Cut a batch and store its end as exposed; ``None``: every row waits for the clock.

        Raises:
            SpoolChanged: see the class.
            LockHeld: the collector is thinning just now.
            SpoolError: a file cannot be read or written.
        """
        work = _Cut(self._spool, encoder, graves, order)
        with self._world.exposure:
            last = work.fill(install, self._limits.batch_bytes_max, self._waits)
            if last is None:
                self._held = True
                return None
            # Behind the reading, so that the lineage knows the epoch of every row that was read.
            self.verify(order.after)
            if Position(last.origin.order, last.seq) > order.exposed:
                self._world.ledger.expose(last.origin.epoch, last.seq)
        epoch = last.origin.epoch
        packed = work.builder.pack()
        if not work.full:
            self._waiting_since_s = None
        return Batch(
            epoch,
            packed.first,
            packed.last,
            packed.rows,
            packed.samples,
            packed.body,
            packed.raw_bytes,
            str(token_of(self._lineage, epoch, packed.first.seq)),
            str(token_of(self._lineage, epoch, packed.last.seq)),
            new_id(),
        )

    def _waits(self, row: Row, offset_ns: int | None) -> bool:
        """Whether a row must wait for the clock of the running boot."""
        return (
            waits_for_clock(row)
            and offset_ns is None
            and row.origin.boot_id == self._clock.boot_id()
            and self._clock.boottime_ns() < self._clock_wait_s * 1e9
        )


class _Cut:
    """One batch in the making."""

    def __init__(self, spool: SpoolPort, encoder: RowEncoder, graves: Graves, order: Order) -> None:
        self._spool = spool
        self._encoder = encoder
        self._graves = graves
        self._order = order
        self._offsets: dict[str, int | None] = {}
        self.builder = BatchBuilder(WIRE_BYTES_MAX)
        self.full = False

    def fill(
        self, install: Install, bytes_max: int, waits: Callable[[Row, int | None], bool]
    ) -> Row | None:
        """Take rows until the batch is full, the epoch ends or a row waits.

        Returns the last one.
        """
        self.builder = BatchBuilder(bytes_max)
        last: Row | None = None
        after = self._order.after
        while not self.full:
            wanted = self._wanted()
            rows = self._spool.read_after(None if after == START else after, wanted)
            for row in rows:
                if row.origin.install_id != install.install_id:
                    raise SpoolChanged(f"another install, {row.origin.install_id}")
                if last is not None and row.origin.epoch != last.origin.epoch:
                    self.full = True
                    return last
                if waits(row, self._offset(row)):
                    return last
                if not self._take(row):
                    self.full = True
                    return last
                last = row
                after = Position(row.origin.order, row.seq)
            if len(rows) < wanted:
                return last
            self.full = self._wanted() == 0
        return last

    def _wanted(self) -> int:
        limit = self._order.rows_max
        return CHUNK_ROWS if limit is None else min(CHUNK_ROWS, limit - self.builder.rows)

    def _take(self, row: Row) -> bool:
        place = Position(row.origin.order, row.seq)
        sending = Sending(self._offset(row), place <= self._order.in_doubt)
        line, alive = self._graves.line(row, sending, self._encoder)
        if self.builder.add(line, place, sample=alive and is_sample(row)):
            return True
        if self.builder.rows:
            return False
        # A single row longer than a whole batch may be; the server's own limit is far above it.
        self.builder = BatchBuilder(WIRE_BYTES_MAX)
        if not self.builder.add(line, place, sample=alive and is_sample(row)):
            line = self._graves.too_long(row, sending, self._encoder)
            self.builder.add(line, place, sample=False)
        self.full = True
        return True

    def _offset(self, row: Row) -> int | None:
        boot = row.origin.boot_id
        if boot not in self._offsets:
            self._offsets[boot] = self._spool.boot_offset_ns(boot)
        return self._offsets[boot]
