"""The live stream over an emulated server that refuses rows: the real drain, moved by hand."""

import json
from collections.abc import Callable
from random import Random
from typing import Any

from shipper.drain import Drain
from shipper.protocol.limits import Limits
from shipper.protocol.requests import Operation
from tests.emulators.ingest.answers import Append
from tests.emulators.ingest.channel import Channel
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.rows import Poison, parse
from tests.faults.poison.verdict import Key, Tally, judge
from tests.model.rig import EPOCHS, Options, Rig
from tests.model.simulation_device import Watcher
from tests.model.simulation_spool import Killed

DOOR, LATE, GONE = "DOOR", "LATE", "GONE"
AT_THE_DOOR = Poison("quality", DOOR)
AFTERWARDS = Poison("quality", LATE)

Mistake = Callable[["Live"], None]


class Filtering(IngestModel):
    """A pipe with a WHERE clause: rows that do not match vanish, and no counter tells of them.

    Attributes:
        vanishing: the quality of those rows.
    """

    vanishing = GONE

    def _buffer(self, channel: Channel, request: Append, now_s: float) -> None:
        rows = request.body.splitlines()
        kept = [text for text in rows if (parse(text) or {}).get("quality") != self.vanishing]
        body = b"\n".join(kept)
        filtered = Append(
            request.name, request.continuation_token, body, request.start_token,
            request.end_token, request.request_id, request.wire,
        )
        super()._buffer(channel, filtered, now_s)


class Hearing(Watcher):
    """Remembers the text of each kind of alarm."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: dict[str, str] = {}

    def alarm(self, kind: str, message: str) -> None:
        """See ``Observer``."""
        super().alarm(kind, message)
        self.texts[kind] = message


class Live(Rig):
    """A rig that remembers what was stored, and whose process can be killed.

    Args:
        limits: the numbers of the protocol.
        seed: of mishaps.
        mistake: planted into each process; ``None``: the real one.
    """

    def __init__(
        self, limits: Limits | None = None, seed: int = 0, mistake: Mistake | None = None
    ) -> None:
        self.random = Random(seed)
        self.mistake = mistake
        self.stored: dict[Key, int] = {}
        super().__init__(Options(limits) if limits else None)
        self.pipe = Filtering(self.store, self.knobs, seed)
        self.model = self.transport.model = self.pipe
        self.transport._random = self.random
        self.transport._mortality = self.mortality
        self.knobs.refuse_rules, self.knobs.row_rules = (AT_THE_DOOR,), (AFTERWARDS,)

    def start(self, *, target_name: str | None = None) -> Drain:
        """See ``Rig``."""
        if not isinstance(self.watcher, Hearing):
            self.watcher: Watcher = Hearing()
        drain = super().start(target_name=target_name)
        if self.mistake is not None:
            self.mistake(self)
        return drain

    def store_rows(self, *qualities: str) -> None:
        """Store a row each."""
        for quality in qualities:
            (row,) = self.take(1, quality=quality)
            self.stored[Key(row.origin.epoch, row.seq)] = self.taken

    def next_epoch(self, number: int) -> None:
        """A new boot under the running clock."""
        self.clock.boot = f"{number:02x}" * 16
        self.spool.new_epoch(EPOCHS[number], self.clock.boot)
        self.start()

    def live(self, seconds: float) -> int:
        """Work for so long, starting anew after each kill; returns how many there were."""
        kills, until_s = 0, self.clock.now_s + seconds
        while self.clock.now_s < until_s:
            try:
                self.clock.now_s += max(self.drain.step(), 0.01)
            except Killed:
                kills += 1
                self.mortality.calls_left = None
                self.start()
        return kills

    def table(self) -> list[dict[str, Any]]:
        """Every committed row."""
        return [json.loads(text) for text in self.committed]

    def kinds(self) -> dict[int, str]:
        """Kind of each row of the table, by seq."""
        return {row["seq"]: row["kind"] for row in self.table()}

    def heard(self, kind: str) -> str:
        """The last alarm of a kind."""
        assert isinstance(self.watcher, Hearing)
        return self.watcher.texts[kind]

    def verdict(self) -> Tally:
        """Judge; see ``verdict.judge``."""
        return judge(self.stored, self.table(), self.ledger.state.letters)

    def appends(self) -> int:
        """Requests with rows, so far."""
        return len(self.transport.sent(Operation.APPEND))
