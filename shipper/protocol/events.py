"""What can happen to a channel: the inputs of its machine, all frozen values.

``*Sent`` events are ours, the others come out of the table of replies (``replies``), so nothing but
a fact ever moves the machine.
"""

from dataclasses import dataclass
from enum import StrEnum

from shipper.protocol.batch import Batch
from shipper.protocol.marks import Marks
from shipper.protocol.window import Window


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """What the server says of a channel, in an open answer or a status poll.

    Attributes:
        code: "SUCCESS" when healthy ("ACTIVE" and "0" are taken for it).
        committed: ``last_committed_offset_token``; ``None``: nothing was ever committed.
        created_on_ms: birth of this channel; another value means another channel of the same name.
        rows_inserted: rows committed since then.
        rows_error: rows refused after acceptance since then.
        last_error: redacted text of the newest row error; empty: none.
        error_upper_bound: end token of the batch of the newest row error, or ``None``.
    """

    code: str
    committed: str | None
    created_on_ms: int
    rows_inserted: int
    rows_error: int
    last_error: str = ""
    error_upper_bound: str | None = None

    @property
    def healthy(self) -> bool:
        """Whether rows that are sent can be committed."""
        return self.code in {"SUCCESS", "ACTIVE", "0"}


class Event:
    """Base of all events; never made itself."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class OpenSent(Event):
    """An open request is about to leave."""


@dataclass(frozen=True, slots=True)
class StatusSent(Event):
    """A status poll is about to leave."""


@dataclass(frozen=True, slots=True)
class RowsSent(Event):
    """A batch, whose last row is stored as exposed, is about to leave."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class Abandoned(Event):
    """We give the session up (no commits, too many tries, bytes must change).

    The next step is an open.
    """

    cause: str


@dataclass(frozen=True, slots=True)
class Resumed(Event):
    """The open was reconciled and what must be durable is.

    Rows after the window's committed may be sent.

    Attributes:
        window: begins at the server's place.
        marks: the other watermarks.
    """

    window: Window
    marks: Marks


@dataclass(frozen=True, slots=True)
class Declined(Event):
    """The open was reconciled: nothing may be sent until somebody else did something."""

    reason: str


@dataclass(frozen=True, slots=True)
class ChannelOpened(Event):
    """The channel is ours: older sequencers are fenced.

    What they had not committed is discarded.
    """

    continuation: str
    status: ChannelStatus


@dataclass(frozen=True, slots=True)
class RowsAccepted(Event):
    """2xx on an append: buffered on the server, not durable."""

    continuation: str


@dataclass(frozen=True, slots=True)
class StatusReported(Event):
    """A healthy channel's status."""

    status: ChannelStatus


@dataclass(frozen=True, slots=True)
class Throttled(Event):
    """Try later; certainly not applied (429).

    Attributes:
        retry_after_s: the server's wish; ``None``: none given.
    """

    code: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unsent(Event):
    """Certainly nothing reached the server.

    Attributes:
        retry_after_s: the wish of a server that refused to sign us in; ``None``: none given.
    """

    kind: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unresolved(Event):
    """The request may or may not have been applied (timeout, reset, 408, 499, 5xx.

    An answer that is none).

    Attributes:
        retry_after_s: the server's wish; ``None``: none given.
    """

    kind: str
    retry_after_s: float | None = None


@dataclass(frozen=True, slots=True)
class Unauthorized(Event):
    """401 or 403: certainly not applied; a new token may help."""

    code: str


@dataclass(frozen=True, slots=True)
class UncommittedRows(Event):
    """409 on an open that asked not to discard.

    Rows of an older sequencer are still on their way.
    """


class Fault(StrEnum):
    """Why the server refuses a batch for what is in it."""

    TOO_LARGE = "too_large"
    CONTENT = "content"


@dataclass(frozen=True, slots=True)
class Refused(Event):
    """Certainly not taken, and never will be as it is (413, or 400 on content)."""

    fault: Fault
    code: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class ChannelLost(Event):
    """The continuation token is stale or the answer does not fit.

    Only an open can tell what is committed.

    Attributes:
        code: the server's code, or a name of ours in lower case.
        fenced: whether somebody's open raised the sequencer (STALE): perhaps another writer.
    """

    code: str
    fenced: bool = False


@dataclass(frozen=True, slots=True)
class Moved(Event):
    """410: the pipe failed over; host, token and channel are to be found anew."""


@dataclass(frozen=True, slots=True)
class Misconfigured(Event):
    """Only a person can mend it: no such pipe, no right to it, wrong kind of pipe.

    It is tried again slowly, with an alarm.
    """

    code: str
    message: str = ""
