"""One simulated device: its machine, its two services, and what may happen to it."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from common.errors import SpoolError
from common.identity import Hardware, Install
from common.spool.row import row_crc
from shipper.backoff import delays
from shipper.drain import Drain, Setup
from shipper.ports import Present, World
from shipper.protocol.limits import Limits
from shipper.protocol.reconcile import START
from shipper.protocol.requests import Target
from tests.emulators.ingest.answers import ChannelName, Pipe
from tests.emulators.ingest.model import IngestModel
from tests.model.simulation_collector import SimCollector
from tests.model.simulation_device import SimClock, Watcher
from tests.model.simulation_ledger import SimLedger
from tests.model.simulation_machine import Machine, Shared
from tests.model.simulation_mortality import Killed, Mortality, SimLock
from tests.model.simulation_reader import SimReader
from tests.model.simulation_server import SimTransport
from tests.model.simulation_spool import SimSpool
from tests.model.simulation_weather import Weather

TARGET: Final = Target("ACCOUNT", "DB", "SCHEMA", "T-STREAMING")
PIPE: Final = Pipe("DB", "SCHEMA", "T-STREAMING")
LIMITS: Final = Limits(batch_rows=3, interval_s=2.0, batch_bytes_max=4096, window_bytes=30_000)
CLOCK_WAIT_S: Final = 60.0
_DELAYS: Final = delays(LIMITS)
_PIECES_MAX: Final = 6


class SimDevice:
    """See the module.

    Attributes:
        due_s: when the shipper's next step is due.

    Args:
        shared: what all devices share.
        weather: how bad it gets.
        model: the server.
        machine: the hardware and files; see ``new_machine``.
        mistake: spoils each process that was just made; ``None``: the real ones.
    """

    def __init__(
        self,
        shared: Shared,
        weather: Weather,
        model: IngestModel,
        machine: Machine,
        mistake: "Callable[[SimDevice], None] | None" = None,
    ) -> None:
        self.shared, self.weather, self.machine = shared, weather, machine
        self.watcher = Watcher()
        self.due_s = 0.0
        self._mistake = mistake
        self._ids = itertools.count()
        clock = machine.clock
        self.transport = SimTransport(model, shared.random, machine.mortality, lambda: clock.now_s)
        self.transport.silent = lambda: not machine.original
        self.transport.line, self.transport.body_max = weather.line, weather.body_max
        self.reader = SimReader(self._file, machine.mortality)
        self.collector = SimCollector(machine, shared)
        if weather.interleave:
            machine.mortality.meanwhile = self._meanwhile
        if weather.card_fails:
            machine.mortality.fails = lambda: shared.random.random() < self.weather.card_fails
        self.boot()
        self.drain = self.start_shipper()

    @property
    def channel(self) -> ChannelName:
        """The live channel's name."""
        return ChannelName(PIPE, self.machine.spool.install().channel)

    @property
    def counts(self) -> Counter[str]:
        """What happened."""
        return self.watcher.counts

    def boot(self) -> None:
        """The kernel starts, and with it the collector."""
        clock = self.machine.clock
        clock.boot, clock.booted_s = self.shared.hex(), clock.now_s
        clock.synced = self.shared.random.random() >= self.weather.unsynced
        self.machine.record = None
        if self.shared.random.random() >= self.weather.late_collector:
            self.collector.start()

    def start_shipper(self) -> Drain:
        """A new process; the old one is forgotten."""
        machine = self.machine
        machine.mortality.calls_left = None
        world = World(
            self.reader, machine.ledger, self.transport, machine.clock, self.watcher, machine.lock
        )
        setup = Setup(
            TARGET,
            Present("ACCOUNT/DB.SCHEMA.T-STREAMING", machine.hardware),
            LIMITS,
            _DELAYS,
            CLOCK_WAIT_S,
            lambda: f"id-{next(self._ids)}",
            row_crc,
        )
        self.drain = Drain(world, setup)
        if self._mistake is not None:
            self._mistake(self)
        return self.drain

    def step(self) -> None:
        """One step of the shipper; plans the next one."""
        try:
            wait_s = self.drain.step()
        except Killed:
            self.shared.trace("killed")
            self.counts["kills"] += 1
            self.start_shipper()
            wait_s = 0.5
        self.due_s = self.machine.clock.now_s + max(wait_s, 0.02)

    def care(self) -> None:
        """The collector works for a while."""
        self.collector.advance(self.shared.random.randint(1, _PIECES_MAX))

    def kill_collector(self) -> None:
        """SIGKILL to the collector."""
        self.shared.trace("collector killed")
        self.counts["kills"] += 1
        self.counts["kills of the collector"] += 1
        self.collector.kill(unrecorded=self.shared.random.random() < 0.3)

    def cut_power(self) -> None:
        """Both processes end; a lying card gives back older files."""
        self.shared.trace("power cut")
        self.counts["cuts"] += 1
        self.collector.kill(unrecorded=False)
        if self.weather.lie:
            self.shared.books.forgetful = True
            self._roll_back_spool()
            self.machine.ledger.roll_back(self.shared.random.randint(0, self.weather.lie))
        self.machine.clock.now_s += 5.0
        self.boot()
        self.start_shipper()

    def restore(self) -> None:
        """An older spool is put back under the running shipper; the collector starts anew."""
        self.shared.trace("restored")
        self.counts["restored"] += 1
        self.collector.kill(unrecorded=False)
        self._roll_back_spool()
        # A file that was put back is another file.
        spool = self.machine.spool
        spool.state = replace(spool.state, inode=spool.state.inode + 1)
        self.collector.start()

    def damage(self) -> None:
        """The file is corrupt: the collector finds out, and begins a new one (rule 6)."""
        rows = self.machine.spool.rows
        if not self.collector.running or self.machine.spool.salvage_pending():
            return
        self.counts["quarantines"] += 1
        random = self.shared.random
        self.machine.bad = frozenset(r.seq for r in rows if random.random() < 0.15)
        self.collector.kill(unrecorded=False)
        self.collector.start(damaged=True)

    def lose_spool(self) -> None:
        """``spool.db`` is gone after an unclean unmount."""
        self.shared.trace("spool lost")
        self.counts["spools lost"] += 1
        self.collector.kill(unrecorded=False)
        self.shared.books.lose(self.machine.spool.state.all_rows)
        self.machine.missing = True
        self.cut_power()

    def lose_ledger(self, *, damaged: bool) -> None:
        """``ship.db`` is gone, or cannot be read any more."""
        self.shared.trace("ledger damaged" if damaged else "ledger lost")
        self.counts["ledgers lost"] += 1
        self.shared.books.forgetful = True
        self.machine.ledger.lose(damaged=damaged)
        self.cut_power()

    def swap_board(self) -> None:
        """The card moves to another board: same install, new epoch."""
        self.counts["boards swapped"] += 1
        board = f"board-{self.shared.hex()}"
        self.machine.hardware = Hardware(board, self.machine.hardware.card_serial)
        self.cut_power()

    @property
    def home(self) -> bool:
        """Whether all that is stored is acknowledged, all events among it."""
        machine = self.machine
        ledger = machine.ledger.state
        if machine.missing or machine.spool.salvage_pending():
            return False
        if any(name not in machine.spool.state.events for name, _ in ledger.events):
            return False
        newest, found = machine.spool.newest(), ledger.progress.acknowledged
        if newest is None or found is None or self.drain.channel.state != "ready":
            return newest is None
        lineage = machine.spool.lineage()
        return (lineage.position(found.epoch, found.seq) or START) >= newest

    def _roll_back_spool(self) -> None:
        writes = self.shared.random.randint(0, self.weather.lie)
        self.shared.books.lose(self.machine.spool.roll_back(writes))

    def _meanwhile(self) -> None:
        """The collector goes on between two calls of the shipper, or dies there."""
        random = self.shared.random
        if random.random() < self.weather.interleave:
            self.collector.advance(random.randint(1, 3))
            if random.random() < self.weather.kill_collector / 4:
                self.kill_collector()
            if random.random() < self.weather.damage:
                self.damage()

    def _file(self) -> SimSpool:
        if self.machine.missing:
            raise SpoolError("simulated: no such file", op="open", path="spool.db")
        return self.machine.spool


def new_machine(install: Install, clock: SimClock, prefix: str = "") -> Machine:
    """A machine with empty files.

    Args:
        install: whose the spool will be.
        clock: moved by the simulation.
        prefix: makes the ids of its events differ from those of another device.
    """
    mortality = Mortality()
    ledger = SimLedger(mortality, prefix)
    return Machine(
        clock, install.hardware, SimSpool(install), ledger, mortality, SimLock(mortality)
    )


def clone_of(machine: Machine, hardware: Hardware) -> Machine:
    """A device that was started from a copy of another one's card."""
    made = new_machine(Install("", hardware), SimClock(), f"{hardware.card_serial}-")
    made.clock.now_s, made.clock.synced = machine.clock.now_s, machine.clock.synced
    made.spool.state, made.ledger.state = machine.spool.state, machine.ledger.state
    made.original = False
    return made
