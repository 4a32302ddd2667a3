"""What is asked of the server's model and what it answers: names and values, no behaviour."""

from dataclasses import dataclass
from typing import Final, NamedTuple

SUCCESS: Final = "SUCCESS"
"""Status of a healthy channel; the documentation's sample says ACTIVE, live clients see this."""

STALE: Final = "STALE_CONTINUATION_TOKEN_SEQUENCER"
STALE_MESSAGE: Final = (
    "Channel sequencer in the continuation token is stale. Please reopen the channel"
)
UNCOMMITTED: Final = "ERR_CHANNEL_HAS_UNCOMMITTED_DATA"
MUST_BE_REOPENED: Final = "ERR_CHANNEL_MUST_BE_REOPENED"
BAD_CLIENT_SEQUENCER: Final = "ERR_CHANNEL_HAS_INVALID_CLIENT_SEQUENCER"
BAD_ROW_SEQUENCER: Final = "ERR_CHANNEL_HAS_INVALID_ROW_SEQUENCER"
NO_CHANNEL_APPEND: Final = "ERR_CHANNEL_DOES_NOT_EXIST_OR_IS_NOT_AUTHORIZED"
NO_CHANNEL: Final = "ERR_CHANNEL_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"
NO_PIPE: Final = "ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED"
INVALID_PIPE: Final = "ERR_PIPE_IN_INVALID_STATE"
BAD_CONTENT: Final = "ERR_INVALID_ROW"


class Pipe(NamedTuple):
    """A pipe's full name, as the client spelt it."""

    database: str
    schema: str
    name: str

    def __str__(self) -> str:
        """Dotted, for people."""
        return ".".join(self)


class ChannelName(NamedTuple):
    """A channel's full name; two names are one channel only if they are spelt alike."""

    pipe: Pipe
    channel: str


class Refused(Exception):
    """The server certainly did not do what was asked.

    Attributes:
        status: HTTP status.
        code: Snowflake's error code.
        message: its text; may be empty.
    """

    def __init__(self, status: int, code: str, message: str = "") -> None:
        """Keep the three parts of an error body."""
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Append:
    """One append request.

    Attributes:
        name: the channel.
        continuation_token: as presented; empty or ``None`` when the client sent none.
        body: NDJSON, not compressed.
        start_token: offset token of the first row, or ``None``.
        end_token: offset token of the last row; ``None`` or empty leaves the stored token alone.
        request_id: the client's ``requestId``; only compared, to tell how a retry was made.
        wire: the body as it came over the wire; empty: the same as ``body``. Whether a repeated
            request has "the same bytes" is judged by this.
    """

    name: ChannelName
    continuation_token: str | None
    body: bytes
    start_token: str | None = None
    end_token: str | None = None
    request_id: str = ""
    wire: bytes = b""


@dataclass(frozen=True, slots=True)
class Appended:
    """An append that was answered with 200.

    Attributes:
        next_continuation_token: for the next append.
        buffered: whether the rows were taken; ``False``: a consumed token, the rows were ignored.
    """

    next_continuation_token: str
    buffered: bool


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """One channel as open and bulk status report it; counters are totals since its creation."""

    name: ChannelName
    code: str
    committed_token: str | None
    created_on_ms: int
    rows_inserted: int
    rows_parsed: int
    rows_error_count: int
    last_error_offset_upper_bound: str | None
    last_error_message: str | None
    last_error_timestamp_ms: int | None
    latency_ms: int | None


@dataclass(frozen=True, slots=True)
class Opened:
    """An answered open.

    Attributes:
        next_continuation_token: the first token of the new session.
        status: the channel as it is now; its code may be an error although the answer is 200.
    """

    next_continuation_token: str
    status: ChannelStatus
