"""A card restored to another one: a new install, and a spool of the old one set aside."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from random import Random

from common.identity import Hardware
from common.settings import Settings, SpoolSettings
from common.ship_state import Acknowledgement
from common.spool.row import INDEX
from shipper.backfill.adopt import Adopted, Result, begin, go, inspect, source_of
from shipper.backfill.aside import NOTE_FILE
from shipper.backfill.courier import Ending, Headway, Route
from shipper.operate import Desk
from shipper.protocol.limits import Limits
from shipper.protocol.pacing import Delays
from shipper.protocol.requests import Target
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.store import MemoryStore
from tests.faults.poison.mortal import mortal_ledger
from tests.faults.poison.verdict import Key
from tests.model.simulation_server import SimTransport
from tests.model.simulation_spool import Killed, Mortality
from tests.tools.spools import Device, close_opened, drain, opened, sample

TARGET = Target("ACCOUNT", "DB", "SCHEMA", "T-STREAMING")
LIMITS = Limits(batch_rows=4, interval_s=0.0, batch_bytes_max=2048, strikes_max=1000)
ROWS, ACKNOWLEDGED = 60, 25
STARTS_MAX = 100


class Inherited:
    """A device with something aside, and the operator who adopts it.

    Args:
        root: an empty directory.
        seed: of ids and mishaps.
        bad: qualities of rows, by their number from 1; the others are VALID.
        spoil: plants a mistake into each process; ``None``: the real one.
    """

    def __init__(
        self, root: Path, seed: int = 0, bad: dict[int, str] | None = None,
        spoil: Callable[[Desk], None] | None = None,
    ) -> None:
        self.device = Device(root, seed)
        self.random = Random(seed)
        self.stored: dict[Key, int] = {}
        self.kills = 0
        self._ids = itertools.count()
        self._spoil = spoil
        self.mortality = Mortality()
        self.store = MemoryStore()
        self.model = IngestModel(self.store, Knobs(commit_delay_s=5.0), seed)
        self.transport = SimTransport(self.model, self.random, self.mortality, self._now_s)
        self._old_life(bad or {})
        self.name = next((self.device.directory / "aside").glob("*-*/spool.db")).parent.name

    @property
    def path(self) -> Path:
        """The spool that was set aside."""
        return self.device.directory / "aside" / self.name / "spool.db"

    def run(self, *, again: bool = False) -> Result:
        """The command, again and again until it comes to its end."""
        for _ in range(STARTS_MAX):
            try:
                result = self._command(again=again)
            except Killed:
                self.kills += 1
                self.mortality.calls_left = None
                continue
            except Adopted:
                if not self.kills or again:
                    raise
                # Killed behind the end of the job: the next command only leaves the note.
                assert (self.path.parent / NOTE_FILE).exists()
                return Result(Ending.DONE)
            if result.ending in (Ending.DONE, Ending.TABLE_AT_FAULT):
                return result
        raise AssertionError(f"no end after {STARTS_MAX} starts")

    def before_start(self) -> None:
        """Decide the fate of the next process; a test may put its own here."""

    def desk(self) -> Desk:
        """The shipper's place, in a new process."""
        close_opened()
        device = self.device
        ledger = mortal_ledger(device.directory, self.mortality)
        spool = opened(device.reader())
        ledger.settle(spool.install(), device.clock.realtime_ns())
        settings = Settings(
            source=device.directory, spool=replace(SpoolSettings(), directory=device.directory)
        )
        at = Desk(settings, ledger, spool, spool.install(), device.clock)
        if self._spoil is not None:
            self._spoil(at)
        return at

    def _now_s(self) -> float:
        """The server's clock; each boot has one of its own."""
        return self.device.clock.monotonic_s()

    def _command(self, *, again: bool) -> Result:
        at = self.desk()
        self.before_start()
        found, job = inspect(at, self.name, again=again)
        job = job or begin(at, found)
        route = Route(
            TARGET, f"{at.install.install_id}_BACKFILL_{{n}}", self.transport, self.device.clock,
            self.device.hardware, LIMITS, Delays(lambda n: float(min(2**n, 30)), lambda n: 15.0),
            lambda: f"id-{next(self._ids)}",
        )
        with source_of(at, job) as source:
            return go(at, job, source, route, Headway())

    def _old_life(self, bad: dict[int, str]) -> None:
        """Two epochs, the first rows acknowledged; then the content is put on another card."""
        device = self.device
        half = ROWS // 2
        for first in (0, half):
            with device.start() as spool:
                rows = [
                    sample(i, quality=bad.get(i + 1, "VALID")) for i in range(first, first + half)
                ]
                spool.append(rows)
                if first == 0:
                    epoch = spool.epoch
            device.reboot()
        with device.reader() as reader:
            found = drain(reader)
            install = reader.install()
        for row in found:
            boottime = row.values[INDEX["boottime_ns"]]
            assert isinstance(boottime, int)
            self.stored[Key(row.origin.epoch, row.seq)] = boottime
        with device.ledger() as ledger:
            ledger.settle(install, device.clock.realtime_ns())
            ledger.acknowledge(
                Acknowledgement("t", epoch, ACKNOWLEDGED), rows_inserted=ACKNOWLEDGED, rows_error=0
            )
        self.acknowledged = {key for key in self.stored if key.seq <= ACKNOWLEDGED}
        device.hardware = Hardware("board-1", "card-2")
        device.start().close()
        with device.reader() as reader, device.ledger() as ledger:
            ledger.settle(reader.install(), device.clock.realtime_ns())
