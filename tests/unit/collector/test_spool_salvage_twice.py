"""A spool that is damaged again while the rows of the first one are still being carried over.

Rule 6 holds for both files: each row arrives under its own key, or a gap row names it.
"""

import contextlib
import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from collector.spool import facts, quarantine, records, salvage, settle
from collector.spool.salvage import Salvage, Task
from collector.spool.store import SpoolStore
from collector.spool.upkeep import Upkeep
from common.spool.row import NewRow, StoredRow
from tests.tools.spools import (
    Device,
    damage,
    drain,
    forget_clean_stop,
    killed,
    leaf_pages,
    samples,
    value,
    wait_until,
)

ROWS = 3000
MORE = 400
CHUNKS = 1
"""Chunks of the first salvage that are done when the second damage comes."""
PAGE_ROWS = 40
"""More samples than fit on a page."""

Stored = dict[tuple[str, int], NewRow]


@dataclass(slots=True)
class Life:
    """A device whose spool was damaged while a salvage was pending, and all that it ever stored."""

    device: Device
    stored: Stored

    @property
    def path(self) -> Path:
        """The spool."""
        return self.device.directory / "spool.db"

    def grow(self, store: SpoolStore, first: int, count: int) -> None:
        """Store samples and remember their keys."""
        rows = samples(first, count)
        seqs = store.append(rows)
        self.stored |= {(store.epoch, seq): row for seq, row in zip(seqs, rows, strict=True)}

    def spoil(self, leaf: int) -> None:
        """Damage a page of readings in the stopped spool, as after a kill."""
        forget_clean_stop(self.device)
        page = leaf_pages(self.path)[leaf]
        damage(self.path, range(page, page + 1))

    def interrupted(self, chunks: int) -> None:
        """Start on a damaged spool, and stop again when a few chunks are carried over."""
        with self.device.start() as store:
            self.grow(store, len(self.stored), MORE)
            work = Salvage(store)
            for _ in range(chunks):
                assert work.step()

    def finish(self) -> list[StoredRow]:
        """Start, let the salvage end, and read all rows as the shipper would."""
        with self.device.start() as store:
            upkeep = Upkeep(store)
            wait_until(lambda: not upkeep.run().salvaging)
            return drain(self.device.reader())


@pytest.fixture
def life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Life:
    """Damaged once, with a third carried over, and then damaged again."""
    monkeypatch.setattr(salvage, "SLICE_S", -1.0)
    device = Device(tmp_path)
    _, epoch = killed(device, ROWS)
    made = Life(device, {(epoch, i + 1): row for i, row in enumerate(samples(0, ROWS))})
    made.spoil(50)
    made.interrupted(CHUNKS)
    made.spoil(10)
    return made


def told(rows: list[StoredRow], reason: str = "quarantine") -> list[dict[str, Any]]:
    """The gap rows of one reason."""
    details = [json.loads(str(value(r, "detail"))) for r in rows if value(r, "kind") == "gap"]
    return [detail for detail in details if detail["reason"] == reason]


def unexplained(life: Life, rows: list[StoredRow]) -> list[str]:
    """What is wrong with the rows at the end; nothing: each is there once or named once."""
    found = [(row.origin.epoch, row.seq) for row in rows]
    kept = {k: row.values for k, row in zip(found, rows, strict=True) if k in life.stored}
    gaps = told(rows)
    missing = sorted(seq for epoch, seq in life.stored.keys() - kept.keys())
    named = [g for g in gaps for seq in missing if g["first_seq"] <= seq <= g["last_seq"]]
    problems = [f"changed: {k}" for k, row in kept.items() if row != life.stored[k]]
    problems += ["twice"] * (len(found) != len(set(found)))
    problems += [f"{len(missing)} missing, {len(named)} named"] * (len(missing) != len(named))
    counted = sum(gap["count"] for gap in gaps)
    problems += [f"{len(missing)} missing, {counted} counted"] * (len(missing) != counted)
    return problems


def lost(life: Life, rows: list[StoredRow]) -> int:
    """How many rows of all files have not arrived."""
    return len(life.stored) - sum((row.origin.epoch, row.seq) in life.stored for row in rows)


def test_rule_06_every_row_of_both_files_arrives_or_is_named(life: Life) -> None:
    """Only what was on the pages that were destroyed is told as lost, with right numbers."""
    rows = life.finish()
    assert unexplained(life, rows) == []
    assert 0 < lost(life, rows) < 2 * PAGE_ROWS
    assert len(list((life.device.directory / "aside").glob("*/spool.db"))) == 2


@pytest.mark.parametrize("remembered", [True, False])
def test_rule_06_a_row_that_the_second_file_lost_may_be_in_the_first(
    life: Life, monkeypatch: pytest.MonkeyPatch, *, remembered: bool
) -> None:
    """Pages that hold carried rows cost nothing; with the first file forgotten they do."""
    life.spoil(-5)
    if not remembered:
        monkeypatch.setattr(facts, "_pending", lambda _: ())
    rows = life.finish()
    assert unexplained(life, rows) == []
    assert ({row.seq for row in rows} >= set(range(1, 1025))) is remembered


def test_rule_06_a_third_damage_reads_all_three_files(life: Life) -> None:
    """The line of files grows as long as no salvage ends."""
    life.interrupted(2)
    life.spoil(20)
    rows = life.finish()
    assert unexplained(life, rows) == []
    assert 0 < lost(life, rows) < 3 * PAGE_ROWS


def test_rule_06_killed_in_the_second_salvage_it_goes_on(life: Life, tmp_path: Path) -> None:
    """Killed after a chunk of it, and cut off from power: the task names both files."""
    with life.device.start() as store:
        assert Salvage(store).step()
        cut = life.device.copy(tmp_path / "cut")
    forget_clean_stop(life.device)
    cut.reboot()
    for device in (life.device, cut):
        again = Life(device, life.stored)
        rows = again.finish()
        assert unexplained(again, rows) == []
        assert 0 < lost(again, rows) < 2 * PAGE_ROWS


class Killed(Exception):
    """The start was cut short."""


def _kill(*_: object, **__: object) -> NoReturn:
    raise Killed


@pytest.mark.parametrize(
    ("where", "what"),
    [
        (quarantine, "note"),
        (quarantine, "_unlink"),
        (settle, "_apply"),
        (records.Records, "epoch"),
        (quarantine, "finish"),
    ],
)
def test_rule_06_a_start_cut_short_between_the_two_files_is_repeated(
    life: Life, monkeypatch: pytest.MonkeyPatch, where: object, what: str
) -> None:
    """At every step of setting the second file aside the first one is not forgotten."""
    with monkeypatch.context() as power:
        power.setattr(where, what, _kill)
        with pytest.raises(Killed):
            life.device.start()
    rows = life.finish()
    assert unexplained(life, rows) == []
    assert 0 < lost(life, rows) < 2 * PAGE_ROWS


def test_rule_06_what_only_a_file_that_is_gone_had_is_told(life: Life) -> None:
    """The first file was deleted by hand: its remainder is named with right numbers."""
    (aside,) = (life.device.directory / "aside").glob("*/spool.db")
    aside.unlink()
    rows = life.finish()
    assert unexplained(life, rows) == []
    assert lost(life, rows) > ROWS - 1024 - PAGE_ROWS


@pytest.mark.parametrize("note", ["no JSON", "[]", "{}", '{"file":5}', '{"file":"a","older":7}'])
def test_rule_06_a_note_of_the_first_file_that_is_damaged_loses_no_word(
    life: Life, note: str
) -> None:
    """Nobody knows of the first file any more: its remainder is told, the second is salvaged."""
    with contextlib.closing(sqlite3.connect(life.path)) as connection:
        connection.execute("UPDATE state SET value = ? WHERE key = 'salvage'", (note,))
        connection.commit()
    rows = life.finish()
    assert unexplained(life, rows) == []


def test_negative_control_a_forgotten_first_file_costs_its_rows(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readable rows of the first file are left behind."""
    monkeypatch.setattr(facts, "_pending", lambda _: ())
    assert lost(life, life.finish()) > ROWS - 1024 - PAGE_ROWS


def test_negative_control_a_hole_that_is_not_parted_has_wrong_numbers(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The jump of seq behind the missing rows is counted with them."""
    monkeypatch.setattr(facts, "_pending", lambda _: ())
    monkeypatch.setattr(salvage.Hole, "without", lambda hole, _: [hole])
    assert any("counted" in problem for problem in unexplained(life, life.finish()))


def test_a_jump_beside_small_holes_is_told_by_its_own_gap_row() -> None:
    """Small holes near it are told together, the jump between them is not."""
    task = Task("aside", 1, 900_000, [])
    numbers = (*range(1, 9), 11, 12, 700_001, 700_004)
    task.mark_holes(1, 700_004, [(seq,) for seq in numbers])
    task.whole = [(13, 700_000)]
    assert [(h.first, h.last, h.count) for h in task.missing()] == [
        (9, 10, 2), (700_002, 700_003, 2)
    ]
