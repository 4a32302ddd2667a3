"""Rows refused after acceptance, and rows that vanish: known only by the server's counters."""

import json

import pytest

from common.identity import Position
from shipper.balance import accept, weigh
from shipper.graves import Graves
from shipper.ports import World
from shipper.protocol.limits import Limits
from shipper.protocol.replies import decode_status
from shipper.protocol.requests import Call, Operation, channel_status
from tests.emulators.ingest.rows import NotNull
from tests.faults.poison import mistakes
from tests.faults.poison.live import AFTERWARDS, GONE, LATE, Live, Mistake
from tests.faults.poison.verdict import Broken
from tests.model.simulation_device import NoLock

GOOD = "VALID"
APPEND = Operation.APPEND
LIMITS = Limits(batch_rows=4, interval_s=2.0)


def sent_times(live: Live, seq: int) -> int:
    """How many batches held a row: its seq lies between their tokens."""
    ends = []
    for request in live.transport.sent(APPEND):
        query = dict(request.query)
        ends.append([int(query[name][-20:]) for name in ("startOffsetToken", "endOffsetToken")])
    return sum(first <= seq <= last for first, last in ends)


@pytest.mark.parametrize("bad", [(0,), (2, 3), (3,), (5, 11), (0, 11)], ids=str)
def test_the_range_is_kept_and_never_sent_again_by_itself(bad: tuple[int, ...]) -> None:
    """Wherever the bad rows are: their batches are kept, with the server's reason."""
    live = Live(LIMITS)
    live.store_rows(*[LATE if i in bad else GOOD for i in range(12)])
    live.until(live.home)
    live.run(3600)
    tally = live.verdict()
    assert len(live.table()) == 12 - len(bad)
    assert tally.twice_flagged == 0
    letters = live.ledger.state.letters
    assert {x.form for x in letters} == {"range"}
    for i in bad:
        (kept,) = [x for x in letters if x.first_seq <= i + 1 <= x.last_seq]
        assert "not accepted" in kept.message
        assert i + 1 in [json.loads(text)["seq"] for text in kept.payload.splitlines()]
        assert sent_times(live, i + 1) == 1
    assert live.ledger.told.count("rows_rejected") == len(letters)


def test_refusals_while_we_were_down_are_found_by_the_stored_baseline() -> None:
    """Accepted, then the process was killed, then the server refused: the next start sees it."""
    live = Live(LIMITS)
    live.store_rows(*[GOOD] * 4)
    live.until(live.home)
    live.store_rows(GOOD, LATE, GOOD, GOOD)
    live.until(lambda: live.drain.channel.marks.accepted.seq == 8)
    live.start()
    live.clock.now_s += 60
    live.until(live.home)
    assert live.verdict().in_letters == 4
    assert [(x.first_seq, x.last_seq) for x in live.ledger.state.letters] == [(5, 8)]


def test_a_table_that_refuses_every_row_afterwards_slows_down_to_a_trickle() -> None:
    """One small batch at a time with growing pauses and an alarm; mended, all the rest arrives."""
    live = Live(LIMITS)
    live.store_rows(*[GOOD] * 4)
    live.until(live.home)
    live.knobs.row_rules = (NotNull("no_such_column"),)
    live.start()
    live.store_rows(*[GOOD] * 400)
    live.run(6 * 3600)
    refused = sum(x.payload.count(b"\n") for x in live.ledger.state.letters)
    assert {x.form for x in live.ledger.state.letters} == {"range"}
    assert refused <= 4 * 40
    assert live.watcher.counts["alarm rows_rejected"] >= 9
    live.knobs.row_rules = (AFTERWARDS,)
    live.until(live.home, 7200)
    tally = live.verdict()
    assert len(live.table()) == 404 - tally.in_letters


def test_a_buried_row_is_not_kept_twice() -> None:
    """A tombstone within a refused range: its row is in its own letter already."""
    live = Live(Limits(batch_rows=8, interval_s=2.0))
    live.store_rows(*[GOOD] * 8)
    live.until(live.home)
    live.store_rows(GOOD, "DOOR", LATE, GOOD, GOOD, GOOD, GOOD, GOOD)
    live.until(live.home)
    seqs = [
        json.loads(text)["seq"]
        for letter in live.ledger.state.letters for text in letter.payload.splitlines()
    ]
    assert len(seqs) == len(set(seqs))
    assert {10, 11} <= set(seqs)
    assert live.verdict().tombstones == 1


@pytest.mark.parametrize(
    "mistake", [mistakes.range_not_kept, mistakes.range_sent_again, mistakes.baseline_reset]
)
def test_the_verdict_sees_ranges_that_are_mistreated(mistake: Mistake) -> None:
    """The negative control: not kept, sent again unflagged, or hidden by a new baseline."""
    live = Live(LIMITS, mistake=mistake)
    live.store_rows(*[GOOD] * 4)
    live.until(live.home)
    live.store_rows(GOOD, LATE, GOOD, GOOD)
    live.until(lambda: live.drain.channel.marks.accepted.seq == 8)
    if mistake is mistakes.baseline_reset:
        live.start()
        live.clock.now_s += 60
    live.run(300)
    with pytest.raises(Broken):
        live.verdict()


def stuck() -> Live:
    """A pipe that filters two rows of a batch: nobody counts them."""
    live = Live(LIMITS)
    live.store_rows(*[GOOD] * 4)
    live.until(live.home)
    live.store_rows(GOOD, GONE, GONE, GOOD)
    live.run(600)
    return live


def weighed(live: Live) -> tuple[World, Graves]:
    """What the command stands on."""
    world = World(
        live.spool, live.ledger, live.transport, live.clock, live.watcher, NoLock()
    )
    return world, Graves(live.ledger, live.clock)


def test_rows_that_vanish_are_kept_with_an_alarm_that_names_the_remedy() -> None:
    """A pipe with WHERE: the token moved, the counters did not; nothing is trimmed."""
    live = stuck()
    assert live.acknowledged() == Position(1, 4)
    assert live.watcher.counts["alarm imbalance"] == 1
    assert live.heard("imbalance").endswith("thermal-shipper settle")
    with pytest.raises(Broken, match="lost"):
        live.verdict()


def test_a_settled_imbalance_keeps_the_rows_and_lets_the_line_go_on() -> None:
    """By a status request alone: the range is a dead letter, the counters are the baseline."""
    live = stuck()
    world, graves = weighed(live)
    name = live.spool.install().channel
    opens = live.model.tally.opens
    request = channel_status(live.drain._exchange._target, name, Call("look"))
    reported = decode_status(live.transport.send(request, 5.0), name)
    found = weigh(world, reported.status)  # type: ignore[attr-defined]
    assert (found.sent, found.inserted, found.errors, found.fits) == (4, 2, 0, False)
    accept(world, graves, found)
    assert live.model.tally.opens == opens
    live.verdict()
    (letter,) = live.ledger.state.letters
    assert (letter.form, letter.reason, letter.payload.count(b"\n")) == ("range", "imbalance", 4)
    live.start()
    live.store_rows(*[GOOD] * 8)
    live.until(live.home)
    assert live.verdict().in_letters == 4
    assert len(live.table()) == 14


def test_weighing_says_when_all_is_well() -> None:
    """Nothing to settle: the counters account for every row."""
    live = Live(LIMITS)
    live.store_rows(*[GOOD] * 4)
    live.until(live.home)
    world, _ = weighed(live)
    name = live.spool.install().channel
    request = channel_status(live.drain._exchange._target, name, Call("look"))
    reported = decode_status(live.transport.send(request, 5.0), name)
    assert weigh(world, reported.status).fits  # type: ignore[attr-defined]
