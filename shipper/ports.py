"""What the drain needs of the world, as protocols: spool, ledger, transport, and those who watch.

``common.spool.reader.SpoolReader``, ``shipper.ledger.Ledger`` and
``shipper.transport.HttpTransport`` are the real ones; the seeded simulation brings its own. The
drain touches disk and network through these alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from common.clock import Clock
from common.identity import Hardware, Install, Lineage, Position
from common.ship_state import Acknowledgement, Mark
from shipper.dead_letters import DeadLetter
from shipper.protocol.payload import Row
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import HttpRequest


class SpoolPort(Protocol):
    """The spool as its reader sees it; every call may raise ``SpoolError``."""

    def install(self) -> Install:
        """Whose spool it is."""

    def lineage(self) -> Lineage:
        """All epochs, with the last seq stored in each."""

    def newest(self) -> Position | None:
        """Position of the newest stored row; ``None``: there is none."""

    def read_after(self, position: Position | None, rows_max: int) -> Sequence[Row]:
        """Up to ``rows_max`` rows of one epoch after a position (``None``: from the oldest)."""

    def count_between(self, after: Position | None, through: Position) -> int:
        """Stored rows with ``after`` < position ≤ ``through``."""

    def boot_offset_ns(self, boot_id: str) -> int | None:
        """Realtime minus boottime of a boot, once its clock was synchronised; ``None``: never."""

    def trimmed(self) -> Acknowledgement | None:
        """The acknowledgement that the last trim used; ``None``: nothing was trimmed."""

    def salvage_pending(self) -> bool:
        """Whether rows of a quarantined spool may still come back.

        Nothing newer is sent meanwhile.
        """

    def copied_events(self) -> Mapping[str, Position]:
        """Ids of our events that are rows now, with their positions."""

    def honoured_requests(self) -> frozenset[str]:
        """Ids of our requests that the collector has fulfilled."""


class ProgressPort(Protocol):
    """``ship.db``'s one row of progress; see ``shipper.progress.Progress``."""

    @property
    def target(self) -> str | None:
        """Account, pipe and channel that the rest belongs to."""

    @property
    def created_on_ms(self) -> int | None:
        """Birth of the channel that the rest belongs to."""

    @property
    def acknowledged(self) -> Acknowledgement | None:
        """The licence to trim."""

    @property
    def exposed(self) -> Mark | None:
        """The newest row that may have left the device."""

    @property
    def rows_inserted_base(self) -> int:
        """The server's counter at ``acknowledged``."""

    @property
    def rows_error_base(self) -> int:
        """Likewise, of rows refused after acceptance."""

    @property
    def in_doubt(self) -> Mark | None:
        """Rows through it are flagged."""


class LettersPort(Protocol):
    """The dead letters; see ``shipper.dead_letters.DeadLetters``."""

    def list(self, after: int = 0, limit: int = 100) -> "list[DeadLetter]":
        """Some of them by number."""


class LedgerPort(Protocol):
    """``ship.db``; what a call writes is durable when it returns, all or nothing.

    The words are those of ``shipper.ledger.Ledger``, which is the one to read.
    """

    @property
    def dead_letters(self) -> LettersPort:
        """What was kept aside."""

    def settle(self, install: Install, realtime_ns: int) -> object:
        """Make the file belong to this install; what belongs to another is set aside (rule 3)."""

    def progress(self) -> ProgressPort:
        """What is stored."""

    def expose(self, epoch: str, seq: int) -> None:
        """Store that rows through here may have left."""

    def acknowledge(
        self,
        acknowledgement: Acknowledgement,
        *,
        rows_inserted: int,
        rows_error: int,
        held: Iterable[DeadLetter] = (),
        in_doubt: Mark | None = None,
    ) -> None:
        """Store the licence to trim, the counters that balance it and the held ranges."""

    def retarget(
        self,
        target: str,
        created_on_ms: int | None,
        in_doubt: Mark | None,
        *,
        rows_inserted: int = 0,
        rows_error: int = 0,
    ) -> None:
        """Store a new or recreated channel, before the first append to it (rules 17 and 18)."""

    def add_dead_letter(self, letter: DeadLetter) -> int:
        """Keep something aside; the same rows in the same form are kept once."""

    def add_event(self, kind: str, detail: str, realtime_ns: int) -> None:
        """Tell the table something (``detail`` is JSON); the collector copies it into the spool."""

    def close_events(self, realtime_ns: int) -> None:
        """Let the coalesced events of earlier days be copied."""

    def drop_copied_events(self, ids: Iterable[str]) -> None:
        """Forget events whose rows are committed."""

    def request(self, kind: str, reason: str) -> str:
        """Ask the collector for "new_epoch" or "new_install"; one open request of a kind."""

    def requests(self) -> tuple[str, ...]:
        """Ids of open requests."""

    def drop_requests(self, ids: Iterable[str]) -> None:
        """Forget requests that were fulfilled."""


class Transport(Protocol):
    """The network, secrets included."""

    def send(self, request: HttpRequest, deadline_s: float) -> HttpReply:
        """Send one request and read its whole answer within a total deadline.

        Raises:
            NotSent: surely not applied.
            OutcomeUnknown: at least one byte left, and no whole answer came.
        """

    def renew(self) -> None:
        """Forget the token, after 401 or 403; the next send signs anew."""

    def rediscover(self) -> None:
        """Forget the ingest host too, after 410 or failures to connect."""


class Observer(Protocol):
    """Those who watch: metrics, ``STATUS=``, the log. No call may raise or wait."""

    def requested(self, operation: str, code: str) -> None:
        """A request ended; ``code`` is the HTTP status or the kind of its failure."""

    def accepted(self, rows: int) -> None:
        """The server buffered that many more rows."""

    def committed(self, rows: int) -> None:
        """That many more rows are committed, and the counters fit."""

    def reopened(self, cause: str) -> None:
        """A session was given up.

        Causes: lost, fenced, stalled, retries, refused, regressed, recreated, moved, other.
        """

    def state(self, name: str, reason: str) -> None:
        """The channel's state, or "waiting" with the reason why nothing is sent.

        Told when it changes.
        """

    def alarm(self, kind: str, message: str) -> None:
        """Something that a person should look at."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside the drain.

    Attributes:
        exposure: the lock around [read rows, store exposed] (rule 20), ``common.ship_state``'s
            ``EXPOSURE_LOCK``; entering it raises ``LockHeld`` while the collector is thinning.
    """

    spool: SpoolPort
    ledger: LedgerPort
    transport: Transport
    clock: Clock
    observer: Observer
    exposure: AbstractContextManager[object]


@dataclass(frozen=True, slots=True)
class Present:
    """What this machine and its settings are.

    Attributes:
        target_name: where rows go, as one text; with the channel it names what progress belongs to.
        hardware: the serial numbers that this process has read itself.
    """

    target_name: str
    hardware: Hardware
