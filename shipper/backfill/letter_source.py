"""The rows of a requeue: the lines of dead letters, one letter behind the other."""

import json
from dataclasses import dataclass

from shipper.backfill.jobs import Job, Jobs, Kept
from shipper.backfill.source import Line, flagged, read_line
from shipper.dead_letters import DeadLetter, DeadLetters


class LetterSource:
    """``Source`` over the dead letters of a job; holds one letter at a time.

    Rows of a range are flagged: most of them are in the table, only some were refused. A row that
    was refused alone is not: what is in the table under its key is a tombstone.
    """

    def __init__(self, jobs: Jobs, letters: DeadLetters, job: Job) -> None:
        self._jobs = jobs
        self._letters = letters
        self._job = job
        self._at = (1, 0)
        self._held: tuple[bytes | None, ...] = ()

    @property
    def last(self) -> int:
        """See ``Source``."""
        return self._job.last

    def lines(self, first: int, last: int) -> list[Line]:
        """See ``Source``."""
        found: list[Line] = []
        while first <= last and self._load(first):
            start, end = self._at
            for place in range(first, min(end, last) + 1):
                text = self._held[place - start]
                if text is not None:
                    found.append(Line(place, text))
            first = end + 1
        return found

    def _load(self, place: int) -> bool:
        """Hold the letter that has a place; returns whether there is one."""
        start, end = self._at
        if start <= place <= end:
            return True
        found = self._jobs.letter_at(self._job, place)
        if found is None:
            return False
        number, first, rows = found
        letter = self._letters.find(number)
        held = () if letter is None else texts(letter)
        self._held = held + (None,) * (rows - len(held))
        self._at = (first, first + rows - 1)
        return True


def texts(letter: DeadLetter) -> tuple[bytes | None, ...]:
    """The lines of a letter as they are to be sent; ``None`` for one that cannot be."""
    in_range = letter.form == "range"
    found: list[bytes | None] = []
    for text in letter.payload.splitlines(keepends=True):
        row = _own(letter, text)
        if row and in_range:
            found.append(flagged(text))
        else:
            found.append(text if row else None)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Usable:
    """What can be done with a letter.

    Attributes:
        rows: lines, sendable or not.
        sendable: how many can be sent.
        unsent: the others, as letters of their own.
        problem: why the letter as a whole cannot be sent; "": it can.
    """

    rows: int
    sendable: int
    unsent: tuple[Kept, ...] = ()
    problem: str = ""


def usable(letter: DeadLetter) -> Usable:
    """Look whether a letter can be sent again."""
    if not letter.payload:
        return Usable(0, 0, problem="its rows are damaged in ship.db")
    rows = letter.payload.splitlines(keepends=True)
    unsent: list[Kept] = []
    for text in rows:
        if _own(letter, text):
            continue
        seq = _seq_as_found(letter, text)
        if seq is None:
            return Usable(len(rows), 0, problem="a line of it cannot be read")
        alone = DeadLetter(
            "row", letter.epoch, seq, seq, letter.reason if letter.form == "row" else "corrupt",
            letter.message, text, letter.created_at,
        )
        unsent.append(Kept(0, alone))
    sendable = len(rows) - len(unsent)
    problem = "" if sendable else "what was found in the spool is no row that can be sent"
    return Usable(len(rows), sendable, tuple(unsent), problem)


def _own(letter: DeadLetter, text: bytes) -> bool:
    """Whether a line is a row of this letter."""
    row = read_line(text)
    return (
        row is not None
        and row["epoch"] == letter.epoch
        and letter.first_seq <= row["seq"] <= letter.last_seq
    )


def _seq_as_found(letter: DeadLetter, text: bytes) -> int | None:
    """The seq of a row that was kept as it was found (``shipper.graves.raw_line``)."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if not isinstance(found, list) or len(found) < 3 or found[0] != letter.epoch:
        return None
    seq = found[1]
    return seq if type(seq) is int and letter.first_seq <= seq <= letter.last_seq else None
