"""The channel's machine: every event in every state, and what a session refuses to do."""

from dataclasses import replace
from itertools import pairwise

import pytest

from common.identity import Position
from shipper.protocol.batch import Batch
from shipper.protocol.channel import SESSIONLESS, TRANSITIONS, Channel, State
from shipper.protocol.errors import LocalProtocolError, RemoteProtocolError
from shipper.protocol.events import (
    Abandoned,
    ChannelLost,
    ChannelOpened,
    ChannelStatus,
    Declined,
    Event,
    Fault,
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
from shipper.protocol.reconcile import START
from shipper.protocol.window import Counters, Window

BATCH = Batch("e", Position(1, 4), Position(1, 6), 3, 3, b"body", 900, "t4", "t6", "id")
NEXT = replace(BATCH, first=Position(1, 7), last=Position(1, 9), start_token="t7", end_token="t9")
STATUS = ChannelStatus("SUCCESS", "t3", 7, 3, 0)
AT = Position(1, 3)


def resumed(exposed: int = 9) -> Resumed:
    """A session that goes on behind row 3."""
    marks = Marks(AT, AT, AT, Position(1, exposed), Position(1, 9))
    return Resumed(Window("t3", AT, "e", 0, Counters(3, 0)), marks)


PATHS: dict[State, list[Event]] = {
    State.CLOSED: [],
    State.WATCHING: [StatusSent()],
    State.OPENING: [OpenSent()],
    State.RECONCILING: [OpenSent(), ChannelOpened("0_1", STATUS)],
    State.READY: [OpenSent(), ChannelOpened("0_1", STATUS), resumed()],
    State.FAULTED: [OpenSent(), Misconfigured("x")],
}
PATHS[State.POLLING] = [*PATHS[State.READY], StatusSent()]
PATHS[State.SENDING] = [*PATHS[State.READY], RowsSent(BATCH)]
PATHS[State.HELD] = [*PATHS[State.SENDING], Throttled("x")]
PATHS[State.UNRESOLVED] = [*PATHS[State.SENDING], Unresolved("x")]
PATHS[State.RESENDING] = [*PATHS[State.UNRESOLVED], RowsSent(BATCH)]

EVENTS: list[Event] = [
    OpenSent(),
    StatusSent(),
    RowsSent(BATCH),
    Abandoned("x"),
    resumed(),
    Declined("x"),
    ChannelOpened("0_1", STATUS),
    RowsAccepted("0_2"),
    StatusReported(STATUS),
    Throttled("x"),
    Unsent("x"),
    Unresolved("x"),
    Unauthorized("x"),
    UncommittedRows(),
    Refused(Fault.CONTENT, "x"),
    ChannelLost("x"),
    Moved(),
    Misconfigured("x"),
]


def at(state: State) -> Channel:
    """A channel that went there by events."""
    channel = Channel()
    for event in PATHS[state]:
        # A window is the session's own and changes: each path gets a new one.
        channel.process(resumed() if isinstance(event, Resumed) else event)
    assert channel.state is state
    return channel


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: type(e).__name__)
@pytest.mark.parametrize("state", list(State))
def test_every_event_in_every_state(state: State, event: Event) -> None:
    """An event with a row in the table leads to that row's state, any other is a bug of ours."""
    channel = at(state)
    following = TRANSITIONS[state].get(type(event))
    if following is None:
        with pytest.raises(LocalProtocolError, match=f"in state {state}"):
            channel.process(event)
        assert channel.state is state
        return
    channel.process(event)
    assert channel.state is following


def test_the_table_has_a_row_for_every_answer() -> None:
    """Whatever the server says to a request, its state knows what to do."""
    answers = {Throttled, Unsent, Unresolved, Unauthorized, ChannelLost, Moved, Misconfigured}
    for state in (State.WATCHING, State.OPENING, State.SENDING, State.RESENDING, State.POLLING):
        assert answers <= set(TRANSITIONS[state]), state
    assert {Refused, RowsAccepted} <= set(TRANSITIONS[State.SENDING])
    assert {Refused, RowsAccepted} <= set(TRANSITIONS[State.RESENDING])


def test_out_of_unresolved_there_are_two_ways() -> None:
    """Rule 9, as a fact of the table: the same request again, or an open."""
    assert set(TRANSITIONS[State.UNRESOLVED]) == {RowsSent, Abandoned}
    assert TRANSITIONS[State.RESENDING][Refused] is State.CLOSED
    assert TRANSITIONS[State.SENDING][Refused] is State.READY


def test_no_session_outlives_its_states() -> None:
    """A closed or faulted channel holds no continuation token and no batch."""
    for state in SESSIONLESS:
        channel = at(state)
        with pytest.raises(LocalProtocolError):
            _ = channel.continuation
        assert channel.batch is None


@pytest.mark.parametrize("state", [State.HELD, State.UNRESOLVED])
def test_another_batch_cannot_be_sent_while_one_is_open(state: State) -> None:
    """The frozen batch is the very same object on each try, and tries are counted."""
    channel = at(state)
    with pytest.raises(LocalProtocolError, match="another batch"):
        channel.process(RowsSent(replace(BATCH)))
    channel.process(RowsSent(BATCH))
    assert channel.tries == 2


def test_nothing_is_sent_that_is_not_stored_as_exposed() -> None:
    """The batch's end must lie within exposed; a batch behind accepted cannot be sent again."""
    channel = at(State.RECONCILING)
    channel.process(resumed(exposed=5))
    with pytest.raises(LocalProtocolError, match="exposed"):
        channel.process(RowsSent(BATCH))
    channel = at(State.READY)
    with pytest.raises(LocalProtocolError, match="begins"):
        channel.process(RowsSent(replace(BATCH, first=AT)))


def test_accepted_moves_with_a_200_and_committed_only_with_the_token() -> None:
    """A 200 on append is not a commit."""
    channel = at(State.SENDING)
    channel.process(RowsAccepted("0_2"))
    assert (channel.continuation, channel.marks.accepted) == ("0_2", BATCH.last)
    assert channel.marks.committed == AT
    channel.process(StatusSent())
    channel.process(StatusReported(replace(STATUS, committed="t6")))
    assert channel.marks.committed == BATCH.last
    assert channel.marks.acknowledged == AT
    channel.acknowledged()
    assert channel.marks.acknowledged == BATCH.last


@pytest.mark.parametrize("token", ["t2", "t9", "t5", None])
def test_a_committed_token_that_falls_or_jumps_is_a_fault(token: str | None) -> None:
    """Within a session only the ends of accepted batches can become committed."""
    channel = at(State.SENDING)
    channel.process(RowsAccepted("0_2"))
    channel.process(StatusSent())
    channel.process(StatusReported(replace(STATUS, committed="t6")))
    channel.process(StatusSent())
    with pytest.raises(RemoteProtocolError):
        channel.process(StatusReported(replace(STATUS, committed=token)))
    assert channel.state is State.FAULTED


def test_several_batches_may_commit_at_once() -> None:
    """Commits jump over batches, in order."""
    channel = at(State.SENDING)
    channel.process(RowsAccepted("0_2"))
    channel.process(RowsSent(NEXT))
    channel.process(RowsAccepted("0_3"))
    assert channel.window.uncommitted == 2
    channel.process(StatusSent())
    channel.process(StatusReported(replace(STATUS, committed="t9")))
    assert (channel.marks.committed, channel.window.uncommitted) == (NEXT.last, 0)
    assert (channel.window.batches, channel.window.rows_committed) == (2, 6)


def test_a_recreated_channel_is_a_lost_channel() -> None:
    """Another birth date, or a token that is gone, in the status of the session's channel."""
    channel = at(State.POLLING)
    assert channel.lost_by(STATUS) == ""
    assert channel.lost_by(replace(STATUS, created_on_ms=8)) == "channel_recreated"
    assert channel.lost_by(replace(STATUS, committed=None)) == "token_gone"
    assert at(State.WATCHING).lost_by(replace(STATUS, created_on_ms=8)) == ""


def test_watermarks_keep_their_order() -> None:
    """acknowledged ≤ committed ≤ accepted ≤ exposed ≤ stored.

    Every swap of neighbours is refused.
    """
    places = [Position(1, n) for n in range(1, 6)]
    Marks(*places)
    for low, high in pairwise(range(5)):
        swapped = list(places)
        swapped[low], swapped[high] = swapped[high], swapped[low]
        with pytest.raises(LocalProtocolError):
            Marks(*swapped)


def test_exposed_may_move_and_nothing_else_with_it() -> None:
    """Before a send only exposed and stored change; a session begins at the server's place."""
    channel = at(State.READY)
    channel.exposed(replace(channel.marks, exposed=Position(1, 9), stored=Position(2, 1)))
    with pytest.raises(LocalProtocolError):
        channel.exposed(replace(channel.marks, accepted=Position(1, 9)))
    with pytest.raises(LocalProtocolError):
        at(State.RECONCILING).process(
            Resumed(Window(None, START, "", 0, Counters(0, 0)), resumed().marks)
        )
    with pytest.raises(LocalProtocolError):
        _ = at(State.RECONCILING).window
    with pytest.raises(LocalProtocolError):
        _ = at(State.RECONCILING).marks
