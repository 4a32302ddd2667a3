"""Judging a history: every row is in the table exactly once, or it is written why not."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from common.spool.row import INDEX, StoredRow
from shipper.dead_letters import DeadLetter
from shipper.protocol.token import parse
from tests.emulators.ingest.store import MemoryStore

_BOOTTIME = INDEX["boottime_ns"]


class Key(NamedTuple):
    """The identity of a row."""

    install: str
    epoch: str
    seq: int


class Broken(AssertionError):
    """A promise was broken; the text says which, with the row."""


@dataclass(slots=True)
class Books:
    """What was stored, and what became of it without the shipper.

    Attributes:
        stored: every row ever stored.
        places: when each was stored, as a number that only grows; epoch orders are given anew after
            a card lost epochs.
        lost: rows that a lying card gave back.
        aside: rows of installs that were given up.
    """

    stored: dict[Key, StoredRow] = field(default_factory=dict)
    places: dict[Key, int] = field(default_factory=dict)
    lost: set[Key] = field(default_factory=set)
    aside: set[Key] = field(default_factory=set)

    def store(self, rows: Iterable[StoredRow]) -> None:
        """Rows were stored."""
        for row in rows:
            key = key_of(row)
            if key in self.stored and key not in self.lost:
                raise Broken(f"{key} names two samples")
            self.stored[key] = row
            self.places[key] = len(self.places)

    def place_of(self, install: str, token: str) -> int:
        """When the row that a token names was stored."""
        found = parse(token)
        return self.places[Key(install, found.epoch, found.seq)]

    def lose(self, rows: Iterable[StoredRow]) -> None:
        """A card gave rows back."""
        self.lost.update(key_of(row) for row in rows)


@dataclass(slots=True)
class Delivery:
    """What the server has of one row."""

    copies: int = 0
    flagged: int = 0
    tombstones: int = 0
    errors: int = 0


def key_of(row: StoredRow) -> Key:
    """The identity of a stored row."""
    return Key(row.origin.install_id, row.origin.epoch, row.seq)


class Auditor:
    """Reads the server's table as it grows; ``deliveries`` is by key."""

    def __init__(self, store: MemoryStore, books: Books) -> None:
        self._store = store
        self._books = books
        self._rows = self._errors = 0
        self._newest: dict[str, int] = {}
        self.deliveries: dict[Key, Delivery] = defaultdict(Delivery)

    def read(self) -> None:
        """Take in what was committed since the last time.

        Raises:
            Broken: a row is not what was stored under its key, or came before an older one.
        """
        rows, errors = self._store.rows, self._store.errors
        for committed in rows[self._rows :]:
            self._row(committed.row, committed.name.channel)
        self._rows = len(rows)
        for error in errors[self._errors :]:
            row = json.loads(error.bad.row)
            key = Key(row["install_id"], row["epoch"], row["seq"])
            self.deliveries[key].errors += 1
        self._errors = len(errors)

    def totals(self) -> Counter[str]:
        """What the server has in all."""
        found: Counter[str] = Counter()
        for delivery in self.deliveries.values():
            found["copies"] += delivery.copies
            found["flagged"] += delivery.flagged
            found["tombstones"] += delivery.tombstones
            found["row errors"] += delivery.errors
        return found

    def covered(self, row: StoredRow) -> bool:
        """Whether the server has had a row, good or bad."""
        delivery = self.deliveries.get(key_of(row))
        return delivery is not None and delivery.copies + delivery.errors > 0

    def _row(self, text: str, channel: str) -> None:
        row = json.loads(text)
        key = Key(row["install_id"], row["epoch"], row["seq"])
        stored = self._books.stored.get(key)
        if stored is None:
            raise Broken(f"{key} was never stored")
        if channel != f"TH_{key.install}":
            raise Broken(f"{key} came over the channel {channel} of another install")
        if row["boottime_ns"] != stored.values[_BOOTTIME] and row["kind"] != "tombstone":
            raise Broken(f"{key} holds another sample than the one stored")
        delivery = self.deliveries[key]
        delivery.copies += 1
        delivery.flagged += row["in_doubt"]
        delivery.tombstones += row["kind"] == "tombstone"
        place = self._books.places[key]
        if not row["in_doubt"] and place <= self._newest.get(key.install, -1):
            raise Broken(f"{key} at {place} came after {self._newest[key.install]}")
        self._newest[key.install] = max(place, self._newest.get(key.install, place))


def judge(books: Books, auditor: Auditor, letters: Iterable[DeadLetter]) -> None:
    """The end of a history, after faults ended and everything was given time.

    Raises:
        Broken: a row was lost, is there twice without its flag, or was set aside without a letter.
    """
    auditor.read()
    buried, held = set(), []
    for letter in letters:
        if letter.form == "row":
            buried.add((letter.epoch, letter.first_seq))
        else:
            held.append(letter)
    for key in books.stored:
        delivery = auditor.deliveries.get(key) or Delivery()
        excused = key in books.lost or key in books.aside
        if delivery.copies + delivery.errors == 0 and not excused:
            raise Broken(f"{key} at {books.places[key]} is lost")
        if delivery.copies - delivery.flagged > 1 or (
            delivery.copies > 1 and delivery.flagged < delivery.copies - 1
        ):
            raise Broken(f"{key} is there {delivery.copies} times, {delivery.flagged} flagged")
        if delivery.tombstones and (key.epoch, key.seq) not in buried:
            raise Broken(f"a tombstone stands for {key}, but its row was not kept")
        if delivery.errors and not delivery.copies and not excused and not _in(held, key):
            raise Broken(f"{key} was refused after acceptance, and no dead letter holds it")


def _in(held: list[DeadLetter], key: Key) -> bool:
    return any(x.epoch == key.epoch and x.first_seq <= key.seq <= x.last_seq for x in held)
