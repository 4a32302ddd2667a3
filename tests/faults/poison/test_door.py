"""Rows refused at the door (400 for the whole request): found, kept, replaced; the rest flows."""

import gzip
import json
import math
from dataclasses import replace
from typing import Any

import pytest

from common.spool.row import INDEX, row_crc
from shipper.protocol.errors import OutcomeUnknown
from shipper.protocol.events import Fault
from shipper.protocol.limits import Limits
from shipper.protocol.requests import Operation
from tests.emulators.ingest.rows import NotNull, OfKind, parse
from tests.faults.poison import mistakes
from tests.faults.poison.live import AT_THE_DOOR, DOOR, Live, Mistake
from tests.faults.poison.verdict import Broken

BATCH = 64
LIMITS = Limits(batch_rows=BATCH, interval_s=2.0)
GOOD = "VALID"


def flowing(mistake: Mistake | None = None, limits: Limits = LIMITS) -> Live:
    """A stream that is beyond its slow start."""
    live = Live(limits, mistake=mistake)
    live.store_rows(*[GOOD] * limits.batch_rows)
    live.until(live.home)
    return live


def batch_with(*bad: int) -> list[str]:
    """Qualities of one batch, bad at these places."""
    return [DOOR if i in bad else GOOD for i in range(BATCH)]


@pytest.mark.parametrize(
    "bad",
    [(0,), (31,), (BATCH - 1,), (10, 11), (0, 1, 2), (0, BATCH - 1), (62, 63), (5, 20, 40, 60)],
    ids=str,
)
def test_each_bad_row_becomes_a_tombstone_and_the_others_arrive(bad: tuple[int, ...]) -> None:
    """Anywhere in a batch, alone or adjacent: same key, payload kept, in few requests."""
    live = flowing()
    before = live.appends()
    live.store_rows(*batch_with(*bad))
    live.until(live.home)
    tally = live.verdict()
    dead = {BATCH + 1 + i for i in bad}
    assert {seq for seq, kind in live.kinds().items() if kind == "tombstone"} == dead
    assert len(live.table()) == 2 * BATCH
    assert tally.in_letters == len(bad)
    kept = {x.first_seq: json.loads(x.payload)["quality"] for x in live.ledger.state.letters}
    assert kept == dict.fromkeys(dead, DOOR)
    assert {x.reason for x in live.ledger.state.letters} == {Fault.CONTENT.value}
    assert all("not accepted" in x.message for x in live.ledger.state.letters)
    requests = live.appends() - before
    assert requests <= len(bad) * (4 * math.log2(BATCH) + 2)


def test_the_payload_is_durable_before_the_tombstone_leaves() -> None:
    """Killed at each call around the burial: the letter is there before the tombstone is."""
    tombstones = 0
    for calls in range(1, 40):
        live = flowing(limits=Limits(batch_rows=2, interval_s=1.0))
        live.store_rows(GOOD, DOOR, GOOD)
        live.mortality.calls_left = calls
        live.live(120)
        tombstones += live.verdict().tombstones
        assert live.acknowledged() == live.spool.newest()
    assert tombstones == 39


def test_bad_rows_at_the_seam_of_two_epochs() -> None:
    """The last row of one boot and the first of the next: each dies under its own epoch."""
    live = flowing(limits=Limits(batch_rows=8, interval_s=2.0))
    live.store_rows(GOOD, GOOD, DOOR)
    live.next_epoch(1)
    live.store_rows(DOOR, GOOD)
    live.next_epoch(2)
    live.store_rows(DOOR)
    live.until(live.home)
    tally = live.verdict()
    assert (tally.tombstones, tally.in_letters, len(live.table())) == (3, 3, 14)
    assert len({letter.epoch for letter in live.ledger.state.letters}) == 3


def test_a_poison_row_with_lost_answers_is_never_cut_under_a_used_token() -> None:
    """The refusal's answer is lost, then the retry is refused: an open decides before any cut."""
    live = flowing()
    live.transport.after[Operation.APPEND].extend([OutcomeUnknown("reset")] * 2)
    live.store_rows(*batch_with(7))
    live.until(live.home)
    assert live.verdict().tombstones == 1
    assert live.model.tally.client_bugs == 0


def test_a_table_that_refuses_all_rows_buries_at_most_one() -> None:
    """Its tombstone is refused too: the table is at fault. Alarm, pauses, and then by itself on."""
    live = flowing()
    live.knobs.refuse_rules = (NotNull("no_such_column"),)
    before = live.appends()
    live.store_rows(*[GOOD] * 200)
    live.run(6 * 3600)
    assert len(live.ledger.state.letters) <= 1
    assert live.watcher.counts["alarm table_fault"] >= 1
    assert live.appends() - before < 60
    assert len(live.table()) == BATCH
    live.knobs.refuse_rules = (AT_THE_DOOR,)
    live.until(live.home, 3600)
    assert live.verdict().in_letters <= 1


def test_a_table_that_refuses_all_samples_but_takes_tombstones_is_at_fault_too() -> None:
    """A column changed its type: after ten rows in a row nobody else is buried."""
    live = flowing()
    live.knobs.refuse_rules = (OfKind("quality", "number"),)
    live.store_rows(*[GOOD] * 100)
    live.run(6 * 3600)
    assert len(live.ledger.state.letters) <= live.options.limits.strikes_max
    assert live.watcher.counts["alarm table_fault"] >= 1
    live.knobs.refuse_rules = ()
    live.until(live.home, 3600)
    assert live.verdict().once >= 2 * BATCH


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, 1 << 63, "text", b"bytes"], ids=repr
)
def test_a_value_that_json_or_the_column_cannot_hold_dies_alone(value: object) -> None:
    """Its check sum fits, yet it is no number: one tombstone, and no request that is refused."""
    live = flowing(limits=Limits(batch_rows=8, interval_s=2.0))
    live.store_rows(*[GOOD] * 8)
    rows = list(live.spool.rows)
    values: list[Any] = list(rows[-4].values)
    values[INDEX["cpu_percent"]] = value
    made = tuple(values)
    crc = row_crc(rows[-4].origin.epoch, rows[-4].seq, made)
    rows[-4] = rows[-4]._replace(values=made, crc=crc)
    live.spool.write(replace(live.spool.state, rows=tuple(rows)))
    live.until(live.home)
    tally = live.verdict()
    for request in live.transport.sent(Operation.APPEND):
        for text in gzip.decompress(request.body).splitlines():
            assert parse(text) is not None
    assert live.model.tally.rows_refused == 0
    if value == 1 << 63:
        # An integer where a real belongs: JSON can say it, and the table is asked.
        assert tally.tombstones == 0
    else:
        assert (tally.tombstones, live.ledger.state.letters[0].reason) == (1, "corrupt")


def test_a_lone_surrogate_goes_as_an_escape() -> None:
    """Half a character is ASCII on the wire; the request is strict JSON."""
    live = flowing(limits=Limits(batch_rows=4, interval_s=2.0))
    live.store_rows("\ud800", GOOD, GOOD, GOOD)
    live.until(live.home)
    body = gzip.decompress(live.transport.sent(Operation.APPEND)[-1].body)
    assert b'"quality":"\\ud800"' in body
    assert body.isascii()
    assert live.verdict().tombstones == 0


@pytest.mark.parametrize(
    "mistake", [mistakes.letter_not_kept, mistakes.wrong_payload, mistakes.tombstone_without_key]
)
def test_the_verdict_sees_rows_that_are_replaced_and_not_kept(mistake: Mistake) -> None:
    """The negative control of the tests above."""
    live = flowing(mistake)
    live.store_rows(*batch_with(9))
    live.run(300)
    with pytest.raises(Broken):
        live.verdict()
