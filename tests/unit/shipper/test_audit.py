"""The audit's judgement, by tables: facts in, findings out."""

from dataclasses import replace
from typing import Any

import pytest

from common.identity import Epoch, Hardware, Install, Lineage, Position
from common.ship_state import Acknowledgement, Mark
from shipper.audit.facts import (
    EpochCount,
    Facts,
    GapRow,
    Letter,
    Range,
    Ranges,
    ServerFacts,
    ShipFacts,
    SpoolFacts,
    licensed,
)
from shipper.audit.finding import Finding, Level, named
from shipper.audit.judge import judge
from shipper.audit.text import EPOCHS_MAX, table
from shipper.audit.told import Told, gap_row
from shipper.progress import Progress
from shipper.protocol.events import ChannelStatus
from shipper.protocol.token import OffsetToken

A, B, OTHER = "a" * 16, "b" * 16, "c" * 16
INSTALL = Install("0123456789ABCDEF", Hardware("board", "card"))
LINEAGE = Lineage((Epoch(1, A, None, "boot-1", 1, 100), Epoch(2, B, A, "boot-2", 101, 200)))
TARGET = "ACC/DB.S.P/TH_0123456789ABCDEF"
PROGRESS = Progress(TARGET, 5, Acknowledgement("t", B, 150), Mark(B, 180), 140, 10)
SPOOL = SpoolFacts(
    INSTALL, LINEAGE, None,
    (EpochCount(1, A, Range(1, 100), trimmed=100),
     EpochCount(2, B, Range(101, 200), acknowledged=50, exposed=30, waiting=20)),
    rows=100, oldest_seq=101, newest=Position(2, 200),
)
SHIP = ShipFacts(True, INSTALL.install_id, PROGRESS)


def token(epoch: str, seq: int, *ancestors: str) -> str:
    """An offset token."""
    return str(OffsetToken(epoch, ancestors, seq))


def status(committed: str | None, inserted: int, errors: int = 10, **more: Any) -> ChannelStatus:
    """A healthy channel's status."""
    found = ChannelStatus("SUCCESS", committed, 5, inserted, errors)
    return replace(found, **more)


def server(found: ChannelStatus | None, since: int | None = 0, **more: Any) -> ServerFacts:
    """What the server said."""
    facts = ServerFacts(TARGET, PROGRESS, LINEAGE, None, Position(2, 200), found, None, since)
    return replace(facts, **more)


def findings(facts: Facts) -> dict[str, Finding]:
    """The findings by their codes."""
    return {finding.code: finding for finding in judge(facts).findings}


def test_a_sound_device_has_nothing_unexplained() -> None:
    """Numbers add up, the backlog waits, what was trimmed is left to the table."""
    found = judge(Facts(SPOOL, SHIP, server(status(token(B, 150, A), 140))))
    levels = {finding.code: finding.level for finding in found.findings}
    assert found.unexplained == 0
    assert levels["spool.conservation"] is Level.OK
    assert levels["server.counters"] is Level.OK
    assert levels["server.place"] is Level.OK
    assert levels["spool.trimmed"] is Level.TABLE
    assert levels["spool.backlog"] is Level.WAITING
    assert found.verdict == "nothing unexplained (1 waiting, 1 audit.sql)"


@pytest.mark.parametrize(
    ("committed", "case", "level"),
    [
        (token(B, 150, A), "R1", Level.OK),
        (token(B, 160, A), "R1", Level.WAITING),
        (token(B, 140, A), "R2", Level.UNEXPLAINED),
        (None, "R0'", Level.UNEXPLAINED),
        (token(B, 201, A), "R3", Level.EXPLAINED),
        (token(OTHER, 300, A), "R4", Level.EXPLAINED),
        (token(OTHER, 300, B, A), "R4", Level.EXPLAINED),
        (token(OTHER, 300), "R5", Level.UNEXPLAINED),
        ("v9|what", "R6", Level.UNEXPLAINED),
    ],
)
def test_the_servers_place_is_named_by_its_case(
    committed: str | None, case: str, level: Level
) -> None:
    """Each row of the table of cases, with whether somebody must look."""
    found = findings(Facts(SPOOL, SHIP, server(status(committed, 140))))["server.place"]
    assert found.text.startswith(f"{case}: ")
    assert found.level is level
    assert level is not Level.UNEXPLAINED or found.remedy


@pytest.mark.parametrize(
    ("inserted", "errors", "since", "level", "words"),
    [
        (140, 10, 0, Level.OK, "should be 0"),
        (150, 10, 10, Level.OK, "should be 10"),
        (149, 11, 10, Level.OK, "should be 10"),
        (145, 10, 10, Level.WAITING, "lag"),
        (141, 10, 0, Level.UNEXPLAINED, "1 more rows than were sent"),
        (151, 10, 10, Level.UNEXPLAINED, "1 more rows than were sent"),
        (139, 10, 0, Level.UNEXPLAINED, "they fell"),
    ],
)
def test_the_servers_counters_are_held_against_the_rows_since_the_acknowledgement(
    inserted: int, errors: int, since: int, level: Level, words: str
) -> None:
    """Equal, behind, beyond, or fallen."""
    place = token(B, 150 + since, A)
    found = findings(Facts(SPOOL, SHIP, server(status(place, inserted, errors), since)))
    assert found["server.counters"].level is level
    assert words in found["server.counters"].text


def test_counters_of_a_lost_history_are_explained_by_its_case() -> None:
    """What a lost epoch sent cannot be counted, and nobody pretends to."""
    for committed in (token(OTHER, 300, A), token(B, 201, A), token(B, 140, A)):
        found = findings(Facts(SPOOL, SHIP, server(status(committed, 9999), None)))
        assert found["server.counters"].level is Level.EXPLAINED
        assert "explained by R" in found["server.counters"].text
    young = server(status(token(B, 150, A), 7), 0, progress=replace(PROGRESS, target=None))
    assert findings(Facts(SPOOL, SHIP, young))["server.counters"].level is Level.EXPLAINED
    moving = server(status(token(B, 150, A), 999), 0, steady=False)
    assert findings(Facts(SPOOL, SHIP, moving))["server.counters"].level is Level.WAITING


def test_refused_rows_of_the_server_are_named() -> None:
    """Rows refused since the acknowledgement, with the server's words."""
    found = findings(Facts(SPOOL, SHIP, server(
        status(token(B, 160, A), 149, 11, last_error="no cast"), 10)))
    assert found["server.errors"].level is Level.WAITING
    assert "no cast" in found["server.errors"].text


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        (server(None), "server.no_channel"),
        (server(status(token(B, 150, A), 140, code="ERR_X")), "server.unhealthy"),
        (server(status(token(B, 150, A), 0, created_on_ms=6)), "server.recreated"),
    ],
)
def test_a_channel_that_is_not_ours_any_more_is_unexplained(facts: ServerFacts, code: str) -> None:
    """Gone, broken, or made anew behind the shipper's back."""
    found = findings(Facts(SPOOL, SHIP, facts))[code]
    assert found.level is Level.UNEXPLAINED
    assert found.remedy


def test_another_target_in_the_settings_is_explained() -> None:
    """The operator chose it; the shipper tells the table at its next open."""
    found = findings(Facts(SPOOL, SHIP, server(status(None, 0), target="ELSE/X")))
    assert found["server.target"].level is Level.EXPLAINED


def test_before_the_first_row_nothing_is_wrong() -> None:
    """A new device and a server that has never heard of it."""
    spool = SpoolFacts(INSTALL, Lineage((Epoch(1, A, None, "boot-1", 1, 0),)))
    facts = server(None, None, progress=Progress(), lineage=spool.lineage, newest=None)
    found = judge(Facts(spool, ShipFacts(), facts))
    assert found.unexplained == 0
    assert {finding.code for finding in found.findings} >= {"ship.absent", "server.place"}


def with_ranges(*found: Range) -> Ranges:
    """A sum of ranges."""
    made = Ranges()
    for one in found:
        made.add(one)
    return made


@pytest.mark.parametrize(
    ("spool", "ship", "code", "level"),
    [
        ({"vanished": with_ranges(Range(160, 163))}, {}, "spool.missing", Level.UNEXPLAINED),
        ({"vanished_acknowledged": with_ranges(Range(110, 111))}, {},
         "spool.missing_acknowledged", Level.TABLE),
        ({"hiding": ((Range(160, 170), 8, 5),)}, {}, "spool.gap_hides", Level.UNEXPLAINED),
        ({"gap_rows": (GapRow(180, Range(160, 170), 12, "thinned"),)}, {},
         "spool.gap_wrong", Level.UNEXPLAINED),
        ({"gap_rows": (GapRow(165, Range(160, 170), 5, "thinned"),)}, {},
         "spool.gap_wrong", Level.UNEXPLAINED),
        ({"corrupt": ((B, 160),), "corrupt_count": 1}, {}, "spool.corrupt", Level.UNEXPLAINED),
        ({"corrupt": ((B, 120),), "corrupt_count": 1}, {}, "spool.checksums", Level.EXPLAINED),
        ({"corrupt": ((B, 160),), "corrupt_count": 1},
         {"letters": (Letter(1, "row", B, Range(160, 160), "corrupt", True),)},
         "spool.checksums", Level.EXPLAINED),
        ({}, {"letters": (Letter(1, "row", B, Range(160, 160), "content", False),)},
         "ship.letter_unreadable", Level.UNEXPLAINED),
        ({}, {"letters": (Letter(1, "range", B, Range(110, 120), "rejected", True),)},
         "ship.letters_range", Level.EXPLAINED),
        ({}, {"install_id": "F" * 16}, "ship.foreign", Level.UNEXPLAINED),
        ({}, {"progress": replace(PROGRESS, acknowledged=Acknowledgement("t", OTHER, 3))},
         "ship.acknowledged_elsewhere", Level.UNEXPLAINED),
        ({"trimmed": Acknowledgement("t", A, 9)}, {"found": False}, "ship.lost", Level.UNEXPLAINED),
        ({}, {"requests": (("id", "new_epoch"),)}, "ship.request", Level.WAITING),
        ({}, {"events": {"id": "tail_lost"}}, "ship.events", Level.WAITING),
        ({}, {"jobs": (3,)}, "ship.jobs", Level.WAITING),
        ({}, {"open_events": 2}, "ship.open_events", Level.WAITING),
        ({}, {"progress": replace(PROGRESS, in_doubt=Mark(B, 190))}, "ship.in_doubt",
         Level.WAITING),
        ({"aside": ("x-quarantine",)}, {}, "spool.aside", Level.EXPLAINED),
        ({"salvage_pending": True}, {}, "spool.salvage", Level.WAITING),
        ({"epochs": (EpochCount(1, A, Range(1, 100), trimmed=99),)}, {}, "spool.balance",
         Level.UNEXPLAINED),
    ],
)
def test_what_the_files_say_is_judged(
    spool: dict[str, Any], ship: dict[str, Any], code: str, level: Level
) -> None:
    """One fact changed, one finding of its level; nothing else becomes unexplained."""
    found = judge(Facts(replace(SPOOL, **spool), replace(SHIP, **ship)))
    by_code = {finding.code: finding for finding in found.findings}
    assert by_code[code].level is level
    assert found.unexplained == (level is Level.UNEXPLAINED)


def test_the_table_of_epochs_sums_up_the_older_ones() -> None:
    """A device of many boots fits on a screen; letters stand with their epoch."""
    epochs = tuple(
        EpochCount(n, f"{n:016x}", Range(10 * n - 9, 10 * n), trimmed=10) for n in range(1, 41)
    )
    letters = (Letter(1, "row", epochs[-1].epoch, Range(395, 395), "content", True),
               Letter(2, "range", epochs[0].epoch, Range(1, 9), "rejected", True))
    facts = Facts(replace(SPOOL, epochs=epochs), replace(SHIP, letters=letters))
    lines = table(facts)
    assert len(lines) == 1 + 1 + EPOCHS_MAX
    assert lines[0].split()[-1] == "letters"
    assert lines[1].split() == ["28", "older", "1", "280", "280", *"-----", "9"]
    assert lines[-1].split() == [epochs[-1].epoch, "391", "400", "10", *"-----", "1"]
    assert len({len(line) for line in lines}) == 1
    shown = judge(facts).shown["epochs"]
    assert shown[-1]["dead_letters"] == {"row": 1, "range": 0}


def test_events_that_are_rows_already_do_not_wait() -> None:
    """Copied by set difference: those in the spool are told."""
    facts = Facts(replace(SPOOL, copied=frozenset({"id"})), replace(SHIP, events={"id": "x"}))
    assert "ship.events" not in findings(facts)


def test_a_hole_is_cut_where_its_reason_changes() -> None:
    """Told ranges that overlap give each number one reason; what is between has none."""
    told = Told([
        GapRow(90, Range(10, 19), 5, "thinned"),
        GapRow(95, Range(15, 29), 5, "dropped"),
        GapRow(99, Range(40, 49), 10, "lost_by_cut"),
    ])
    assert [(p.found, p.reason, p.island) for p in told.pieces(Range(5, 52))] == [
        (Range(5, 9), None, -1), (Range(10, 19), "thinned", 0), (Range(20, 29), "dropped", 0),
        (Range(30, 39), None, -1), (Range(40, 49), "lost_by_cut", 1), (Range(50, 52), None, -1),
    ]
    assert (told.islands, told.counts) == ([Range(10, 29), Range(40, 49)], [10, 10])
    assert [p.found for p in told.pieces(Range(12, 12))] == [Range(12, 12)]


def test_gap_rows_are_read_as_the_collector_writes_them() -> None:
    """Ticks without numbers are none of them; a drop counts the gap rows that it took over."""
    plain = '{"first_seq":3,"last_seq":9,"count":4,"reason":"thinned"}'
    assert gap_row(12, plain) == GapRow(12, Range(3, 9), 4, "thinned")
    ticks = '{"first_seq":null,"last_seq":null,"count":4,"reason":"killed"}'
    assert gap_row(12, ticks) is None
    merged = (
        '{"first_seq":3,"last_seq":99,"count":40,"reason":"dropped","gap_rows":2,'
        '"merged":{"dropped":30,"quarantine":6,"killed":4,"not_running":null}}'
    )
    assert gap_row(120, merged) == GapRow(120, Range(3, 99), 38, "dropped")
    with pytest.raises(ValueError, match="gap row 5"):
        gap_row(5, '{"first_seq":1,"last_seq":2}')


def test_ranges_stay_small_and_keep_their_sum() -> None:
    """Of very many holes the first are named, all are counted."""
    made = Ranges()
    for seq in range(1, 2001, 2):
        made.add(Range(seq, seq))
    assert (made.count, len(made.shown)) == (1000, 100)
    assert named(made) == "1 000 (seq 1, 3, 5, 7, 9, …)"
    touching = with_ranges(Range(4, 5), Range(6, 9))
    assert named(touching) == "6 (seq 4 … 9)"


def test_an_acknowledgement_covers_at_most_its_epoch() -> None:
    """Beyond its epoch's end it says nothing of the next one; a foreign one says nothing."""
    assert licensed(LINEAGE, Acknowledgement("t", A, 150)) == Position(1, 100)
    assert licensed(LINEAGE, Acknowledgement("t", OTHER, 150)) is None
    both = (Acknowledgement("t", B, 120), Acknowledgement("t", A, 99), None)
    assert licensed(LINEAGE, *both) == Position(2, 120)
