"""The collector of a simulated device: the product's decisions over the simulated files.

What a start does is decided by ``collector.spool.decide``, what may be trimmed and thinned by
``licence``; gap rows are those of ``collector.gaps``. Its work is cut into pieces, between which
the shipper goes on, or it is killed.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from collector.gaps import Gap
from collector.spool import licence
from collector.spool.decide import Found, Plan, SpoolFacts, decide
from collector.spool.position import PositionRecord
from collector.stamp import json_text
from common.identity import Install
from common.ship_state import ShipState, ShipStateUnreadable
from common.spool.row import INDEX
from common.spool.schema import REQUESTED
from tests.model.simulation_books import Broken, key_of
from tests.model.simulation_machine import Machine, Shared
from tests.model.simulation_salvage import carry_over, quarantined, seeded
from tests.model.simulation_spool import SimSpool, SpoolState
from tests.model.simulation_thinning import Pass, thin


class SimCollector:
    """See the module; one object for all its processes on one machine."""

    def __init__(self, machine: Machine, shared: Shared) -> None:
        self.machine = machine
        self.shared = shared
        self.running = False
        self.rows_max = shared.rows_max
        self.decide: Callable[[Found], Plan] = decide
        self.licence = licence.licence
        self.exposed_through = licence.exposed_through
        self.lock: Callable[[], bool] = machine.lock.try_acquire
        self.removes: Callable[[Pass], Iterator[None]] = self._remove
        self.copied: Callable[[str], bool] = lambda name: name in self.machine.spool.state.events
        self._work: Iterator[None] | None = None
        self._record_before: PositionRecord | None = None

    def start(self, *, damaged: bool = False) -> None:
        """Settle install, epoch and seq as the product decides.

        Args:
            damaged: the file is reproducibly corrupt.
        """
        machine = self.machine
        state = machine.spool.state
        facts = SpoolFacts()
        if not machine.missing:
            facts = SpoolFacts(
                state.install,
                state.lineage,
                state.last_seq,
                state.trimmed,
                None,
                state.honoured,
                damaged,
                0,
                state.inode,
            )
        ship, _ = self.ship_state()
        found = Found(facts, ship, machine.record, machine.clock.boot, machine.hardware)
        self._apply(self.decide(found), found)
        self.running = True

    def store(self, rows: int, **columns: object) -> None:
        """Store samples in one group, if it runs."""
        if self.running:
            made = [self._sample(columns | self._poison()) for _ in range(rows)]
            before = len(self.machine.spool.rows)
            self.commit(self.machine.spool.state.with_rows(made))
            self.shared.books.store(self.machine.spool.rows[before:])

    def synchronise(self) -> None:
        """The kernel holds the clock to be right: the offset of this boot is stored."""
        clock = self.machine.clock
        offset_ns = clock.realtime_ns() - clock.boottime_ns()
        if self.running and self.machine.spool.set_offset(clock.boot, offset_ns):
            uptime_s = clock.now_s - clock.booted_s
            self.shared.books.offsets[clock.boot] = (offset_ns, uptime_s)
            self._remember()

    def advance(self, pieces: int) -> None:
        """Go on with the care of the spool for so many pieces; started anew if it is down."""
        if not self.running:
            self.start()
        for _ in range(pieces):
            if self._work is None:
                self._work = self._upkeep()
            if next(self._work, 0) == 0:
                self._work = None

    def kill(self, *, unrecorded: bool) -> None:
        """The process ends where it is.

        Args:
            unrecorded: right behind its last commit, before the position was noted.
        """
        if unrecorded:
            self.machine.record = self._record_before
        self._work = None
        self.machine.lock.release()
        self.running = False

    def ship_state(self) -> tuple[ShipState | None, bool]:
        """The shipper's state, and whether it cannot be read."""
        try:
            return self.machine.ledger.ship_state(), False
        except ShipStateUnreadable:
            return None, True

    def commit(self, state: SpoolState) -> None:
        """One transaction, and the note of it."""
        self.machine.spool.write(state)
        self._remember()

    def gap(self, gap: Gap) -> dict[str, object]:
        """A gap row."""
        return self._sample({"kind": "gap", "detail": json_text(gap.detail)})

    def trim(self, ship: ShipState | None) -> int:
        """Delete what is committed; returns how many rows.

        Raises:
            Broken: the server never had one of them.
        """
        spool = self.machine.spool
        ours = licence.usable(spool.install(), ship)
        granted = self.licence(
            spool.lineage(), ours.acknowledged if ours else None, spool.trimmed()
        )
        if granted.acknowledgement is None:
            return 0
        gone = spool.trim(granted.through, granted.acknowledgement)
        if gone:
            self._remember()
            self.shared.auditor.read()
        for row in gone:
            # A card may give a row back that a gap row has told of: it is never sent again.
            auditor = self.shared.auditor
            if not auditor.covered(row) and not auditor.told(key_of(row)):
                raise Broken(f"{key_of(row)} at {row.position} was trimmed, never committed")
        return len(gone)

    def _upkeep(self) -> Iterator[None]:
        """See ``collector.spool.upkeep``; others go on at each ``yield``."""
        ship, unreadable = self.ship_state()
        yield
        if not unreadable:
            self.trim(ship)
        yield
        if self._crowded:
            yield from self._thin()
        self._salvage()
        yield
        if ship is not None and licence.usable(self.machine.spool.install(), ship) is not None:
            self._copy_events(ship)
            yield
            if any(r.id not in self.machine.spool.state.honoured for r in ship.requests):
                self.shared.trace("asked for " + ", ".join(r.kind for r in ship.requests))
                self.start()

    def _copy_events(self, ship: ShipState) -> None:
        for event in ship.events:
            if not self.copied(event.id):
                row = self._sample({"kind": "event", "detail": f'{{"id":"{event.id}"}}'})
                stored = self.machine.spool.copy_event(event.id, row)
                self._remember()
                self.shared.books.store([stored])
                self.shared.books.copy(event.id, stored)

    def _apply(self, plan: Plan, found: Found) -> None:
        """Make the plan true in one transaction, see ``collector.spool.settle``."""
        machine, old = self.machine, self.machine.spool.state
        anew = plan.aside is not None or machine.missing
        if plan.install is None:
            if machine.original and not machine.missing:
                self.shared.books.give_up(old.all_rows)
            machine.original = True
            install = Install(self.shared.hex().upper(), machine.hardware)
            state = SpoolState(install, inode=old.inode + 1)
        elif anew:
            state = self._begin_anew(plan, plan.install, found)
        else:
            state = replace(old, install=plan.install)
        if plan.epoch_reason is not None:
            reason, name = plan.epoch_reason, self.shared.hex()
            state = state.with_epoch(name, found.boot_id, plan.next_seq, plan.stored_before)
            if reason.startswith(REQUESTED):
                asked = reason.removeprefix(REQUESTED)
                state = replace(state, honoured=state.honoured | {asked})
            self.shared.trace(f"epoch {name}: {reason}, seq from {plan.next_seq}")
        gaps = [self.gap(gap) for gap in plan.gaps]
        state = state.with_rows(gaps)
        if anew or plan.install is None:
            machine.spool = SimSpool(state.install)
            machine.spool.state = state
            machine.missing = False
        elif state != old:
            machine.spool.write(state)
        self._remember()
        self.shared.books.store(state.rows[len(state.rows) - len(gaps) :])

    def _begin_anew(self, plan: Plan, install: Install, found: Found) -> SpoolState:
        """A new file of the same install, with what can be carried over of the old one."""
        old = self.machine.spool.state
        if plan.salvage:
            self.shared.trace("quarantine")
            return quarantined(old, plan, install, found)
        return seeded(plan, install, old.inode + 1)

    def _thin(self) -> Iterator[None]:
        """See ``Upkeep._thin``: the lock is only tried, and covers reading and committing."""
        machine = self.machine
        if not self.lock():
            return
        try:
            ship, unreadable = self.ship_state()
            spool = machine.spool
            exposed = self.exposed_through(spool.install(), spool.lineage(), ship, spool.trimmed())
            yield
            if unreadable:
                exposed = licence.EVERYTHING
            elif self.trim(ship) and not self._crowded:
                return
            state = spool.state
            goal = max(2, self.rows_max // 4)
            found = thin(state, max(exposed, self._through(ship)), goal)
            if exposed < state.last_seq and found is not None:
                yield from self.removes(found)
        finally:
            machine.lock.release()

    def _remove(self, found: Pass) -> Iterator[None]:
        """Remove rows and tell of it, in one transaction."""
        spool = self.machine.spool
        kept = spool.without({row.seq for row in found.gone})
        made = replace(kept, stride=found.stride).with_rows([self.gap(found.gap)])
        self.commit(made)
        self.shared.books.remove(found.gone)
        self.shared.books.store(made.rows[-1:])
        self.shared.trace(f"{found.gap.reason} {[row.seq for row in found.gone]}")
        yield

    def _through(self, ship: ShipState | None) -> int:
        spool = self.machine.spool
        ours = licence.usable(spool.install(), ship)
        acknowledged = ours.acknowledged if ours else None
        return self.licence(spool.lineage(), acknowledged, spool.trimmed()).through

    @property
    def _crowded(self) -> bool:
        return len(self.machine.spool.rows) > self.rows_max

    def _salvage(self) -> None:
        """Carry a few rows of a damaged file over; the last slice tells what is lost."""
        random = None if self.shared.lying else self.shared.random
        done = carry_over(self.machine.spool.state, self.machine.bad, random)
        if done is None:
            return
        made = done.state.with_rows([self.gap(gap) for gap in done.gaps])
        self.commit(made)
        self.shared.books.store(made.rows[len(made.rows) - len(done.gaps) :])
        # A gap row that cannot be read any more takes along what it told.
        gaps = [row for row in done.unread if row.values[INDEX["kind"]] == "gap"]
        if gaps:
            self.shared.books.lose(gaps)

    def _poison(self) -> dict[str, object]:
        if self.shared.random.random() >= self.shared.poison:
            return {}
        return {"quality": self.shared.random.choice(("DOOR", "TABLE"))}

    def _sample(self, columns: dict[str, object]) -> dict[str, object]:
        clock = self.machine.clock
        return {
            "taken_at": clock.realtime_ns() // 1000,
            "boottime_ns": next(self.shared.ids) * 1_000_000,
            "clock_synced": int(clock.synced),
            **columns,
        }

    def _remember(self) -> None:
        """Note the position of the last commit where a restored file cannot take it along."""
        machine, state = self.machine, self.machine.spool.state
        self._record_before = machine.record
        epoch = state.epochs[-1].epoch
        install = state.install.install_id
        machine.record = PositionRecord(
            machine.clock.boot, 0, state.inode, install, epoch, state.last_seq
        )
