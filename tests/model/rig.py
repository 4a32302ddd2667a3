"""One device and one server in memory, moved by hand: for histories that a test writes."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from common.columns import Scalar
from common.identity import Hardware, Install, Position
from common.spool.row import StoredRow, row_crc
from shipper.drain import Drain, Setup
from shipper.ports import Present, World
from shipper.protocol.limits import Limits
from shipper.protocol.pacing import Delays
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import HttpRequest, Operation, Target
from tests.emulators.ingest.answers import ChannelName, Pipe
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.store import MemoryStore
from tests.model.simulation_device import NoLock, SimClock, Watcher
from tests.model.simulation_ledger import SimLedger
from tests.model.simulation_server import SimTransport
from tests.model.simulation_spool import Mortality, SimSpool

HARDWARE = Hardware("board", "card")
INSTALL = Install("0123456789ABCDEF", HARDWARE)
PIPE = Pipe("DB", "SCHEMA", "T-STREAMING")
LIVE = ChannelName(PIPE, INSTALL.channel)
EPOCHS = tuple(f"{n:016x}" for n in range(0xE0, 0xF0))


class Scripted(SimTransport):
    """A transport whose next answers can be written down.

    Attributes:
        script: what the next request of an operation meets: an exception to raise or a reply to
            give instead of applying it, or a function of the request.
        after: likewise, after it was applied.
        log: every request.
    """

    def __init__(self, model: IngestModel, clock: SimClock) -> None:
        super().__init__(model, Random(0), Mortality(), lambda: clock.now_s)
        self.script: dict[Operation, deque[Exception | HttpReply]] = {o: deque() for o in Operation}
        self.after: dict[Operation, deque[Exception | HttpReply]] = {o: deque() for o in Operation}
        self.log: list[HttpRequest] = []
        self.renewed = self.rediscovered = 0

    def renew(self) -> None:
        """Count."""
        self.renewed += 1

    def rediscover(self) -> None:
        """Count."""
        self.rediscovered += 1

    def send(self, request: HttpRequest, deadline_s: float) -> HttpReply:
        """See ``Transport``."""
        self.log.append(request)
        for script, applied in ((self.script, False), (self.after, True)):
            waiting = script[request.operation]
            if waiting:
                found = waiting.popleft()
                if applied:
                    super().send(request, deadline_s)
                if isinstance(found, Exception):
                    raise found
                return found
        return super().send(request, deadline_s)

    def sent(self, operation: Operation) -> list[HttpRequest]:
        """The requests of one operation."""
        return [request for request in self.log if request.operation is operation]


SMALL = Limits(batch_rows=3, interval_s=2.0, batch_bytes_max=65_536)


@dataclass(frozen=True, slots=True)
class Options:
    """How a rig is set up."""

    limits: Limits = SMALL
    clock_wait_s: float = 600.0
    target_name: str = "ACCOUNT/DB.SCHEMA.T-STREAMING"


class Rig:
    """The device, the server, and the drain between them."""

    def __init__(self, options: Options | None = None) -> None:
        self.options = options or Options()
        self.clock = SimClock()
        self.clock.boot = "b0" * 16
        self.spool = SimSpool(INSTALL)
        self.spool.new_epoch(EPOCHS[0], self.clock.boot)
        self.mortality = Mortality()
        self.ledger = SimLedger(self.mortality)
        self.store = MemoryStore()
        self.knobs = Knobs(commit_delay_s=5.0)
        self.model = IngestModel(self.store, self.knobs, 0)
        self.transport = Scripted(self.model, self.clock)
        self.watcher = Watcher()
        self.taken = self.ids = 0
        self.drain = self.start()

    def start(self, *, target_name: str | None = None) -> Drain:
        """A new process; the old one is forgotten."""
        world = World(self.spool, self.ledger, self.transport, self.clock, self.watcher, NoLock())
        present = Present(target_name or self.options.target_name, HARDWARE)
        setup = Setup(
            Target("ACCOUNT", *PIPE),
            present,
            self.options.limits,
            Delays(lambda n: float(min(2**n, 60)), lambda n: 15.0 * 2 ** min(n - 1, 6)),
            self.options.clock_wait_s,
            self._new_id,
            row_crc,
        )
        self.drain = Drain(world, setup)
        return self.drain

    def boot(self, number: int) -> None:
        """A power cut and a new boot, with its epoch; the shipper is started anew."""
        self.clock.boot = f"{number:02x}" * 16
        self.spool.new_epoch(EPOCHS[number], self.clock.boot)
        self.start()

    def take(self, rows: int, **columns: Scalar) -> list[StoredRow]:
        """Store rows."""
        made = []
        for _ in range(rows):
            self.taken += 1
            made.append(
                {"taken_at": self.clock.realtime_ns() // 1000, "boottime_ns": self.taken, **columns}
            )
        return self.spool.append(made)

    def run(self, seconds: float) -> None:
        """Let the drain work for so long."""
        until_s = self.clock.now_s + seconds
        while self.clock.now_s < until_s:
            self.clock.now_s += max(self.drain.step(), 0.01)

    def until(self, done: Callable[[], bool], seconds: float = 600.0) -> None:
        """Let the drain work until something is so.

        Raises:
            AssertionError: it never was, within that time.
        """
        until_s = self.clock.now_s + seconds
        while not done():
            assert self.clock.now_s < until_s, f"not within {seconds} s: {self.drain.channel.state}"
            self.clock.now_s += max(self.drain.step(), 0.01)

    def home(self) -> bool:
        """Whether the newest row is acknowledged."""
        return self.acknowledged() == self.spool.newest()

    def acknowledged(self) -> Position | None:
        """The licence to trim, as a place."""
        found = self.ledger.state.progress.acknowledged
        return None if found is None else self.spool.lineage().position(found.epoch, found.seq)

    @property
    def committed(self) -> list[str]:
        """The table's rows, as text."""
        self.model.advance(self.clock.now_s)
        return [row.row for row in self.store.rows]

    def _new_id(self) -> str:
        self.ids += 1
        return f"id-{self.ids}"
