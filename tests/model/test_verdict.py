"""The simulation's verdict itself: which letters answer for a row that was refused."""

import json
from collections.abc import Iterable

import pytest

from shipper.dead_letters import DeadLetter
from tests.emulators.ingest.rows import Poison
from tests.model.rig import Rig
from tests.model.simulation_books import Books, Broken
from tests.model.simulation_verdict import Auditor, judge

CLOCK_WAIT_S = 0.0


class Story:
    """Six rows: the third is refused at the door, and so is its tombstone after acceptance."""

    def __init__(self) -> None:
        self.rig = Rig()
        self.rig.knobs.refuse_rules = (Poison("quality", "BAD"),)
        self.rig.knobs.row_rules = (Poison("kind", "tombstone"),)
        self.books = Books()
        for quality in ("VALID", "VALID", "BAD", "VALID", "VALID", "VALID"):
            self.books.store(self.rig.take(1, quality=quality, clock_synced=1, kind="sample"))
        self.rig.until(self.rig.home)

    @property
    def letters(self) -> tuple[DeadLetter, ...]:
        """What the shipper kept."""
        return self.rig.ledger.state.letters

    def judge(self, letters: Iterable[DeadLetter]) -> None:
        """The verdict over this history, with these letters."""
        judge(self.books, Auditor(self.rig.store, self.books, CLOCK_WAIT_S), letters)


def test_a_buried_row_is_held_by_its_own_letter() -> None:
    """The range of its refused tombstone leaves the row out: its own letter has it."""
    story = Story()
    assert [json.loads(error.bad.row)["seq"] for error in story.rig.store.errors] == [3]
    assert [(x.first_seq, x.reason) for x in story.letters if x.form == "row"] == [(3, "content")]
    ranges = [line for x in story.letters if x.form == "range" for line in x.payload.splitlines()]
    assert 3 not in [json.loads(line)["seq"] for line in ranges]
    story.judge(story.letters)
    story.judge([x for x in story.letters if x.form == "row"])


def test_a_refused_row_without_any_letter_is_found() -> None:
    """The control: no letter, or that of another row, answers for nothing."""
    story = Story()
    (own,) = (x for x in story.letters if x.form == "row")
    other = DeadLetter("row", own.epoch, 4, 4, own.reason, own.message, own.payload, 0)
    elsewhere = DeadLetter("row", "f" * 16, 3, 3, own.reason, own.message, own.payload, 0)
    for letters in ([], [other], [elsewhere]):
        with pytest.raises(Broken, match="no dead letter holds it"):
            story.judge(letters)
