"""Drives one job to its end: the same drain as the service's, until nothing is left to send."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from common.clock import Clock
from common.identity import Hardware
from common.spool.row import row_crc
from shipper.backfill.job_ledger import JobFile, JobLedger, Tell
from shipper.backfill.job_spool import Identity, JobGraves, JobSpool
from shipper.backfill.jobs import Job
from shipper.backfill.source import Source
from shipper.balance import accept, ask, weigh
from shipper.drain import Drain, Setup
from shipper.ports import Present, Transport, World
from shipper.protocol.limits import Limits
from shipper.protocol.pacing import Delays
from shipper.protocol.requests import Target

QUIET_S: Final = 600.0
"""So long without an accepted or committed row, and the command gives up; the job stays."""
UNCLEAN_MAX: Final = 6
"""Refused batches in a row after which the table is taken to be at fault."""
STRIKES_MAX: Final = 1000
"""Single rows refused in a row after which it is; more than live: rows are known to be bad here."""
FAILURES_MAX: Final = 10
"""Failures of a file after which it is not tried again."""
_SLICE_S: Final = 1.0
_PAUSE_S: Final = 0.001
"""Shortest wait: a rest of a nanosecond would be slept for ever on a clock that rounds it away."""
_ENDS: Final = frozenset({"table_fault", "misconfigured", "unauthorized", "token_unreadable"})
"""Alarms after which waiting longer helps nobody who waits for a command."""


class Ending(Enum):
    """How a drive ended."""

    DONE = auto()
    STOPPED = auto()
    """Asked to stop; the job goes on the next time."""
    QUIET = auto()
    """Nothing moved for long."""
    TROUBLE = auto()
    """Only a person can mend it."""
    TABLE_AT_FAULT = auto()
    """The table refuses whatever it is sent."""


@dataclass(frozen=True, slots=True)
class Route:
    """How rows go out.

    Attributes:
        target: the pipe.
        channel: name of the job's channel without ``TH_``; ``{n}`` is the number of the job.
        transport: the network.
        clock: the machine's.
        hardware: of this machine.
        limits: the numbers of the protocol.
        delays: waits between tries.
        new_id: makes request ids.
    """

    target: Target
    channel: str
    transport: Transport
    clock: Clock
    hardware: Hardware
    limits: Limits
    delays: Delays
    new_id: Callable[[], str]


@dataclass(slots=True)
class Headway:
    """``shipper.ports.Observer``: how far it is, for whoever waits.

    Attributes:
        accepted_rows: rows that the server buffered, repeated ones counted again.
        committed_rows: rows committed and counted.
        reason: why nothing is sent just now; "": it is.
        alarms: kinds and texts of what only a person can mend, oldest first.
        changed: told after each change.
    """

    changed: Callable[["Headway"], None] = lambda _: None
    accepted_rows: int = 0
    committed_rows: int = 0
    reason: str = ""
    alarms: list[tuple[str, str]] = field(default_factory=list)

    def requested(self, operation: str, code: str) -> None:
        """See ``Observer``."""

    def accepted(self, rows: int) -> None:
        """See ``Observer``."""
        self.accepted_rows += rows
        self.changed(self)

    def committed(self, rows: int) -> None:
        """See ``Observer``."""
        self.committed_rows += rows
        self.changed(self)

    def reopened(self, cause: str) -> None:
        """See ``Observer``."""

    def state(self, name: str, reason: str) -> None:
        """See ``Observer``."""
        self.reason = reason
        self.changed(self)

    def alarm(self, kind: str, message: str) -> None:
        """See ``Observer``."""
        self.alarms.append((kind, message))


class Courier:
    """One job on its way.

    Args:
        route: how rows go out.
        file: where progress is stored.
        job: which one.
        source: its rows.
        progress: told how far it is.
    """

    def __init__(
        self, route: Route, file: JobFile, job: Job, source: Source, progress: Headway
    ) -> None:
        self.job = job
        self.progress = progress
        self._route = route
        self._file = file
        self._source = source

    def run(self, tell: Tell) -> Ending:
        """Send until all is committed and counted, or it cannot go on.

        Args:
            tell: takes the events of shipping.

        Raises:
            SpoolError: a file cannot be read or written.
        """
        while True:
            ledger = JobLedger(self._file, self.job, tell)
            world, drain = self.start(ledger)
            ending = self._drive(world, ledger, drain)
            kinds = {kind for kind, _ in self.progress.alarms}
            if ending is Ending.TROUBLE and ledger.asked and ledger.progress().exposed is None:
                # Of another job, before ship.db was lost: nothing of this one was ever sent there.
                self.job = self._file.renumber(self.job)
            elif ending is Ending.TROUBLE and "imbalance" in kinds:
                self._accept_imbalance(world)
            else:
                return ending
            self.progress.alarms.clear()

    def start(self, ledger: JobLedger) -> tuple[World, Drain]:
        """A drain for the job, as after the start of a process."""
        route, job = self._route, self.job
        identity = Identity(route.channel.format(n=job.n), route.hardware, route.clock.boot_id())
        spool = JobSpool(job, self._source, identity, self._file.refused(job))
        world = World(
            spool, ledger, route.transport, route.clock, self.progress, nullcontext()
        )
        setup = Setup(
            route.target, Present(str(route.target), route.hardware), route.limits, route.delays,
            0.0, route.new_id, row_crc, lambda port, clock: JobGraves(port, clock, spool),
        )
        return world, Drain(world, setup)

    def _drive(self, world: World, ledger: JobLedger, drain: Drain) -> Ending:
        clock = self._route.clock
        moved_s, before = clock.monotonic_s(), (0, 0)
        while not done(world, ledger):
            wait_s = drain.step()
            now_s = clock.monotonic_s()
            counts = (self.progress.accepted_rows, self.progress.committed_rows)
            if counts != before:
                moved_s, before = now_s, counts
            if (ending := self._ending(ledger, now_s - moved_s)) is not None:
                return ending
            if clock.sleep(min(max(wait_s, _PAUSE_S), _SLICE_S)):
                return Ending.STOPPED
        return Ending.DONE

    def _ending(self, ledger: JobLedger, quiet_s: float) -> Ending | None:
        kinds = {kind for kind, _ in self.progress.alarms}
        if "table_fault" in kinds or ledger.unclean >= UNCLEAN_MAX:
            return Ending.TABLE_AT_FAULT
        failed = sum(kind == "spool_failed" for kind, _ in self.progress.alarms)
        if ledger.asked or "imbalance" in kinds or kinds & _ENDS or failed > FAILURES_MAX:
            return Ending.TROUBLE
        return Ending.QUIET if quiet_s > QUIET_S else None

    def _accept_imbalance(self, world: World) -> None:
        """Rows that the counters do not tell of are kept; a job has their letters anyway."""
        route = self._route
        channel = world.spool.install().channel
        status = ask(route.transport, route.target, channel, route.new_id)
        accept(world, _graves_of(world), weigh(world, status))


def done(world: World, ledger: JobLedger) -> bool:
    """Whether the last row that is to be sent is committed and counted."""
    newest = world.spool.newest()
    return newest is None or ledger.acknowledged >= newest.seq


def _graves_of(world: World) -> JobGraves:
    assert isinstance(world.spool, JobSpool)
    return JobGraves(world.ledger, world.clock, world.spool)
