"""Rules 2, 4, 6, 8, 17 and 18 of the design, each with the history that it was found by."""

import json
from dataclasses import replace

import pytest

from common.identity import Hardware, Install, Position
from common.ship_state import Acknowledgement
from shipper.protocol.requests import Operation
from tests.model.rig import EPOCHS, HARDWARE, LIVE, Options, Rig


def rows(rig: Rig) -> list[dict[str, object]]:
    """The table."""
    return [json.loads(text) for text in rig.committed]


def keys(rig: Rig) -> list[tuple[object, object]]:
    """Epoch and seq of the table's rows, in order."""
    return [(row["epoch"], row["seq"]) for row in rows(rig)]


def test_rule_02_no_request_before_the_collector_settled_this_boot() -> None:
    """A clone's shipper would fence the original.

    Nothing leaves while epoch or serials are another's.
    """
    rig = Rig()
    rig.take(3)
    rig.clock.boot = "c1" * 16
    rig.run(60)
    assert rig.transport.log == []
    rig.spool.new_epoch(EPOCHS[1], rig.clock.boot)
    rig.until(rig.home)
    clone = Rig()
    clone.take(3)
    copied = Install("0123456789ABCDEF", Hardware("board", "another card"))
    clone.spool.state = replace(clone.spool.state, install=copied)
    clone.run(60)
    assert clone.transport.log == []
    assert "card" in clone.drain.reason


def test_rule_04_an_acknowledgement_of_a_lost_epoch_covers_nothing() -> None:
    """The card lost epoch 1 with its rows.

    Numbers of epoch 2 go past it and are sent all the same.
    """
    rig = Rig()
    rig.take(2)
    rig.boot(1)
    rig.take(4)
    rig.until(rig.home)
    assert rig.acknowledged() == Position(2, 6)
    rig.spool.roll_back(2)
    rig.boot(2)
    rig.take(9)
    assert rig.acknowledged() is None
    rig.until(rig.home)
    delivered = keys(rig)
    assert [seq for epoch, seq in delivered if epoch == EPOCHS[2]] == list(range(3, 12))
    assert len(delivered) == len(set(delivered)) == 2 + 4 + 9


def test_rule_06_nothing_of_the_new_epoch_is_sent_while_rows_are_salvaged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows that come back are older: sent after newer ones they would be hidden by the token."""
    rig = Rig()
    rig.take(3)
    monkeypatch.setattr(rig.spool, "salvage_pending", lambda: True)
    rig.run(60)
    assert rig.transport.log == []
    assert "salvaged" in rig.drain.reason


def test_rule_08_only_rows_of_the_running_boot_wait_for_the_clock() -> None:
    """Rows of an ended boot go at once; those of this boot when they can be dated."""
    rig = Rig()
    rig.clock.now_s = 10.0
    rig.take(3, clock_synced=0)
    rig.run(30)
    assert rig.committed == []
    assert rig.transport.sent(Operation.APPEND) == []
    rig.boot(1)
    rig.take(3, clock_synced=0)
    rig.until(lambda: len(rig.committed) == 3, 60)
    assert all(row["clock_synced"] is False for row in rows(rig))
    rig.spool.set_offset(rig.clock.boot, 1_700_000_000_000_000_000)
    rig.until(rig.home, 60)
    assert [row["clock_synced"] for row in rows(rig)] == [False] * 3 + [True] * 3
    assert str(rows(rig)[-1]["taken_at"]).startswith("2023-11-14T22:13:20.")


def test_rule_08_the_wait_for_the_clock_ends_by_uptime() -> None:
    """After clock_wait_s of uptime rows go as they are, whatever the wall clock says."""
    rig = Rig(Options(clock_wait_s=300.0))
    rig.clock.now_s = 10.0
    rig.take(3, clock_synced=0)
    rig.run(280)
    assert rig.committed == []
    rig.until(rig.home, 60)
    assert [row["clock_synced"] for row in rows(rig)] == [False] * 3


def test_rule_17_an_explained_token_wins_over_a_new_birth_date() -> None:
    """ship.db fell back to the birth date before.

    Rows that the new channel has are not sent again.
    """
    rig = Rig()
    rig.take(3)
    rig.until(rig.home)
    old = rig.ledger.state
    rig.model.lose(LIVE)
    rig.take(3)
    rig.until(rig.home)
    rig.ledger.state = old
    rig.take(3)
    rig.start()
    rig.until(rig.home)
    assert [seq for _, seq in keys(rig)] == list(range(1, 10))
    assert [row["in_doubt"] for row in rows(rig)][6:] == [True] * 3


def test_rule_17_a_new_target_is_an_event_and_nothing_is_in_doubt() -> None:
    """Rows that the old pipe has are not sent to the new one, later ones are, and it is told."""
    rig = Rig()
    rig.take(3)
    rig.until(rig.home)
    rig.model.lose(LIVE)
    rig.start(target_name="OTHER/DB.SCHEMA.PIPE")
    rig.take(3)
    rig.until(rig.home)
    assert [seq for _, seq in keys(rig)] == [1, 2, 3, 4, 5, 6]
    assert not any(row["in_doubt"] for row in rows(rig))
    assert rig.ledger.told == ["target_changed"]


def test_rule_18_doubt_is_durable_before_the_first_append_and_outlives_restarts() -> None:
    """Rows exposed to a lost channel are flagged, also after two restarts, and only those."""
    rig = Rig()
    rig.take(3)
    rig.until(rig.home)
    rig.take(4)
    rig.until(lambda: rig.drain.channel.marks.accepted.seq == 7)
    rig.model.commit_now(rig.clock.now_s)
    rig.model.lose(LIVE)
    rig.start()
    appends = len(rig.transport.sent(Operation.APPEND))
    rig.until(lambda: len(rig.transport.sent(Operation.APPEND)) > appends)
    progress = rig.ledger.state.progress
    assert progress.in_doubt is not None
    assert progress.created_on_ms == rig.model.channels[LIVE].created_on_ms
    assert (progress.rows_inserted_base, progress.rows_error_base) == (0, 0)
    rig.start()
    rig.take(2)
    rig.start()
    rig.until(rig.home)
    found = [(row["seq"], row["in_doubt"]) for row in rows(rig)]
    assert found == [
        *[(n, False) for n in range(1, 8)],
        *[(n, True) for n in range(4, 8)],
        (8, False),
        (9, False),
    ]
    assert rig.ledger.state.progress.in_doubt is None


def test_rule_18_the_birth_date_is_stored_before_anything_is_exposed() -> None:
    """Nothing acknowledged yet, rows exposed, channel replaced.

    Without the date they would look unsent.
    """
    rig = Rig()
    rig.take(3)
    rig.until(lambda: rig.drain.channel.state == "ready" and rig.drain.channel.window.batches == 1)
    rig.model.commit_now(rig.clock.now_s)
    assert rig.acknowledged() is None
    assert rig.ledger.state.progress.created_on_ms is not None
    rig.model.lose(LIVE)
    rig.start()
    rig.until(rig.home)
    assert [(row["seq"], row["in_doubt"]) for row in rows(rig)] == [
        (1, False),
        (2, False),
        (3, False),
        (1, True),
        (2, True),
        (3, True),
    ]


def test_a_token_that_fell_back_unseen_is_betrayed_by_the_counters() -> None:
    """The token is the acknowledged one, but the table counts more rows.

    What follows is in doubt.
    """
    rig = Rig()
    rig.take(3)
    rig.until(rig.home)
    token = rig.ledger.state.progress.acknowledged
    assert isinstance(token, Acknowledgement)
    rig.take(3)
    rig.until(lambda: rig.drain.channel.marks.accepted.seq == 6)
    rig.model.commit_now(rig.clock.now_s)
    rig.model.open(LIVE, rig.clock.now_s, offset_token=token.token)
    rig.start()
    rig.take(1)
    rig.until(rig.home)
    found = [(row["seq"], row["in_doubt"]) for row in rows(rig)]
    assert found == [*[(n, False) for n in range(1, 7)], *[(n, True) for n in range(4, 8)]]
    assert "server_regression" in rig.ledger.told


def test_a_foreign_token_asks_for_a_new_install_and_sends_nothing() -> None:
    """R5: silence until the collector made one; then its own channel."""
    rig = Rig()
    rig.model.open(LIVE, rig.clock.now_s, offset_token=f"v1|{'f' * 16}||{5:020d}")
    rig.take(3)
    rig.run(3600)
    assert rig.transport.sent(Operation.APPEND) == []
    assert [kind for _, kind in rig.ledger.state.requests] == ["new_install"]
    assert rig.ledger.told[0] == "identity_conflict"


def test_a_lost_tail_of_the_running_epoch_waits_for_a_new_epoch() -> None:
    """R3 in the epoch that rows are stored in now: asked for, silent, and on when it is there."""
    rig = Rig()
    rig.take(6)
    rig.until(rig.home)
    rig.spool.write(replace(rig.spool.state, rows=rig.spool.rows[:-1]))
    rig.start()
    appends = len(rig.transport.sent(Operation.APPEND))
    rig.run(120)
    assert len(rig.transport.sent(Operation.APPEND)) == appends
    requests = rig.ledger.state.requests
    assert [kind for _, kind in requests] == ["new_epoch"]
    rig.spool.new_epoch(EPOCHS[1], rig.clock.boot, [requests[0][0]])
    rig.take(2)
    rig.until(rig.home, 2000)
    assert keys(rig)[6:] == [(EPOCHS[1], 6), (EPOCHS[1], 7)]
    assert rig.ledger.state.requests == ()


def test_a_spool_put_back_under_the_running_shipper_is_noticed() -> None:
    """The new epoch gets order and numbers of a lost one; its rows are sent all the same."""
    rig = Rig()
    rig.take(3)
    rig.boot(1)
    rig.take(3)
    rig.until(rig.home)
    rig.spool.roll_back(2)
    rig.spool.new_epoch(EPOCHS[2], rig.clock.boot)
    rig.take(2)
    assert rig.spool.newest() == Position(2, 5)
    assert rig.drain.channel.marks.accepted == Position(2, 6)
    rig.until(lambda: (EPOCHS[2], 5) in keys(rig), 120)
    assert rig.watcher.counts["alarm spool_changed"] == 1
    assert keys(rig)[-2:] == [(EPOCHS[2], 4), (EPOCHS[2], 5)]


def test_a_new_install_under_the_running_shipper_gets_its_own_channel() -> None:
    """Rule 3: rows of another install never go over the old channel; its ledger is new."""
    rig = Rig()
    rig.take(3)
    rig.until(rig.home)
    other = Install("FEDCBA9876543210", HARDWARE)
    rig.spool.__init__(other)  # type: ignore[misc]
    rig.spool.new_epoch(EPOCHS[5], rig.clock.boot)
    rig.take(4)
    rig.until(rig.home, 120)
    assert [row["install_id"] for row in rows(rig)][3:] == [other.install_id] * 4
    assert {row.name.channel for row in rig.store.rows[3:]} == {other.channel}
    assert rig.ledger.state.install_id == other.install_id
