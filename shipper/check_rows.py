"""``check --send-test N``: event rows on a channel of the check's own, until all are committed."""

import json
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Final

from common import __version__
from common.hardware import read_hardware
from common.sample import Kind
from shipper.backfill.courier import Courier, Headway, Route, done
from shipper.backfill.job_ledger import JobLedger, MemoryFile
from shipper.backfill.jobs import Job
from shipper.backfill.source import Memory
from shipper.backoff import delays
from shipper.check import DEADLINE_S, Check, StageFailed, new_id, pipe_remedy
from shipper.drain import Drain
from shipper.ports import World
from shipper.protocol.errors import NotSent, OutcomeUnknown
from shipper.protocol.limits import Limits
from shipper.protocol.requests import Call, drop_channel

COMMIT_WAIT_S: Final = 90.0
"""Ten times the longest commit that was seen (8.84 s)."""
POLL_S: Final = 1.0
_ROWS_REMEDY: Final = (
    "SELECT * FROM ERROR_TABLE(<table>) shows them; the table must have the columns of setup.sql"
)


@dataclass(slots=True)
class TestRows:
    """A few rows on their way, sent as the rows of a backfill are.

    Attributes:
        check: passed up to the stage pipe.
        count: how many.
    """

    __test__ = False

    check: Check
    count: int
    _progress: Headway = field(default_factory=Headway)
    _file: MemoryFile = field(default_factory=MemoryFile)
    _parts: tuple[World, JobLedger, Drain] | None = None
    _errors_before: int = 0

    def open_and_send(self) -> str:
        """Stage ``channel``: open the check's channel and have the rows accepted."""
        channel = self.check.channel()
        self._forget_former(channel)
        job = Job(0, token_hex(8), "check", "", 1, self.count)
        source = Memory(make_lines(self.check, job.name, self.count))
        courier = Courier(self._route(channel), self._file, job, source, self._progress)
        ledger = JobLedger(self._file, job, _nobody)
        world, drain = courier.start(ledger)
        self._parts = (world, ledger, drain)
        if not self._step(lambda: self._progress.accepted_rows >= self.count):
            reason = self._progress.reason or "no usable answer"
            raise StageFailed("late", f"{channel}: {reason}", "try again; the journal has more")
        self._errors_before = self._file.state.rows_error_base
        return f"{channel} is open, {self.count} rows are accepted"

    def wait(self) -> str:
        """Stage ``commit``: poll until every row is committed, or one is refused."""
        assert self._parts is not None
        world, ledger, _ = self._parts
        clock = self.check.clock
        start_s = clock.monotonic_s()
        ended = self._step(lambda: ledger.refused > 0 or done(world, ledger))
        took_s = clock.monotonic_s() - start_s
        if ledger.refused:
            # The range that is kept is the whole batch; the counters tell how many it was.
            refused = self._file.state.rows_error_base - self._errors_before or ledger.refused
            raise StageFailed(
                "refused", f"{refused} of {self.count} rows were refused by the table: "
                f"{self._file.kept[-1].letter.message}", _ROWS_REMEDY,
            )
        if ended:
            return f"{self.count}/{self.count} rows are committed, after {took_s:.1f} s"
        raise StageFailed(
            "late", f"{self._progress.committed_rows}/{self.count} rows are committed after "
            f"{took_s:.0f} s", "the server is slow, or the pipe drops rows",
        )

    def _step(self, ended: Callable[[], bool]) -> bool:
        """Step until something is so; False: not within the time.

        Raises:
            StageFailed: only a person can mend it.
        """
        assert self._parts is not None
        drain, clock = self._parts[2], self.check.clock
        start_s = clock.monotonic_s()
        while not ended():
            if self._progress.alarms:
                kind, message = self._progress.alarms[0]
                if kind != "rows_rejected":
                    code = message.partition(":")[0]
                    raise StageFailed(kind, message, pipe_remedy(code) or "try again later")
            if clock.monotonic_s() - start_s > COMMIT_WAIT_S:
                return False
            if clock.sleep(min(drain.step(), POLL_S)):
                return False
        return True

    def _route(self, channel: str) -> Route:
        """The pipe, with waits for somebody who looks on."""
        endpoint, clock = self.check.endpoint, self.check.clock
        limits = Limits(
            batch_rows=self.count, interval_s=0.0, poll_s=POLL_S, poll_idle_s=POLL_S,
            spacing_s=POLL_S / 10,
        )
        return Route(
            endpoint.target, channel.removeprefix("TH_"), self.check.transport, clock,
            read_hardware(endpoint.settings.device), limits, delays(limits), new_id,
        )

    def _forget_former(self, channel: str) -> None:
        """Drop what an earlier check left there: its token and counters are of no use here."""
        request = drop_channel(self.check.endpoint.target, channel, Call(new_id()))
        with suppress(NotSent, OutcomeUnknown):
            self.check.transport.send(request, DEADLINE_S)


def make_lines(check: Check, epoch: str, count: int) -> tuple[bytes, ...]:
    """Event rows with a key that no sample ever has: an epoch made for this check alone."""
    clock = check.clock
    hostname = socket.gethostname()
    taken_at = datetime.fromtimestamp(clock.realtime_ns() // 10**9, UTC)
    shared: dict[str, Any] = {
        "device_id": check.endpoint.settings.device.id or hostname, "hostname": hostname,
        "install_id": check.channel().removeprefix("TH_").removesuffix("_CHECK"),
        "epoch": epoch, "boot_id": clock.boot_id(),
        "taken_at": taken_at.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "clock_synced": clock.synchronised(), "boottime_ns": clock.boottime_ns(),
        "kind": Kind.EVENT.value, "in_doubt": False, "collector_version": __version__,
    }
    rows = (
        {**shared, "seq": seq, "detail": {"event": "check", "row": seq, "of": count}}
        for seq in range(1, count + 1)
    )
    return tuple(json.dumps(row).encode() + b"\n" for row in rows)


def _nobody(kind: str, detail: str, realtime_ns: int) -> None:
    """A check tells its result itself."""
