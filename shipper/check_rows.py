"""``check --send-test N``: event rows on a channel of the check's own, until all are committed."""

import gzip
import json
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any, Final

from common import __version__
from common.clock import Clock
from common.identity import Position
from common.sample import Kind
from shipper.check import DEADLINE_S, Check, StageFailed, new_id, pipe_failure
from shipper.protocol.batch import Batch
from shipper.protocol.errors import OutcomeUnknown
from shipper.protocol.events import ChannelOpened, ChannelStatus, RowsAccepted, StatusReported
from shipper.protocol.replies import decode_append, decode_open, decode_status
from shipper.protocol.requests import Call, append_rows, channel_status, open_channel
from shipper.protocol.token import OffsetToken

COMMIT_WAIT_S: Final = 90.0
"""Ten times the longest commit that was seen (8.84 s)."""
POLL_S: Final = 1.0
TRIES: Final = 3
_ROWS_REMEDY: Final = (
    "SELECT * FROM ERROR_TABLE(<table>) shows them; the table must have the columns of setup.sql"
)


@dataclass(slots=True)
class TestRows:
    """A few rows on their way.

    Attributes:
        check: passed up to the stage pipe.
        count: how many.
        committed: how many are.
    """

    __test__ = False

    check: Check
    count: int
    committed: int = 0
    _opened: ChannelOpened | None = None
    _batch: Batch | None = None

    def open_and_send(self) -> str:
        """Stage ``channel``: open the check's channel and have the rows accepted."""
        target, channel = self.check.endpoint.target, self.check.channel()
        reply = self.check.transport.send(
            open_channel(target, channel, Call(new_id()), fail_on_uncommitted=False), DEADLINE_S
        )
        opened = decode_open(reply)
        if not isinstance(opened, ChannelOpened):
            raise pipe_failure(reply)
        batch = make_batch(self.check, self.count)
        self._opened, self._batch = opened, batch
        for attempt in range(TRIES):
            # The same bytes under the same token: the server takes them once.
            request = append_rows(target, channel, batch, opened.continuation, attempt)
            try:
                reply = self.check.transport.send(request, DEADLINE_S)
                break
            except OutcomeUnknown:
                if attempt + 1 == TRIES:
                    raise
        if not isinstance(decode_append(reply, opened.continuation), RowsAccepted):
            raise pipe_failure(reply)
        return f"{channel} is open, {self.count} rows are accepted"

    def wait(self, clock: Clock) -> str:
        """Stage ``commit``: poll until every row is committed, or one is refused."""
        assert self._opened is not None
        assert self._batch is not None
        start_s = clock.monotonic_s()
        before = self._opened.status
        while clock.monotonic_s() - start_s < COMMIT_WAIT_S:
            status = self._poll()
            if status is not None:
                inserted = status.rows_inserted - before.rows_inserted
                self.committed = max(0, min(self.count, inserted))
                refused = status.rows_error - before.rows_error
                if refused > 0:
                    raise StageFailed(
                        "refused", f"{refused} of {self.count} rows were refused by the table: "
                        f"{status.last_error}", _ROWS_REMEDY,
                    )
                if status.committed == self._batch.end_token and self.committed == self.count:
                    took_s = clock.monotonic_s() - start_s
                    return f"{self.count}/{self.count} rows are committed, after {took_s:.1f} s"
            if clock.sleep(POLL_S):
                break
        raise StageFailed(
            "late", f"{self.committed}/{self.count} rows are committed after "
            f"{clock.monotonic_s() - start_s:.0f} s", "the server is slow, or the pipe drops rows",
        )

    def _poll(self) -> ChannelStatus | None:
        """The channel's status; ``None`` when no usable answer came this time."""
        channel = self.check.channel()
        request = channel_status(self.check.endpoint.target, channel, Call(new_id()))
        try:
            event = decode_status(self.check.transport.send(request, DEADLINE_S), channel)
        except OutcomeUnknown:
            return None
        return event.status if isinstance(event, StatusReported) else None


def make_batch(check: Check, count: int) -> Batch:
    """Event rows with a key that no sample ever has: an epoch made for this check alone."""
    clock = check.clock
    epoch = token_hex(8)
    settings = check.endpoint.settings
    hostname = socket.gethostname()
    taken_at = datetime.fromtimestamp(clock.realtime_ns() // 10**9, UTC)
    shared: dict[str, Any] = {
        "device_id": settings.device.id or hostname, "hostname": hostname,
        "install_id": check.channel().removeprefix("TH_").removesuffix("_CHECK"),
        "epoch": epoch, "boot_id": clock.boot_id(),
        "taken_at": taken_at.strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
        "clock_synced": clock.synchronised(), "boottime_ns": clock.boottime_ns(),
        "kind": Kind.EVENT.value, "in_doubt": False, "collector_version": __version__,
    }
    lines = [
        json.dumps({**shared, "seq": seq, "detail": {"event": "check", "row": seq, "of": count}})
        for seq in range(1, count + 1)
    ]
    raw = ("\n".join(lines) + "\n").encode()
    return Batch(
        epoch=epoch, first=Position(1, 1), last=Position(1, count), rows=count, samples=0,
        body=gzip.compress(raw, mtime=0), raw_bytes=len(raw),
        start_token=str(OffsetToken(epoch, (), 1)), end_token=str(OffsetToken(epoch, (), count)),
        request_id=new_id(),
    )
