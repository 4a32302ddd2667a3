"""What befalls the channel: fenced, stuck, lost, throwing rows away, told of by a stale replica."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.server.bench import HOUR_S, SMALL, Bench, Setting, bench
from tests.faults.server.verdict import heal_and_judge
from tests.model.simulation_books import Broken

STEADY = Setting(sample_s=5.0, seed=31)
FLOW_S = 900.0
"""How long rows flow while counters lag."""
LOOK_S = 30.0
"""How often it is looked how far the acknowledgement is behind."""


def test_a_commit_that_is_stuck_for_ten_minutes(room: Path, ca_file: Path) -> None:
    """Reopened a few times, then slowly; an alarm; nothing acknowledged; then all at once."""
    with bench(room, ca_file, STEADY) as device:
        device.run(60)
        device.add("commits_stuck")
        done = device.shipper.acknowledged()
        device.run(600)
        assert device.shipper.acknowledged() <= done + 5
        assert any("commit_stall" in text for text in device.said)
        assert device.model.tally.opens < 8
        heal_and_judge(device)


def test_counters_that_lag_a_little_only_delay_the_licence(room: Path, ca_file: Path) -> None:
    """The token is ahead of the counters by 20 s all the time: no alarm, and it keeps up."""
    with bench(room, ca_file, Setting(sample_s=40.0, seed=31)) as device:
        device.add("counters_lag:s=20")
        device.run(1200)
        assert not any("imbalance" in text for text in device.said)
        assert device.store.last_seq - device.shipper.acknowledged() < 20
        heal_and_judge(device)


def furthest_behind(device: Bench, lag_s: float) -> int:
    """Most rows that were not acknowledged at any time while rows came without a pause."""
    device.run(60)
    device.add(f"counters_lag:s={lag_s}")
    most = 0
    for _ in range(int(FLOW_S / LOOK_S)):
        device.run(LOOK_S)
        most = max(most, device.store.last_seq - device.shipper.acknowledged())
    return most


@pytest.mark.parametrize("lag_s", [20.0, 60.0])
def test_counters_that_lag_are_waited_for_while_rows_flow(
    room: Path, ca_file: Path, lag_s: float
) -> None:
    """Longer than batches come: sending pauses until they fit, and acknowledged follows.

    A row waits at most two turns of 30 s, a commit and the lag; none of that is worth an alarm.

    Args:
        room: where.
        ca_file: whom to trust.
        lag_s: of the counters behind the token.
    """
    with bench(room, ca_file, STEADY) as device:
        bound_s = 2 * (STEADY.limits.counters_wait_s + STEADY.commit_s + lag_s) + LOOK_S
        assert furthest_behind(device, lag_s) <= bound_s / STEADY.sample_s
        assert any("waiting: counters lag" in text for text in device.said)
        assert not any("imbalance" in text for text in device.said)
        heal_and_judge(device)


@pytest.mark.parametrize("lag_s", [20.0, 60.0])
def test_without_the_pause_nothing_is_acknowledged(
    room: Path, ca_file: Path, lag_s: float
) -> None:
    """The control: whoever sends on under lagging counters starves for as long as rows flow.

    Args:
        room: where.
        ca_file: whom to trust.
        lag_s: of the counters behind the token.
    """
    hasty = replace(STEADY, limits=replace(SMALL, counters_wait_s=float("inf")))
    with bench(room, ca_file, hasty) as device:
        assert furthest_behind(device, lag_s) >= 0.9 * FLOW_S / STEADY.sample_s
        heal_and_judge(device)


def test_counters_that_never_come_keep_the_rows(room: Path, ca_file: Path) -> None:
    """The token alone is no licence: rows stay, an alarm tells; later counters settle it all."""
    with bench(room, ca_file, STEADY) as device:
        device.run(60)
        device.add("counters_lag:s=1e9")
        device.run(60)
        done = device.shipper.acknowledged()
        device.run(HOUR_S)
        assert device.shipper.acknowledged() == done
        assert any("imbalance" in text for text in device.said)
        assert any("waiting: counters lag" in text for text in device.said)
        # What was on its way when they stopped: a slow start's batch, or 30 s of batches.
        assert len(device.table.rows) - done <= 60
        heal_and_judge(device)


@pytest.mark.parametrize("noop", [False, True])
def test_another_writer_who_comes_again_and_again(room: Path, ca_file: Path, noop: bool) -> None:
    """Fenced without an open of ours: held off ever longer, told, and nothing of ours is twice.

    Args:
        room: where.
        ca_file: whom to trust.
        noop: whether the fenced session hears 200 instead of STALE.
    """
    with bench(room, ca_file, STEADY) as device:
        device.run(60)
        if noop:
            device.add("older_session_noop")
        before = device.model.tally.opens
        for _ in range(100):
            device.exchange.add("steal")
            device.run(8)
        assert device.model.tally.steals == 100
        assert device.model.tally.opens - device.model.tally.steals - before < 60
        assert any("second_writer" in text for text in device.said) is not noop
        heal_and_judge(device)


def test_a_late_packet_of_an_old_session_changes_nothing(room: Path, ca_file: Path) -> None:
    """Held up on the way, it arrives after our open and after its rows came by themselves."""
    with bench(room, ca_file, STEADY) as device:
        device.run(60)
        device.add("late:endpoint=append,times=4,s=60")
        device.run(300)
        assert device.model.tally.stale_appends >= 1
        assert device.model.tally.opens >= 2
        heal_and_judge(device)


@pytest.mark.parametrize("name", ["behind", "cached"])
def test_a_status_that_is_older_than_the_last_one(
    room: Path, ca_file: Path, name: str
) -> None:
    """Of a replica or out of a cache: said loudly, believed by nobody, nothing is sent again."""
    with bench(room, ca_file, STEADY) as device:
        device.run(120)
        device.add(f"{name}:s=60,times=3")
        device.run(120)
        assert any("broken_promise" in text for text in device.said)
        heal_and_judge(device)


def test_a_pipe_that_takes_rows_and_throws_them_away(room: Path, ca_file: Path) -> None:
    """Open and append say 200, nothing is committed: nothing is acknowledged, and it is told."""
    with bench(room, ca_file, STEADY) as device:
        device.run(60)
        done = device.shipper.acknowledged()
        device.add("break_pipe:code=SUCCESS")
        device.run(HOUR_S)
        assert device.shipper.acknowledged() <= done + 5
        assert any("ERR_PIPE_IN_INVALID_STATE" in text for text in device.said)
        heal_and_judge(device)


def test_a_pipe_that_is_replaced_under_way(room: Path, ca_file: Path) -> None:
    """What was not committed goes again, flagged as far as it was on its way, with an event."""
    with bench(room, ca_file, STEADY) as device:
        device.run(120)
        device.add("replace_table")
        device.run(300)
        assert any("channel_recreated" in row.row for row in device.table.rows)
        heal_and_judge(device, flagged=True)
        assert device.auditor.totals()["flagged"] < 30


def test_a_flag_is_not_given_lightly(room: Path, ca_file: Path) -> None:
    """The verdict itself refuses flags where the channel was never lost."""
    with bench(room, ca_file, STEADY) as device:
        device.run(60)
        device.add("lose")
        device.run(60)
        with pytest.raises(Broken, match="the channel was never lost"):
            heal_and_judge(device)


@pytest.mark.parametrize("after", [False, True])
def test_a_shipper_that_dies_at_every_request(room: Path, ca_file: Path, after: bool) -> None:
    """Killed at each of its first requests in turn, before or after the server carried it out."""
    with bench(room, ca_file, STEADY) as device:
        for request in range(1, 40):
            device.line.dies_in = (1 + request % 7, after)
            device.run(30)
        assert device.kills >= 20
        heal_and_judge(device)


def test_answers_with_unknown_keys_are_read(room: Path, ca_file: Path) -> None:
    """Tomorrow's server says more than today's; nothing is wrong with that."""
    with bench(room, ca_file, STEADY) as device:
        device.add("unknown_keys:times=0")
        device.run(600)
        assert all(text.startswith("draining") or not text for text in device.said)
        assert heal_and_judge(device) < 60
