"""The table of cases: what an open decides from the server's token."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from common.identity import Epoch, Lineage, Position
from shipper.protocol.reconcile import START, Case, Incident, Known, reconcile
from shipper.protocol.token import OffsetToken

A, B, C, LOST, OTHER = (letter * 16 for letter in "abc01")
LINEAGE = Lineage(
    (Epoch(1, A, None, "1", 1, 10), Epoch(2, B, A, "2", 11, 20), Epoch(3, C, B, "3", 21, 30))
)
KNOWN = Known(LINEAGE, Position(2, 15), Position(3, 25), Position(3, 30))


def token(epoch: str, seq: int, *ancestors: str) -> str:
    """A token's text."""
    return str(OffsetToken(epoch, ancestors, seq))


def test_r0_first_open_begins_with_the_oldest_row() -> None:
    """No token and no acknowledgement: everything is sent, nothing is in doubt."""
    fresh = replace(KNOWN, acknowledged=START, exposed=None)
    found = reconcile(None, fresh)
    assert (found.case, found.cursor, found.in_doubt) == (Case.FIRST, START, START)
    assert found.may_send
    assert not found.incidents


def test_r0_exposed_rows_are_not_in_doubt_on_the_same_channel() -> None:
    """The channel is the one that we know and has no token: nothing was ever committed."""
    assert reconcile(None, replace(KNOWN, acknowledged=START)).in_doubt == START


def test_r0_exposed_rows_are_in_doubt_on_a_recreated_channel() -> None:
    """Another birth date, and rows had left before anything was acknowledged.

    Flag what is stored.
    """
    found = reconcile(None, replace(KNOWN, acknowledged=START, recreated=True))
    assert (found.cursor, found.in_doubt) == (START, KNOWN.newest)
    assert Incident.CHANNEL_RECREATED in found.incidents


def test_r0_prime_forgotten_goes_on_behind_the_acknowledgement() -> None:
    """The server forgot us: go on behind the acknowledgement, all that is stored flagged."""
    found = reconcile(None, KNOWN)
    assert (found.case, found.cursor, found.in_doubt) == (
        Case.FORGOTTEN,
        KNOWN.acknowledged,
        KNOWN.newest,
    )
    assert found.incidents == (Incident.CHANNEL_LOST,)


def test_r1_normal_goes_on_behind_the_token() -> None:
    """The token is ours and between acknowledged and the end: go on there."""
    found = reconcile(token(C, 25, B, A), KNOWN)
    assert (found.case, found.cursor, found.explained) == (Case.NORMAL, Position(3, 25), True)
    assert not found.incidents


def test_r1_a_known_token_wins_over_a_new_birth_date() -> None:
    """Rule 17: what the lineage explains is true; what follows, and the counters, are in doubt."""
    found = reconcile(token(C, 25, B, A), replace(KNOWN, recreated=True))
    assert (found.cursor, found.in_doubt, found.explained) == (Position(3, 25), KNOWN.newest, False)


def test_r2_regression_goes_back_to_the_token() -> None:
    """The server fell behind: what is left is sent again, flagged, with an alarm."""
    found = reconcile(token(A, 8), KNOWN)
    assert (found.case, found.cursor, found.in_doubt) == (
        Case.REGRESSED,
        Position(1, 8),
        KNOWN.newest,
    )
    assert found.incidents == (Incident.SERVER_REGRESSION,)


def test_r3_lost_tail_goes_on_behind_the_end_of_the_epoch() -> None:
    """An ended epoch lost rows that the server has: the next epoch follows all the same."""
    found = reconcile(token(B, 27, A), KNOWN)
    assert (found.case, found.cursor) == (Case.TAIL_LOST, Position(2, 20))
    assert found.may_send
    assert not found.explained


def test_r3_lost_tail_of_the_running_epoch_asks_for_a_new_one() -> None:
    """Numbers that the server knows would be given out again.

    Silence until the epoch is another.
    """
    found = reconcile(token(C, 31, B, A), KNOWN)
    assert (found.request, found.may_send) == ("new_epoch", False)


def test_an_acknowledgement_beyond_the_running_epoch_asks_for_a_new_one() -> None:
    """The same is seen in our own files, whatever the server says."""
    for beyond in (
        replace(KNOWN, exposed=Position(3, 31)),
        replace(KNOWN, acknowledged=Position(3, 31), exposed=Position(3, 31)),
    ):
        assert reconcile(token(B, 20, A), beyond).request == "new_epoch"


def test_r4_lost_boots_go_on_behind_the_nearest_known_ancestor() -> None:
    """Whole boots are gone here and safe there: the nearest ancestor that we know tells where."""
    lineage = Lineage((LINEAGE.epochs[0], LINEAGE.epochs[1], Epoch(3, C, B, "3", 16, 18)))
    known = Known(lineage, Position(1, 4), Position(1, 9), Position(3, 18))
    found = reconcile(token(LOST, 40, OTHER, B, A), known)
    assert (found.case, found.cursor) == (Case.BOOTS_LOST, lineage.epochs[1].end)
    assert found.incidents == (Incident.BOOTS_LOST,)


def test_r4_whose_ancestor_still_runs_asks_for_a_new_epoch() -> None:
    """Rows stored since the loss cannot be told from those before: the epoch must end first."""
    assert reconcile(token(LOST, 40, C, B), KNOWN).request == "new_epoch"


def test_r5_unexplained_is_never_adopted() -> None:
    """Neither the epoch nor an ancestor is ours: a new install, nothing sent."""
    found = reconcile(token(LOST, 5, OTHER), KNOWN)
    assert (found.case, found.request, found.may_send) == (Case.UNEXPLAINED, "new_install", False)
    assert found.incidents == (Incident.IDENTITY_CONFLICT,)


def test_r6_unreadable_stops() -> None:
    """A token of another grammar or version is not guessed at."""
    found = reconcile("v2|whatever", KNOWN)
    assert (found.case, found.may_send, found.request) == (Case.UNREADABLE, False, "")


def test_a_new_target_is_an_event_and_no_regression() -> None:
    """Rule 17: rows that the old target has are not sent to the new one, nor is any in doubt."""
    changed = replace(KNOWN, new_target=True)
    for server in (None, token(A, 8)):
        found = reconcile(server, changed)
        assert (found.cursor, found.in_doubt) == (KNOWN.acknowledged, START)
        assert found.incidents == (Incident.TARGET_CHANGED,)


def test_equal_numbers_of_two_epochs_are_told_apart() -> None:
    """Rule 4: 18 of the lost history covers nothing of ours, though our numbers went past it."""
    lineage = Lineage((Epoch(1, A, None, "1", 1, 10), Epoch(2, C, A, "3", 11, 30)))
    known = Known(lineage, Position(1, 5), Position(1, 10), Position(2, 30))
    assert reconcile(token(LOST, 18, A), known).cursor == Position(1, 10)


PLACES = st.tuples(st.integers(1, 3), st.integers(0, 9)).map(
    lambda p: Position(p[0], 10 * (p[0] - 1) + 1 + p[1])
)
TOKENS = st.builds(
    OffsetToken,
    st.sampled_from([A, B, C, LOST, OTHER]),
    st.lists(st.sampled_from([A, B, LOST]), max_size=4).map(tuple),
    st.integers(1, 45),
)


@given(st.none() | TOKENS, PLACES, PLACES, st.booleans(), st.booleans())
def test_nothing_that_the_server_lacks_is_skipped(
    server: OffsetToken | None,
    acknowledged: Position,
    exposed: Position,
    recreated: bool,
    new: bool,
) -> None:
    """The cursor never passes both the acknowledgement and what the token proves."""
    known = Known(
        LINEAGE, acknowledged, max(acknowledged, exposed), Position(3, 30), recreated, new
    )
    found = reconcile(None if server is None else str(server), known)
    if not found.may_send:
        return
    proven = START
    if server is not None:
        epoch = LINEAGE.find(server.epoch) or next(
            (e for e in map(LINEAGE.find, server.ancestors) if e is not None), None
        )
        assert epoch is not None, "sent on although nothing explains the token"
        proven = min(epoch.end, Position(epoch.order, server.seq))
        if epoch.epoch != server.epoch:
            proven = epoch.end
    assert found.cursor <= max(acknowledged, proven)
    assert found.cursor <= known.newest
