"""One channel: its sequencers, its accepted appends, its totals.

No clock, no storage, no other channels; ``model`` decides, this file remembers.
"""

from collections import deque
from dataclasses import dataclass, field

from tests.emulators.ingest.answers import SUCCESS, ChannelName, ChannelStatus
from tests.emulators.ingest.rows import BadRow


@dataclass(slots=True)
class PendingAppend:
    """An append that was answered with 200 and is not committed.

    Attributes:
        row_sequencer: of the token it consumed.
        rows: good rows, as sent.
        bad: rows that will be counted as errors when it commits.
        end_token: offset token that its commit stores; ``None`` leaves the stored one.
        accepted_at_s: when it was answered.
        commits_at_s: not before then; the commits of a channel keep the order of its appends.
    """

    row_sequencer: int
    rows: tuple[bytes, ...]
    bad: tuple[BadRow, ...]
    end_token: str | None
    accepted_at_s: float
    commits_at_s: float


@dataclass(slots=True)
class Totals:
    """Counters since the creation of the channel; they survive a reopen and a rewind."""

    rows_inserted: int = 0
    rows_parsed: int = 0
    rows_error_count: int = 0
    error_upper_bound: str | None = None
    error_message: str | None = None
    error_at_s: float | None = None
    latency_ms: int | None = None

    def add(self, pending: PendingAppend, at_s: float) -> None:
        """Count one commit."""
        self.rows_inserted += len(pending.rows)
        self.rows_parsed += len(pending.rows) + len(pending.bad)
        self.rows_error_count += len(pending.bad)
        self.latency_ms = int((at_s - pending.accepted_at_s) * 1000)
        if pending.bad:
            self.error_upper_bound = pending.end_token
            self.error_message = pending.bad[-1].message
            self.error_at_s = at_s


@dataclass(slots=True)
class Consumed:
    """What came with a token that is consumed, to tell a retry from a loss.

    Attributes:
        fingerprint: of the bytes and both offset tokens.
        request_id: the first request's.
    """

    fingerprint: bytes
    request_id: str


@dataclass(slots=True)
class Channel:
    """A channel's state.

    Attributes:
        created_on_ms: identity of this life of the name, ms since 1970 on the model's clock.
        client_sequencer: raised at each open; 0 in the first session.
        row_sequencer: of the token that the next append must carry; 1 after each open.
        committed_token: stored offset token.
        code: ``SUCCESS``, or what is wrong with it.
        active_at_s: last ingestion, or creation.
        pending: accepted appends in their order.
        consumed: by row sequencer, of the current session only.
        totals: what the counters say now.
        late: commits that the counters do not show yet: the append, and when it was committed.
    """

    name: ChannelName
    created_on_ms: int
    active_at_s: float
    client_sequencer: int = 0
    row_sequencer: int = 1
    committed_token: str | None = None
    code: str = SUCCESS
    pending: deque[PendingAppend] = field(default_factory=deque)
    consumed: dict[int, Consumed] = field(default_factory=dict)
    totals: Totals = field(default_factory=Totals)
    late: deque[tuple[PendingAppend, float]] = field(default_factory=deque)

    @property
    def token(self) -> str:
        """The continuation token that the next append must carry."""
        return f"{self.client_sequencer}_{self.row_sequencer}"

    def new_session(self) -> None:
        """Fence the former client; what it had accepted is the model's to discard."""
        self.client_sequencer += 1
        self.row_sequencer = 1
        self.consumed.clear()
        self.code = SUCCESS

    def discard_pending(self) -> int:
        """Drop what is not committed; returns the number of rows dropped."""
        dropped = sum(len(append.rows) + len(append.bad) for append in self.pending)
        self.pending.clear()
        return dropped

    def consume(self, consumed: Consumed, kept: int) -> None:
        """Consume the current token; the bytes of the last ``kept`` tokens are remembered."""
        self.consumed[self.row_sequencer] = consumed
        self.consumed.pop(self.row_sequencer - kept, None)
        self.row_sequencer += 1

    def buffer(self, pending: PendingAppend) -> None:
        """Keep an accepted append until its commit."""
        self.pending.append(pending)
        self.active_at_s = pending.accepted_at_s

    def commit_next(self, at_s: float) -> PendingAppend:
        """Commit the oldest accepted append: its token at once, its counters later."""
        pending = self.pending.popleft()
        if pending.end_token is not None:
            self.committed_token = pending.end_token
        self.late.append((pending, at_s))
        return pending

    def show_counters(self, until_s: float) -> None:
        """Let the counters catch up with the commits until then."""
        while self.late and self.late[0][1] <= until_s:
            pending, at_s = self.late.popleft()
            self.totals.add(pending, at_s)

    def status(self, code: str | None = None) -> ChannelStatus:
        """The channel as it is reported.

        Args:
            code: reported instead of the channel's own.
        """
        totals = self.totals
        return ChannelStatus(
            name=self.name,
            code=code or self.code,
            committed_token=self.committed_token,
            created_on_ms=self.created_on_ms,
            rows_inserted=totals.rows_inserted,
            rows_parsed=totals.rows_parsed,
            rows_error_count=totals.rows_error_count,
            last_error_offset_upper_bound=totals.error_upper_bound,
            last_error_message=totals.error_message,
            last_error_timestamp_ms=(
                None if totals.error_at_s is None else int(totals.error_at_s * 1000)
            ),
            latency_ms=totals.latency_ms,
        )
