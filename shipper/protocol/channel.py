"""The channel's machine.

1. Every state change is a row of ``TRANSITIONS``; an event without a row is a bug.
2. This file knows no HTTP, no SQLite and no clock.

One request is in flight at a time. A batch is frozen with its token and id: HELD means that every
try of it was certainly not applied, UNRESOLVED that one of them may have been. Out of UNRESOLVED
there are two ways only, the same bytes again or an open, so rows are never re-cut under a token
that may be consumed (rule 9).
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from shipper.protocol.batch import Batch
from shipper.protocol.errors import LocalProtocolError, RemoteProtocolError
from shipper.protocol.events import (
    Abandoned,
    ChannelLost,
    ChannelOpened,
    ChannelStatus,
    Declined,
    Event,
    Misconfigured,
    Moved,
    OpenSent,
    Refused,
    Resumed,
    RowsAccepted,
    RowsSent,
    StatusReported,
    StatusSent,
    Throttled,
    Unauthorized,
    UncommittedRows,
    Unresolved,
    Unsent,
)
from shipper.protocol.marks import Marks
from shipper.protocol.window import Window


class State(StrEnum):
    """Where the channel stands."""

    CLOSED = "closed"
    WATCHING = "watching"
    OPENING = "opening"
    RECONCILING = "reconciling"
    READY = "ready"
    SENDING = "sending"
    HELD = "held"
    UNRESOLVED = "unresolved"
    RESENDING = "resending"
    POLLING = "polling"
    FAULTED = "faulted"


_S = State
TRANSITIONS: Final[dict[State, dict[type[Event], State]]] = {
    _S.CLOSED: {OpenSent: _S.OPENING, StatusSent: _S.WATCHING},
    # The answers to a poll of a channel that is not ours just now.
    _S.WATCHING: {
        StatusReported: _S.CLOSED,
        ChannelLost: _S.CLOSED,
        Throttled: _S.CLOSED,
        Unsent: _S.CLOSED,
        Unresolved: _S.CLOSED,
        Unauthorized: _S.CLOSED,
        Moved: _S.CLOSED,
        Misconfigured: _S.FAULTED,
    },
    _S.OPENING: {
        ChannelOpened: _S.RECONCILING,
        UncommittedRows: _S.CLOSED,
        Throttled: _S.CLOSED,
        Unsent: _S.CLOSED,
        Unresolved: _S.CLOSED,
        Unauthorized: _S.CLOSED,
        ChannelLost: _S.CLOSED,
        Moved: _S.CLOSED,
        Misconfigured: _S.FAULTED,
        Refused: _S.FAULTED,
    },
    _S.RECONCILING: {Resumed: _S.READY, Declined: _S.FAULTED, Abandoned: _S.CLOSED},
    _S.READY: {RowsSent: _S.SENDING, StatusSent: _S.POLLING, Abandoned: _S.CLOSED},
    _S.SENDING: {
        RowsAccepted: _S.READY,
        Refused: _S.READY,
        Throttled: _S.HELD,
        Unsent: _S.HELD,
        Unauthorized: _S.HELD,
        Unresolved: _S.UNRESOLVED,
        ChannelLost: _S.CLOSED,
        Moved: _S.CLOSED,
        Misconfigured: _S.FAULTED,
    },
    _S.HELD: {RowsSent: _S.SENDING, Abandoned: _S.CLOSED},
    _S.UNRESOLVED: {RowsSent: _S.RESENDING, Abandoned: _S.CLOSED},
    _S.RESENDING: {
        RowsAccepted: _S.READY,
        Throttled: _S.UNRESOLVED,
        Unsent: _S.UNRESOLVED,
        Unauthorized: _S.UNRESOLVED,
        Unresolved: _S.UNRESOLVED,
        Refused: _S.CLOSED,
        ChannelLost: _S.CLOSED,
        Moved: _S.CLOSED,
        Misconfigured: _S.FAULTED,
    },
    _S.POLLING: {
        StatusReported: _S.READY,
        Throttled: _S.READY,
        Unsent: _S.READY,
        Unresolved: _S.READY,
        Unauthorized: _S.READY,
        ChannelLost: _S.CLOSED,
        Moved: _S.CLOSED,
        Misconfigured: _S.FAULTED,
        Refused: _S.FAULTED,
    },
    _S.FAULTED: {OpenSent: _S.OPENING},
}

SESSIONLESS: Final = frozenset({_S.CLOSED, _S.WATCHING, _S.OPENING, _S.FAULTED})
"""States without a continuation token."""
_KEEPS_BATCH: Final = frozenset({_S.SENDING, _S.HELD, _S.UNRESOLVED, _S.RESENDING})


@dataclass(slots=True)
class _Session:
    """What one open gave; gone with the session."""

    continuation: str
    created_on_ms: int
    window: Window | None = None
    marks: Marks | None = None


class Channel:
    """One channel of ours: its state, and its session while there is one."""

    def __init__(self) -> None:
        self.state = State.CLOSED
        self.batch: Batch | None = None
        self.tries = 0
        self._session: _Session | None = None

    @property
    def continuation(self) -> str:
        """The token that the next append must carry."""
        return self._open_session().continuation

    @property
    def window(self) -> Window:
        """The batches of this session."""
        window = self._open_session().window
        if window is None:
            raise LocalProtocolError("the open is not reconciled yet")
        return window

    @property
    def marks(self) -> Marks:
        """The watermarks of this session."""
        marks = self._open_session().marks
        if marks is None:
            raise LocalProtocolError("the open is not reconciled yet")
        return marks

    def process(self, event: Event) -> None:
        """Apply an event.

        Raises:
            LocalProtocolError: the table has no row for it, or a watermark of ours is impossible.
            RemoteProtocolError: the server broke a promise; the channel is FAULTED.
        """
        following = TRANSITIONS[self.state].get(type(event))
        if following is None:
            raise LocalProtocolError(f"{type(event).__name__} in state {self.state}")
        try:
            self._apply(event)
        except RemoteProtocolError:
            self._enter(State.FAULTED)
            raise
        self._enter(following)

    def exposed(self, marks: Marks) -> None:
        """Take the watermarks after ``exposed`` (and with it ``stored``) was stored anew."""
        if marks.committed != self.marks.committed or marks.accepted != self.marks.accepted:
            raise LocalProtocolError("only exposed and stored move before a send")
        self._open_session().marks = marks

    def acknowledged(self) -> None:
        """Committed is stored as acknowledged now."""
        session = self._open_session()
        session.marks = replace(self.marks, acknowledged=self.marks.committed)

    def lost_by(self, status: ChannelStatus) -> str:
        """Why this status means that our channel is gone, or "" when it is still ours."""
        session = self._session
        if session is None or session.window is None:
            return ""
        if status.created_on_ms != session.created_on_ms:
            return "channel_recreated"
        if status.committed is None and session.window.token is not None:
            return "token_gone"
        return ""

    def _apply(self, event: Event) -> None:
        match event:
            case ChannelOpened(continuation, status):
                self._session = _Session(continuation, status.created_on_ms)
            case Resumed(window, marks):
                if not marks.committed == marks.accepted == window.committed:
                    raise LocalProtocolError(f"resumed at {window.committed} with {marks}")
                self._open_session().window, self._open_session().marks = window, marks
            case RowsSent(batch):
                self._send(batch)
            case RowsAccepted(continuation):
                self._accept(continuation)
            case StatusReported(status) if self.state is State.POLLING:
                self._commit(status)
            case _:
                pass

    def _send(self, batch: Batch) -> None:
        if self.batch is not None and batch is not self.batch:
            raise LocalProtocolError("another batch while one is not resolved")
        if batch.first <= self.marks.accepted:
            raise LocalProtocolError(f"batch begins at {batch.first}, not after what is accepted")
        if batch.last > self.marks.exposed:
            raise LocalProtocolError(
                f"batch ends at {batch.last}, beyond what is stored as exposed"
            )
        self.tries = self.tries + 1 if batch is self.batch else 1
        self.batch = batch

    def _accept(self, continuation: str) -> None:
        batch = self.batch
        if batch is None:
            raise LocalProtocolError("rows accepted, but none were sent")
        session = self._open_session()
        session.continuation = continuation
        session.marks = replace(self.marks, accepted=batch.last)
        self.window.accepted(batch)

    def _commit(self, status: ChannelStatus) -> None:
        self.window.commit(status.committed)
        self._open_session().marks = replace(self.marks, committed=self.window.committed)

    def _enter(self, state: State) -> None:
        self.state = state
        if state not in _KEEPS_BATCH and state is not State.POLLING:
            self.batch, self.tries = None, 0
        if state in SESSIONLESS:
            self._session = None

    def _open_session(self) -> _Session:
        if self._session is None:
            raise LocalProtocolError(f"no session in state {self.state}")
        return self._session
