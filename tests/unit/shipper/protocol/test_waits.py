"""The waits and plans of the protocol: opening, pacing, cutting, the window."""

from dataclasses import replace

import pytest

from shipper.protocol.cutting import Cutting, Verdict
from shipper.protocol.events import (
    ChannelLost,
    Misconfigured,
    Moved,
    Throttled,
    Unauthorized,
    Unresolved,
    Unsent,
)
from shipper.protocol.limits import Limits
from shipper.protocol.opening import Approach, OpenPlan
from shipper.protocol.pacing import Delays, Pacing
from tests.unit.shipper.protocol.waits import BATCH, LIMITS, ROW, pacing, window


def test_an_open_asks_before_it_insists() -> None:
    """Rule 11: ask, on 409 watch until the token stood still for 15 s, then insist for good."""
    plan = OpenPlan(LIMITS)
    assert plan.approach(0) is Approach.ASK
    plan.uncommitted(0)
    assert plan.approach(0) is Approach.WATCH
    plan.watched("t1", 1)
    plan.watched("t2", 9)
    assert plan.approach(23.9) is Approach.WATCH
    assert plan.approach(24) is Approach.INSIST
    plan.watched("t3", 25)
    assert plan.approach(25) is Approach.INSIST
    plan.reset()
    assert plan.approach(26) is Approach.ASK


def test_an_open_does_not_wait_for_ever() -> None:
    """Rule 11: a token that goes on moving, or polls that fail, end the wait after 120 s."""
    plan = OpenPlan(LIMITS)
    plan.uncommitted(0)
    for second in range(1, 120):
        plan.watched(f"t{second}", second)
        plan.uncommitted(second)
        assert plan.approach(second) is Approach.WATCH
    assert plan.approach(120) is Approach.INSIST


def test_a_lost_channel_is_not_watched() -> None:
    """Nothing of it will be committed any more."""
    plan = OpenPlan(LIMITS)
    plan.uncommitted(0)
    plan.lost()
    assert plan.approach(1) is Approach.INSIST


@pytest.mark.parametrize("event", [Unresolved("x"), Unsent("x"), Throttled("x")])
def test_failures_wait_longer_and_success_ends_it(event: Unresolved | Unsent | Throttled) -> None:
    """Waits double while requests fail in a row."""
    paced = pacing()
    paced.failed(event, 0)
    assert paced.wait_s(0) == 2
    paced.failed(event, 10)
    assert paced.wait_s(10) == 4
    paced.answered()
    paced.failed(event, 100)
    assert paced.wait_s(100) == 2


def test_the_wish_of_the_server_wins() -> None:
    """Retry-After replaces the schedule, with a tenth of jitter against a fleet at once."""
    paced = pacing()
    paced.failed(Throttled("x", 30.0), 0)
    assert 30 <= paced.wait_s(0) <= 33
    paced = pacing()
    paced.failed(Unresolved("x", 900.0), 0)
    assert 900 <= paced.wait_s(0) <= 990


def test_the_first_denial_costs_no_wait() -> None:
    """401: a new token and the same request at once; then slow, for ever."""
    paced = pacing()
    paced.failed(Unauthorized("x"), 0)
    assert paced.wait_s(0) == 0
    paced.failed(Unauthorized("x"), 0)
    assert paced.wait_s(0) == 100
    paced.failed(Unauthorized("x"), 1000)
    assert paced.wait_s(1000) == 200


def test_what_a_person_must_mend_is_tried_slowly() -> None:
    """A missing pipe is asked for again and again, at growing distances."""
    paced = pacing()
    paced.failed(Misconfigured("x"), 0)
    assert (paced.wait_s(0), paced.reason) == (100, "x")
    paced.failed(Misconfigured("x"), 500)
    assert paced.wait_s(500) == 200


def test_the_first_reopen_comes_at_once_and_a_second_waits() -> None:
    """A lost channel is opened again at once; without a commit between, later.

    Negative: a commit between makes the next one a first one again.
    """
    paced = pacing()
    paced.failed(ChannelLost("x"), 0)
    assert paced.wait_s(0) == 0
    paced.failed(Moved(), 1)
    assert paced.wait_s(1) == 2
    paced.progressed(50)
    paced.failed(ChannelLost("x"), 60)
    assert paced.wait_s(60) == 0


def test_a_second_stale_without_an_open_of_ours_holds_off() -> None:
    """§7 rule 2: another writer is there; coming back sooner than its commits would starve both."""
    paced = pacing()
    paced.failed(ChannelLost("STALE", fenced=True), 0)
    assert paced.wait_s(0) == 0
    paced.failed(ChannelLost("STALE", fenced=True), 10)
    assert paced.wait_s(10) == 100
    paced.failed(ChannelLost("STALE", fenced=True), 200)
    assert paced.wait_s(200) == 200


def test_slow_start_lets_one_batch_through_until_one_is_clean() -> None:
    """Rule 13: one at a time after an open and after a row error.

    A clean one of this session ends it.
    """
    paced, sent = pacing(), window()
    paced.opened(0)
    assert paced.append_wait_s(sent, 0) == 0
    sent.accepted(BATCH)
    assert paced.append_wait_s(sent, 0) is None
    paced.settled(clean=True, proven=False, now_s=5)
    assert paced.append_wait_s(sent, 5) is None
    paced.settled(clean=True, proven=True, now_s=6)
    assert paced.append_wait_s(sent, 6) == 0
    paced.settled(clean=False, proven=True, now_s=7)
    assert paced.append_wait_s(sent, 7) is None
    assert paced.append_wait_s(window(), 7) == 2
    paced.settled(clean=False, proven=True, now_s=20)
    assert paced.append_wait_s(window(), 20) == 4


def test_the_window_has_a_bound_in_bytes() -> None:
    """Rule 13: an eighth of the spool's cap may be under way, and always one batch."""
    paced = Pacing(replace(LIMITS, window_bytes=5000), Delays(float, float))
    paced.slow_start = False
    sent = window()
    sent.accepted(BATCH)
    assert sent.spool_bytes == 3000
    assert paced.append_wait_s(sent, 0) == 0
    sent.accepted(replace(BATCH, end_token="t9"))
    assert paced.append_wait_s(sent, 0) is None


def test_a_commit_stall_is_seen_after_two_minutes() -> None:
    """Rule 12: 120 s without a commit while rows are uncommitted.

    Three in a row mean a slow retry.
    """
    paced, sent = pacing(), window()
    paced.opened(0)
    assert not paced.stalled(sent, 500)
    sent.accepted(BATCH)
    paced.appended(sent, 500)
    assert not paced.stalled(sent, 619)
    assert paced.stalled(sent, 620)
    assert [paced.commit_stall(620) for _ in range(3)] == [False, False, True]
    assert paced.wait_s(620) == 300
    paced.progressed(1000)
    assert not paced.commit_stall(1000)


def test_polls_are_quick_while_rows_wait_and_rare_when_idle() -> None:
    """1 s and 30 s; a batch that is accepted calls for a poll soon."""
    paced, sent = pacing(), window()
    paced.polled(waiting=False, now_s=0)
    assert paced.poll_due_s(0) == 30
    sent.accepted(BATCH)
    paced.appended(sent, 5)
    assert paced.poll_due_s(5) == 1
    paced.polled(waiting=True, now_s=6)
    assert paced.poll_due_s(6) == 1


def test_requests_keep_their_distance() -> None:
    """Ten a second and channel are allowed."""
    paced = pacing()
    paced.sent(3)
    assert paced.wait_s(3) == pytest.approx(0.1)


def test_a_refused_batch_is_halved_to_the_row() -> None:
    """Rule 16: 8, 4, 2, 1, and then it is that row; acceptance doubles again."""
    cutting = Cutting(LIMITS)
    assert cutting.rows_max(small=False) is None
    assert cutting.rows_max(small=True) == 10
    assert cutting.refused(BATCH) is Verdict.CUT_SMALLER
    assert cutting.rows_max(small=True) == 4
    assert cutting.refused(replace(BATCH, rows=3)) is Verdict.CUT_SMALLER
    assert cutting.rows_max(small=False) == 1
    assert cutting.refused(ROW) is Verdict.BURY_ROW
    cutting.accepted(ROW)
    assert cutting.rows_max(small=False) == 2
    for _ in range(12):
        cutting.accepted(BATCH)
    assert cutting.rows_max(small=False) is None


def test_many_refused_rows_put_the_table_at_fault() -> None:
    """Rule 16: ten rows in a row with no sample through: nobody's row is set aside any more.

    Negative: a tombstone that gets through proves nothing, a sample does.
    """
    cutting = Cutting(LIMITS)
    tombstone = replace(ROW, samples=0)
    for _ in range(LIMITS.strikes_max):
        assert cutting.refused(ROW) is Verdict.BURY_ROW
        cutting.accepted(tombstone)
    assert cutting.refused(ROW) is Verdict.TABLE_AT_FAULT
    cutting.accepted(ROW)
    assert cutting.refused(ROW) is Verdict.BURY_ROW
    assert cutting.refused(tombstone) is Verdict.TABLE_AT_FAULT


def test_what_may_have_been_applied_is_only_noted() -> None:
    """Rule 9: refused after an unknown try: the next session cuts smaller, nobody is buried."""
    cutting = Cutting(LIMITS)
    cutting.refused_in_doubt(ROW)
    assert (cutting.rows_max(small=False), cutting.strikes) == (1, 0)


def test_limits_are_checked() -> None:
    """Numbers that no protocol can work with are refused."""
    for wrong in ({"batch_bytes_max": 4_194_305}, {"batch_rows": 0}, {"tries_max": 0}):
        with pytest.raises(ValueError, match="batch"):
            Limits(**wrong)
