"""One device, one server, one clock: the product's own parts from spool to wire, hours in seconds.

Real here: collector's spool and its upkeep, ``ship.db``, drain, protocol, sign-in, transport, wire,
metrics, log and status line. The server is the emulator's service behind its fault menu.
"""

import io
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from collector.spool.options import Limits as SpoolLimits
from collector.spool.upkeep import Upkeep
from common.identity import Position
from common.lock import FileLock
from common.logs import Log
from common.redaction import Redactor
from common.settings import SnowflakeSettings
from common.ship_state import EXPOSURE_LOCK
from shipper.drain import LOOK_S
from shipper.protocol.limits import Limits
from tests.emulators.ingest.auth import Gate, Policy
from tests.emulators.ingest.clock import ServerClock
from tests.emulators.ingest.exchange import Exchange
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.service import Service
from tests.emulators.ingest.store import MemoryStore
from tests.faults.server.line import Killed, Line
from tests.faults.server.shipper import CLOCK_WAIT_S, Shipper, Surroundings
from tests.model.simulation_books import Books, Key, key_of
from tests.model.simulation_verdict import Auditor
from tests.tools.spools import Device, sample

ACCOUNT_HOST: Final = "myorg-acc1.snowflakecomputing.com"
INGEST_HOST: Final = "ab12345.ingest.eu.snowflakecomputing.com"
HOUR_S: Final = 3600.0
DAY_S: Final = 86_400.0
SMALL: Final = Limits(batch_rows=5, interval_s=5.0, batch_bytes_max=8192)
ROOMY: Final = SpoolLimits(cap_bytes=256 << 20, free_reserve_bytes=0, retain_rows=5000)

Spoil = Callable[[Shipper], None]
"""Plants a mistake into a process that was just made."""


def honest(_: Shipper) -> None:
    """Plant nothing."""


class VirtualServerClock(ServerClock):
    """The server's clock, on the test's time; the device's wall clock does not matter to it."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self._clock = device.clock
        self._base_s = device.clock.realtime_ns() / 1e9 - device.clock.monotonic_s()

    def now_s(self) -> float:
        """Seconds since 1970."""
        return self._base_s + self._clock.monotonic_s()


@dataclass(frozen=True, slots=True)
class Setting:
    """How a bench is made.

    Attributes:
        limits: of the protocol.
        sample_s: the sampling grid; 0: rows come only by ``take``.
        commit_s: from the 200 to the commit.
        policy: who may sign in.
        key_file: the private key to sign in with; ``None``: an access token.
        care_s: how often the collector looks after its spool.
        spoil: a planted mistake.
        seed: of everything that is drawn.
    """

    limits: Limits = SMALL
    sample_s: float = 5.0
    commit_s: float = 5.0
    policy: Policy = field(default_factory=Policy)
    key_file: Path | None = None
    care_s: float = 10.0
    spoil: Spoil = honest
    seed: int = 0


class Bench:
    """See the module.

    Attributes:
        said: every status line, reason and alarm since ``forget``.
        slowest_s: longest step.
        steps_at_once: most steps without time passing.
        kills: of the shipper.
    """

    def __init__(self, root: Path, ca_file: Path, setting: Setting) -> None:
        self.setting = setting
        self.root = root
        random.seed(setting.seed)  # tenacity draws its jitter from the module's generator.
        self.device = Device(root, limits=ROOMY)
        self.clock = self.device.clock
        self.table = MemoryStore()
        self.model = IngestModel(self.table, Knobs(commit_delay_s=setting.commit_s), setting.seed)
        self.server_clock = VirtualServerClock(self.device)
        gate = Gate(setting.policy)
        self.service = Service(self.model, gate, self.server_clock, INGEST_HOST)
        self.exchange = Exchange(self.service, setting.seed, self.clock.advance)
        self.line = Line(self.clock, self.exchange, self.server_clock.shown_s)
        self.books = Books()
        self.auditor = Auditor(self.table, self.books, CLOCK_WAIT_S)
        self.said: set[str] = set()
        self.slowest_s = 0.0
        self.steps_at_once = self.kills = self._at_once = 0
        self._ca_file = ca_file
        self._log = io.StringIO()
        self._taken = 0
        self._sample_s = setting.sample_s
        self._keys: list[Key] = []
        self._witnessed: Position | None = None
        self._acknowledged = 0
        self.store = self.device.start()
        self._upkeep = Upkeep(self.store)
        self._witness = self.device.reader()
        if setting.sample_s:
            self.clock.at(setting.sample_s, self._tick)
        self.clock.at(setting.care_s, self._care)
        self.shipper = self._begin()

    def close(self) -> None:
        """Everything ends."""
        self.shipper.close()
        self._witness.close()
        self.store.close()

    def take(self, rows: int) -> None:
        """Store rows now."""
        now_s = self.clock.monotonic_s()
        made = [
            sample(
                self._taken + i, taken_at=self.clock.realtime_ns() // 1000,
                boottime_ns=int(now_s * 1e9) + i,
            )
            for i in range(rows)
        ]
        self._taken += rows
        self.store.append(made)
        self.witness()

    def witness(self) -> None:
        """Write down what the spool has, before anybody trims it."""
        while rows := self._witness.read_after(self._witnessed, 500):
            self.books.store(rows)
            self._keys += [key_of(row) for row in rows]
            self._witnessed = rows[-1].position

    def step(self, coarse_s: float = 0.0) -> None:
        """One step of the shipper and the wait that it asks for.

        Args:
            coarse_s: least length of a wait, as on a machine that wakes up late.
        """
        start_s = self.clock.monotonic_s()
        try:
            wait_s = self.shipper.step()
        except Killed:
            self.kill()
            wait_s = 1.0
        took_s = self.clock.monotonic_s() - start_s
        self.slowest_s = max(self.slowest_s, took_s)
        self.said |= self.shipper.says()
        self._check_acknowledged()
        # A wait between two requests stays what it is, or a poll would be due every time.
        wait_s = max(wait_s, coarse_s) if wait_s >= LOOK_S else wait_s
        self._at_once = 0 if took_s + wait_s > 0 else self._at_once + 1
        self.steps_at_once = max(self.steps_at_once, self._at_once)
        if wait_s > 0:
            self.clock.sleep(wait_s)

    def run(self, seconds: float, coarse_s: float = 0.0) -> None:
        """Let it work for so long."""
        until_s = self.clock.monotonic_s() + seconds
        while self.clock.monotonic_s() < until_s:
            self.step(coarse_s)

    def until(self, done: Callable[[], bool], seconds: float = 1800.0) -> bool:
        """Let it work until something is so; whether it was, within that time."""
        until_s = self.clock.monotonic_s() + seconds
        while not done():
            if self.clock.monotonic_s() > until_s:
                return False
            self.step()
        return True

    def home(self) -> bool:
        """Whether everything stored is acknowledged."""
        return self._acknowledged == self.store.last_seq

    def hush(self) -> None:
        """No more samples."""
        self._sample_s = 0.0

    def add(self, *specs: str) -> None:
        """Add faults of the menu."""
        self.exchange.add(";".join(specs))

    def heal(self) -> None:
        """All faults off, the network mended."""
        self.exchange.heal()
        self.line.troubles.clear()
        self.line.dies_in = None
        self.line.idle_s = None

    def kill(self) -> None:
        """The shipper dies here and is started anew."""
        self.kills += 1
        self.shipper.close()
        self.shipper = self._begin()

    def forget(self) -> None:
        """From now on only what is said from now on counts."""
        self.said.clear()

    @property
    def log(self) -> str:
        """Everything that was logged."""
        return self._log.getvalue()

    def _begin(self) -> Shipper:
        table = SnowflakeSettings(
            account="myorg-acc1", user="pi", database="DB", schema="S", pipe="P",
            ca_file=self._ca_file, private_key_file=self.setting.key_file,
            pat_file=self._pat_file() if self.setting.key_file is None else None,
        )
        log = Log("thermal-shipper", stream=self._log, redactor=Redactor())
        around = Surroundings(self.device, self.line, table, log, self.setting.limits)
        begun = Shipper(around, FileLock(self.device.directory / EXPOSURE_LOCK))
        self.setting.spoil(begun)
        return begun

    def _pat_file(self) -> Path:
        path = self.root / "pat"
        if not path.exists():
            path.write_text("pat-of-the-bench")
            path.chmod(0o600)
        return path

    def _tick(self) -> None:
        if self._sample_s:
            self.take(1)
            self.clock.at(self._sample_s, self._tick)

    def _care(self) -> None:
        self._upkeep.run()
        self.witness()
        self.exchange.tick()
        self.clock.at(self.setting.care_s, self._care)

    def _check_acknowledged(self) -> None:
        """Whether every row behind the acknowledgement is in the table, the moment it is stored."""
        done = self.shipper.acknowledged()
        if done <= self._acknowledged:
            self._acknowledged = done
            return
        self.witness()
        self.auditor.read()
        for key in self._keys[self._acknowledged : done]:
            found = self.auditor.deliveries.get(key)
            assert found is not None, f"{key} was acknowledged, and is not in the table"
        self._acknowledged = done


@contextmanager
def bench(root: Path, ca_file: Path, setting: Setting | None = None) -> Iterator[Bench]:
    """A bench that is closed whatever happens."""
    made = Bench(root, ca_file, setting or Setting())
    try:
        yield made
    finally:
        made.close()
