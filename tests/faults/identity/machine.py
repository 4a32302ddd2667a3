"""One device: real files, the collector's spool and the shipper's drain, on a clock moved by hand.

Cards are pulled, copied, rolled back and put into other boards by the tests; the services are the
product's own code and learn of it only by what they find.
"""

import contextlib
import sqlite3
from collections.abc import Callable
from random import Random
from typing import Any, Final

from collector.spool.store import SpoolStore
from collector.spool.upkeep import Upkeep
from common.errors import SpoolError
from common.identity import Hardware
from common.lock import FileLock
from common.ship_state import EXPOSURE_LOCK, Acknowledgement, read_ship_state
from common.spool.row import row_crc
from shipper.backoff import delays
from shipper.drain import Drain, Setup
from shipper.ports import Present, World
from shipper.protocol.limits import Limits
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import HttpRequest, Target
from tests.demo.rows import Row
from tests.emulators.clock import ManualClock
from tests.faults.identity.account import Account
from tests.faults.identity.image import BOTH, SPOOL, Image
from tests.faults.identity.verdict import read_spool
from tests.model.rig import PIPE, Scripted
from tests.model.simulation_device import Watcher
from tests.tools.spools import Device, sample

TARGET_NAME: Final = "ACCOUNT/DB.SCHEMA.T-STREAMING"
LIMITS: Final = Limits(batch_rows=3, interval_s=2.0, batch_bytes_max=65_536)
CARE_S: Final = 5.0
TRIES: Final = 5
"""The collector gives a row that could not be stored again; a test gives up after so many."""


class Network(Scripted):
    """The way to the server, which remembers who asked what."""

    def __init__(self, account: Account, name: str) -> None:
        super().__init__(account.model, account.clock)
        self._account, self._name = account, name

    def send(self, request: HttpRequest, deadline_s: float) -> HttpReply:
        """See ``Transport``."""
        self._account.log.append((self._name, request))
        return super().send(request, deadline_s)


class Machine:
    """A device and its card.

    Attributes:
        device: disk, runtime directory, clock, serial numbers.
        network: its way to the server.
        watcher: the alarms and reopens of all its shippers.
        mistake: planted into each shipper when it starts; negative controls only.
        target: account and pipe that its settings name.
    """

    def __init__(self, account: Account, name: str, hardware: Hardware) -> None:
        self.name = name
        self.device = Device(account.root / name, seed=account.number())
        self.device.hardware = hardware
        self.network = Network(account, name)
        self.watcher = Watcher()
        self.mistake: Callable[[Any], None] = lambda machine: None
        self.target = TARGET_NAME
        self.install_id = ""
        self.told: list[str] = []
        self.drain: Drain | None = None
        self.store: SpoolStore | None = None
        self._account = account
        self._open = contextlib.ExitStack()
        self._step_s = self._care_s = 0.0

    @property
    def shipping(self) -> bool:
        """Whether both its services run."""
        return self.store is not None and self.drain is not None

    @property
    def due_s(self) -> float:
        """When it has something to do again, on the account's clock."""
        times = [self._care_s] if self.store else []
        times += [self._step_s] if self.drain else []
        return min(times, default=float("inf"))

    @property
    def reason(self) -> str:
        """What its shipper waits for."""
        return "" if self.drain is None else f"{self.drain.channel.state} {self.drain.reason}"

    @property
    def home(self) -> bool:
        """Whether the newest row is acknowledged."""
        rows = self.rows()
        return bool(rows) and self.acknowledged() == rows[-1].key[1:]

    def acknowledged(self) -> tuple[str, int] | None:
        """Epoch and seq of the licence to trim."""
        state = read_ship_state(self.device.directory)
        found: Acknowledgement | None = None if state is None else state.acknowledged
        return None if found is None else (found.epoch, found.seq)

    def start(self) -> "Machine":
        """Power on, or both services started."""
        self.start_collector()
        self.start_shipper()
        return self

    def start_collector(self) -> None:
        """The collector settles its spool."""
        self.store = self.device.start()
        self._upkeep = Upkeep(self.store)
        self._care_s = self._account.clock.now_s
        self.note()

    def start_shipper(self) -> None:
        """A shipper process."""
        self.stop_shipper()
        directory = self.device.directory
        spool, ledger = self.device.reader(), self.device.ledger()
        for thing in (spool, ledger):
            self._open.callback(thing.close)
        lock = FileLock(directory / EXPOSURE_LOCK)
        world = World(spool, ledger, self.network, self.device.clock, self.watcher, lock)
        setup = Setup(
            Target("ACCOUNT", *PIPE),
            Present(self.target, self.device.hardware),
            LIMITS,
            delays(LIMITS),
            600.0,
            lambda: Random(self._account.number()).randbytes(8).hex(),
            row_crc,
        )
        self.drain = Drain(world, setup)
        self.mistake(self)
        self._step_s = self._account.clock.now_s

    def work(self) -> None:
        """Do what is due now: the shipper's next step, the collector's care."""
        now_s = self._account.clock.now_s
        if self.drain is not None and self._step_s <= now_s:
            self._step_s = now_s + max(self.drain.step(), 0.01)
        if self.store is not None and self._care_s <= now_s:
            self._care_s = now_s + CARE_S
            with contextlib.suppress(SpoolError):
                self._upkeep.run()
            self.note()

    def take(self, count: int) -> None:
        """Take samples and store them; what could not be stored is given again."""
        assert self.store is not None, "the collector does not run"
        rows = [sample(self._account.number()) for _ in range(count)]
        for last in range(TRIES):
            try:
                self.store.append(rows)
                break
            except SpoolError:
                if last == TRIES - 1:
                    raise
        self.note()

    def rows(self) -> list[Row]:
        """What its spool holds now."""
        return read_spool(self.device.directory / SPOOL)

    def note(self) -> None:
        """Tell the books what the spool holds, and remember whose it is."""
        self._account.books.note(self.rows())
        if self.store is not None:
            self.install_id = self.store.install.install_id
            self.told += [told.name for told in self.store.happenings()]

    def stop_shipper(self) -> None:
        """End the shipper."""
        self._open.close()
        self.drain = None

    def stop(self) -> None:
        """Both services stop cleanly."""
        self.stop_shipper()
        if self.store is not None:
            self.store.close()
        self.store = None

    def kill(self) -> None:
        """Both services die; what was committed stays, nobody could tidy up."""
        left = self.image()
        self.stop()
        left.put(self.device.directory, BOTH, in_place=True)

    def power_cycle(self, hardware: Hardware | None = None) -> None:
        """The power goes and comes back: another boot, perhaps in another board or on a new card.

        The wall clock goes on: the network brings it, and nothing here rests on it.
        """
        if self.store is not None:
            self.kill()
        realtime_ns = self.device.clock.realtime_ns()
        self.device.reboot()
        boot_id = self.device.clock.boot_id()
        self.device.clock = ManualClock(realtime_ns=realtime_ns, boot_id=boot_id)
        self.device.hardware = hardware or self.device.hardware

    def image(self) -> Image:
        """What is on the card now."""
        return Image.of(self.device.directory)

    def restore(
        self, image: Image, databases: tuple[str, ...] = BOTH, *, in_place: bool = False
    ) -> None:
        """Put files back, as an operator does or a lying card; the books are told what went."""
        before = self.rows()
        image.put(self.device.directory, databases, in_place=in_place)
        self._account.books.take_back(before, self.rows())

    def roll_back(self, image: Image, databases: tuple[str, ...] = BOTH) -> None:
        """A power cut, after which the card has forgotten what it had promised to keep."""
        self.power_cycle()
        self.restore(image, databases, in_place=True)

    def bump(self, database: str, version: int) -> None:
        """Make a stopped file look as if a program of that version had made it."""
        path = self.device.directory / database
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {version}")

    def wipe(self) -> None:
        """A freshly written card: neither file is there."""
        self.restore(Image({}))

