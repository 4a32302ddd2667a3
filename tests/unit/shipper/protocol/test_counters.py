"""Rule 14 in the protocol: counters that fit, and what waits while they lag the token."""

import pytest

from common.identity import Position
from shipper.protocol.errors import RemoteProtocolError
from shipper.protocol.pacing import COUNTERS_LAG
from shipper.protocol.window import Counters, Window
from tests.unit.shipper.protocol.waits import BATCH, pacing, window


def test_counters_balance_or_they_do_not() -> None:
    """Rule 14: inserted and errors must be the rows sent, no less and no more."""
    sent = Window("t0", Position(1, 0), "e", 2, Counters(10, 1))
    assert sent.balanced(Counters(12, 1))
    sent.accepted(BATCH)
    assert sent.commit("t8") == 8
    assert sent.commit("t8") == 0
    assert not sent.balanced(Counters(12, 1))
    assert sent.balanced(Counters(20, 1))
    assert sent.balanced(Counters(17, 4))
    assert not sent.balanced(Counters(21, 1))
    assert not sent.balanced(Counters(21, 0))
    assert sent.settle(Counters(17, 4)) == 1
    assert (sent.rows_committed, sent.spool_bytes, sent.batches) == (0, 0, 0)
    with pytest.raises(RemoteProtocolError):
        sent.commit("t0")


def test_counters_that_lag_hold_new_batches_back() -> None:
    """Rule 14: after 30 s without them nothing new is sent, until they fit; then at once.

    Negative: counters that come in time never hold anything back, however often they lag.
    """
    paced, sent = pacing(), window()
    paced.opened(0)
    paced.slow_start = False
    sent.accepted(BATCH)
    for now_s in range(0, 100, 20):
        paced.weighed(unsettled=True, now_s=now_s)
        paced.weighed(unsettled=True, now_s=now_s + 15)
        assert (paced.append_wait_s(sent, now_s + 15), paced.reason) == (0, "")
        paced.weighed(unsettled=False, now_s=now_s + 16)
    paced.weighed(unsettled=True, now_s=100)
    assert paced.append_wait_s(sent, 129.9) == 0
    assert paced.append_wait_s(sent, 130) is None
    paced.weighed(unsettled=True, now_s=131)
    assert (paced.reason, paced.wait_s(131)) == (COUNTERS_LAG, 0)
    paced.answered()
    paced.weighed(unsettled=False, now_s=132)
    assert (paced.append_wait_s(sent, 132), paced.reason) == (0, "")


def test_a_new_session_waits_anew_for_its_counters() -> None:
    """What an ended session waited for is no reason to hold the next one back."""
    paced = pacing()
    paced.weighed(unsettled=True, now_s=0)
    paced.opened(500)
    assert not paced.counters_lag(500)
    paced.weighed(unsettled=True, now_s=500)
    assert not paced.counters_lag(529)
    assert paced.counters_lag(530)
