"""One simulated history, from its seed to its verdict; see ``tests.model.simulation``."""

import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from common.identity import Hardware, Install
from common.ship_state import Acknowledgement
from common.spool.row import row_crc
from shipper.backoff import delays
from shipper.drain import Drain, Setup
from shipper.ports import Present, World
from shipper.protocol.limits import Limits
from shipper.protocol.reconcile import START
from shipper.protocol.requests import Target
from tests.emulators.ingest.answers import ChannelName, Pipe
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.store import MemoryStore
from tests.model.simulation_device import NoLock, SimClock, Watcher
from tests.model.simulation_ledger import SimLedger
from tests.model.simulation_server import SimTransport
from tests.model.simulation_spool import Killed, Mortality, SimSpool
from tests.model.simulation_verdict import Auditor, Books, Broken, judge, key_of
from tests.model.simulation_weather import Weather, weather_of

HEAL_STEPS: Final = 1500
"""Within so many steps after the last fault the last row must be acknowledged."""
HARDWARE: Final = Hardware("board", "card")
TARGET: Final = Target("ACCOUNT", "DB", "SCHEMA", "T-STREAMING")
PIPE: Final = Pipe("DB", "SCHEMA", "T-STREAMING")
LIMITS: Final = Limits(batch_rows=3, interval_s=2.0, batch_bytes_max=4096, window_bytes=30_000)


class Simulation:
    """One history.

    Args:
        seed: decides everything.
        mistake: plants a mistake into the drain that was just made; ``None``: the real one.
        trace: told each thing that happens, for people.
        climate: a certain weather instead of a drawn one.
    """

    def __init__(
        self,
        seed: int,
        mistake: Callable[[Drain], None] | None = None,
        trace: Callable[[str], None] | None = None,
        climate: str | None = None,
    ) -> None:
        self.random = random.Random(seed)
        # tenacity draws its jitter from the module's own generator.
        random.seed(seed)
        self.weather: Weather = weather_of(self.random, climate)
        self.clock = SimClock()
        self.mortality = Mortality()
        self.books = Books()
        self.store = MemoryStore()
        self.auditor = Auditor(self.store, self.books)
        self.knobs = self.weather.knobs()
        self.model = IngestModel(self.store, self.knobs, seed)
        now_s = self.clock.monotonic_s
        self.transport = SimTransport(self.model, self.random, self.mortality, now_s)
        self.transport.line = self.weather.line
        self.transport.body_max = self.weather.body_max
        self.spool = SimSpool(Install(self._hex().upper(), HARDWARE))
        self.ledger = SimLedger(self.mortality)
        self.watcher = Watcher()
        self.taken = 0
        self._ids = itertools.count()
        self._mistake, self._trace = mistake, trace or (lambda text: None)
        self._first_boot()
        self.drain = self._new_drain()

    @property
    def channel(self) -> ChannelName:
        """The live channel's name."""
        return ChannelName(PIPE, self.spool.install().channel)

    def run(self) -> Counter[str]:
        """Live through the weather, heal, drain, judge; returns what happened.

        Raises:
            Broken: a promise was broken.
        """
        for _ in range(self.weather.steps):
            self._step()
            self._mishaps()
        self._heal()
        for _ in range(HEAL_STEPS):
            self._step()
            self._collector()
            if self._home():
                break
        else:
            raise Broken(
                f"no progress after healing: {self.drain.channel.state}, {self.drain.reason!r}, "
                f"acknowledged {self.ledger.state.progress.acknowledged}"
            )
        self._lose_while_idle()
        if self.model.tally.client_bugs:
            raise Broken(f"other rows under a consumed token: {self.model.tally.as_dict()}")
        judge(self.books, self.auditor, self.ledger.state.letters)
        counts = self.watcher.counts
        counts["rows"] = len(self.books.stored)
        counts["lost by a card"] = len(self.books.lost)
        counts.update(self.auditor.totals())
        counts["replays absorbed"] = self.model.tally.noops_identical
        return counts

    def _lose_while_idle(self) -> None:
        """With nothing to send, only a poll can tell that the channel was invalidated."""
        if self.channel not in self.model.channels:
            return
        self.model.invalidate(self.channel)
        opens, until_s = self.model.tally.opens, self.clock.now_s + 2 * LIMITS.poll_idle_s
        while self.clock.now_s < until_s:
            self._step()
            if self.model.tally.opens > opens:
                return
        raise Broken("a channel that was lost while idle was not opened again")

    def _step(self) -> None:
        try:
            wait_s = self.drain.step()
        except Killed:
            self._trace("killed")
            self.watcher.counts["kills"] += 1
            self.mortality.calls_left = None
            self.drain = self._new_drain()
            wait_s = 0.5
        self._trace(f"{self.clock.now_s:10.1f} {self.drain.channel.state:12} wait {wait_s:.2f}")
        self.clock.now_s += max(wait_s, 0.02)

    def _mishaps(self) -> None:
        """What happens between two steps."""
        weather, draw = self.weather, self.random.random
        if draw() < weather.store:
            self._take(self.random.randint(1, 6))
        if draw() < weather.collect:
            self._collector()
        if draw() < weather.kill:
            self.mortality.calls_left = self.random.randint(1, 12)
        if draw() < weather.cut:
            self._power_cut()
        if draw() < weather.restore:
            self._restore()
        if draw() < weather.invalidate and self.channel in self.model.channels:
            self._trace("invalidated")
            self.model.invalidate(self.channel)
        if draw() < weather.lose and self.channel in self.model.channels:
            self._trace("channel lost")
            self.watcher.counts["channels lost"] += 1
            self.model.lose(self.channel)
        if draw() < weather.steal and self.channel in self.model.channels:
            self._trace("stolen")
            self.model.steal(self.channel, self.clock.now_s)
        if draw() < weather.rewind:
            self._rewind()
        if draw() < weather.stick:
            self.knobs.commits_stuck = not self.knobs.commits_stuck
        if draw() < weather.pause:
            self.clock.now_s += self.random.choice((3.0, 20.0, 200.0))

    def _rewind(self) -> None:
        """Somebody sets the token back to an older one.

        Forward would tell that rows came which never did.
        """
        channel = self.model.channels.get(self.channel)
        if channel is None or channel.committed_token is None:
            return
        install, now = self.spool.install().install_id, channel.committed_token
        tokens = [row.offset_token or "" for row in self.store.rows]
        place = self.books.place_of
        older = [x for x in tokens if place(install, x) < place(install, now)]
        if older:
            token = self.random.choice(older)
            self._trace(f"rewound to {token}")
            self.model.open(self.channel, self.clock.now_s, offset_token=token)

    def _take(self, rows: int) -> None:
        """The collector stores rows."""
        made = []
        for _ in range(rows):
            self.taken += 1
            row: dict[str, object] = {
                "taken_at": self.clock.realtime_ns() // 1000,
                "boottime_ns": self.taken,
                "clock_synced": int(self.clock.synced),
            }
            if self.random.random() < self.weather.poison:
                row["quality"] = self.random.choice(("DOOR", "TABLE"))
            made.append(row)
        self.books.store(self.spool.append(made))

    def _collector(self) -> None:
        """The collector copies events, honours requests and trims."""
        state = self.ledger.state
        if state.install_id != self.spool.install().install_id:
            return
        for name, _kind in state.events:
            if name not in self.spool.state.events:
                self.taken += 1
                row = {"taken_at": 1, "boottime_ns": self.taken, "kind": "event"}
                self.books.store([self.spool.copy_event(name, row)])
        self._honour(state.requests)
        if state.progress.acknowledged is not None:
            self._trim(state.progress.acknowledged)

    def _honour(self, requests: tuple[tuple[str, str], ...]) -> None:
        for name, kind in requests:
            if name in self.spool.state.honoured:
                continue
            self._trace(f"asked for {kind}")
            self.watcher.counts[kind] += 1
            if kind == "new_epoch":
                self.spool.new_epoch(self._hex(), self.clock.boot, [name])
                continue
            left = self.spool.rows[self.spool.state.low :]
            self.books.aside.update(key_of(row) for row in left)
            self.spool = SimSpool(Install(self._hex().upper(), HARDWARE))
            self._first_boot()
            self.drain = self._new_drain()
            return

    def _trim(self, acknowledged: Acknowledgement) -> None:
        self.auditor.read()
        for row in self.spool.trim(acknowledged):
            if not self.auditor.covered(row):
                raise Broken(
                    f"{key_of(row)} at {row.position} was trimmed, the server never had it"
                )

    def _power_cut(self) -> None:
        """Both processes end; a lying card gives back older files."""
        self._trace("power cut")
        self.watcher.counts["cuts"] += 1
        if self.weather.lie:
            self.books.lose(self.spool.roll_back(self.random.randint(0, self.weather.lie)))
            self.ledger.roll_back(self.random.randint(0, self.weather.lie))
        self.mortality.calls_left = None
        self.clock.now_s += 5.0
        self._boot()
        self.drain = self._new_drain()

    def _restore(self) -> None:
        """An older spool is put back under the running shipper; the collector mints an epoch."""
        self._trace("restored")
        self.watcher.counts["restored"] += 1
        self.books.lose(self.spool.roll_back(self.random.randint(0, self.weather.lie)))
        self.spool.new_epoch(self._hex(), self.clock.boot)

    def _first_boot(self) -> None:
        """An install begins with a first boot and some rows that are on the card for good."""
        self._boot()
        self._take(4)
        self.spool.history.clear()

    def _boot(self) -> None:
        self.clock.boot = self._hex()
        self.spool.new_epoch(self._hex(), self.clock.boot)

    def _new_drain(self) -> Drain:
        world = World(self.spool, self.ledger, self.transport, self.clock, self.watcher, NoLock())
        setup = Setup(
            TARGET,
            Present("ACCOUNT/DB.SCHEMA.T-STREAMING", HARDWARE),
            LIMITS,
            delays(LIMITS),
            60.0,
            self._new_id,
            row_crc,
        )
        drain = Drain(world, setup)
        if self._mistake is not None:
            self._mistake(drain)
        return drain

    def _heal(self) -> None:
        self._trace("healed")
        self.transport.line.quiet()
        self.knobs.commits_stuck = False
        self.knobs.row_rules = self.knobs.refuse_rules = ()
        self.mortality.calls_left = None

    def _home(self) -> bool:
        """Whether all that is stored is acknowledged."""
        newest, found = self.spool.newest(), self.ledger.state.progress.acknowledged
        if newest is None or found is None or self.drain.channel.state != "ready":
            return newest is None
        return (self.spool.lineage().position(found.epoch, found.seq) or START) >= newest

    def _hex(self) -> str:
        return f"{self.random.getrandbits(64):016x}"

    def _new_id(self) -> str:
        return f"id-{next(self._ids)}"
