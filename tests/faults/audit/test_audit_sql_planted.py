"""Copies, tombstones, gap rows and identities planted into a table: ``audit.sql`` names them."""

import copy

import pytest

from tests.faults.audit.planting import epochs, gap, of_epoch, ranges, without
from tests.faults.audit.table import Row, audit


def test_a_row_that_is_there_twice_is_named_unless_it_is_flagged(table: list[Row]) -> None:
    """A copy is allowed only with its flag; a flagged one is counted as explained."""
    row = of_epoch(table, 0)[40]
    doubled = audit([*table, dict(row)])
    found = [(line.first_seq, line.level) for line in doubled.of("double")]
    assert found == [(row["seq"], "unexplained")]
    flagged = audit([*table, {**row, "in_doubt": True}])
    assert [line.level for line in flagged.of("double")] == ["explained"]
    assert flagged.clean


def test_a_requeued_row_supersedes_its_tombstone(table: list[Row]) -> None:
    """Both have one key and count as one; a second unflagged copy of the row does not."""
    grave = next(row for row in table if row["kind"] == "tombstone")
    body = {**grave, "kind": "sample", "detail": None}
    answer = audit([*table, body])
    assert answer.clean
    assert (answer.number("tombstones superseded"), answer.number("tombstone")) == (1, 0)
    assert answer.of("double") == []
    assert audit([*table, body, dict(body)]).unexplained[0].finding == "double"


def test_a_tombstone_where_a_sample_was_is_listed(table: list[Row]) -> None:
    """The table cannot know the letter: it lists the key, to be held against the device."""
    row = of_epoch(table, 0)[7]
    planted = {**row, "kind": "tombstone", "detail": {"reason": "content"}}
    answer = audit([*without(table, [row]), planted])
    assert row["seq"] in {line.first_seq for line in answer.of("tombstone")}
    assert answer.number("tombstone") == 2


def test_a_refused_row_that_comes_back_flagged_closes_its_hole(table: list[Row]) -> None:
    """Rows of a dead-letter range arrive flagged; the key that was missing is there then."""
    row = next(r for r in of_epoch(table, 1) if r["seq"] == 184)
    kept = [{**row, "seq": seq, "in_doubt": True} for seq in (182, 183, 184)]
    answer = audit([*table, *kept])
    assert answer.clean
    assert answer.of("missing") == []
    assert {line.level for line in answer.of("double")} == {"explained"}


def test_more_is_missing_than_the_event_of_refused_rows_tells(table: list[Row]) -> None:
    """The event tells of one row: a second hole in its range explains neither."""
    row = next(r for r in of_epoch(table, 1) if r["seq"] == 190)
    assert ranges(audit(without(table, [row]))) == [(183, 183), (190, 190)]


def test_a_gap_row_that_is_gone_leaves_its_range_unexplained(table: list[Row]) -> None:
    """Its own number is missing, and all that it told of."""
    answer = audit(without(table, [gap(table, "dropped")]))
    assert any(first == 6423 and (last or 0) > 1_000_000 for first, last in ranges(answer))


@pytest.mark.parametrize(
    ("reason", "changes", "finding", "level"),
    [
        ("thinned", {"count": 2400}, "gap row hides a loss", "unexplained"),
        ("thinned", {"count": 2600}, "arrived all the same", "explained"),
        ("thinned", {"count": 99_999}, "gap row is wrong", "unexplained"),
        ("lost_by_cut", {"count": 24}, "gap row is wrong", "unexplained"),
        ("lost_by_cut", {"last_seq": 6384}, "gap row is wrong", "unexplained"),
        ("thinned", {"first_seq": 190}, "gap row too long", "unexplained"),
        ("thinned", {"last_seq": 6300}, "gap row is wrong", "unexplained"),
        ("dropped", {"gap_rows": 1}, "gap row hides a loss", "unexplained"),
    ],
)
def test_a_gap_row_that_does_not_fit_is_named(
    table: list[Row], reason: str, changes: dict[str, int], finding: str, level: str
) -> None:
    """Wrong counts and ranges; only more than is absent may be, since such rows may arrive."""
    changed = copy.deepcopy(table)
    gap(changed, reason)["detail"].update(changes)
    answer = audit(changed)
    assert level in {line.level for line in answer.of(finding)}
    assert answer.clean == (level == "explained")


def test_rows_under_another_install_are_named(table: list[Row]) -> None:
    """An epoch belongs to one install: rows of it elsewhere are missing here, and foreign there."""
    rows = copy.deepcopy(table)
    for row in of_epoch(rows, 0)[10:13]:
        row["install_id"] = "FEDCBA9876543210"
    answer = audit(rows)
    assert (11, 13) in ranges(answer)
    assert [line.epoch for line in answer.of("two installs")] == [epochs(table)[0]]


def test_an_epoch_of_two_boots_is_named(table: list[Row]) -> None:
    """Two boards that write as one install share an epoch at best by a copied card."""
    rows = copy.deepcopy(table)
    of_epoch(rows, 3)[5]["boot_id"] = "f" * 32
    assert [line.n for line in audit(rows).of("two boots")] == [2]


def test_two_installs_are_audited_apart(table: list[Row]) -> None:
    """A second device's line does not close a hole of the first."""
    names = dict(zip(epochs(table), (f"{n:016x}" for n in range(99)), strict=False))
    second = [
        {**row, "install_id": "FEDCBA9876543210", "epoch": names[row["epoch"]]}
        for row in copy.deepcopy(table) if row["epoch"] == epochs(table)[0]
    ]
    assert audit([*table, *second]).clean
    answer = audit([*without(table, of_epoch(table, 0)[3:4]), *second])
    assert [(line.install_id, line.first_seq) for line in answer.unexplained[:1]] == [
        (table[0]["install_id"], 4)
    ]


def test_rows_of_a_check_are_no_part_of_the_line(table: list[Row]) -> None:
    """``check --send-test`` sends events of an epoch of its own, from seq 1."""
    check = [
        {"install_id": table[0]["install_id"], "epoch": "c0" * 8, "seq": seq, "kind": "event",
         "boot_id": "b" * 32, "in_doubt": False, "detail": {"event": "check", "row": seq}}
        for seq in (1, 3)
    ]
    answer = audit([*table, *check])
    assert answer.clean
    assert answer.number("rows of check --send-test") == 2
    assert not audit([*table, *check, dict(check[0])]).clean, "but no copies of them either"


def test_details_of_other_events_may_hold_anything(table: list[Row]) -> None:
    """A detail that only looks like one that the audit reads does not break it."""
    rows = copy.deepcopy(table)
    event = next(r for r in rows if r["kind"] == "event" and r["detail"]["event"] == "channel_lost")
    event["detail"]["detail"] = {"rows": "many", "after": "x", "cursor": {}, "token": 5}
    assert audit(rows).clean
    event["detail"]["detail"] = "not an object"
    assert audit(rows).clean
