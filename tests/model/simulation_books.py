"""What was stored in a history, and what became of it without the shipper."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from common.spool.row import INDEX, StoredRow
from shipper.protocol.token import parse

_KIND, _DETAIL = INDEX["kind"], INDEX["detail"]


class Key(NamedTuple):
    """The identity of a row."""

    install: str
    epoch: str
    seq: int


class Broken(AssertionError):
    """A promise was broken; the text says which, with the row."""


@dataclass(slots=True)
class Books:
    """See the module.

    Attributes:
        stored: every row ever stored.
        places: when each was stored, as a number that only grows; epoch orders are given anew after
            a card lost epochs.
        lost: rows that a lying card gave back, or that went with a file.
        aside: rows of installs that were given up.
        removed: rows that a gap row tells of.
        offsets: wall clock minus uptime by boot, and the uptime when it was known.
        copied: ids of the shipper's events, with the row of each.
        forgetful: whether a file went back or was lost; then rows may be told and sent.
    """

    stored: dict[Key, StoredRow] = field(default_factory=dict)
    places: dict[Key, int] = field(default_factory=dict)
    lost: set[Key] = field(default_factory=set)
    aside: set[Key] = field(default_factory=set)
    removed: set[Key] = field(default_factory=set)
    offsets: dict[str, tuple[int, float]] = field(default_factory=dict)
    copied: dict[str, Key] = field(default_factory=dict)
    forgetful: bool = False

    def store(self, rows: Iterable[StoredRow]) -> None:
        """Rows were stored."""
        for row in rows:
            key = key_of(row)
            if key in self.stored and key not in self.lost:
                raise Broken(f"{key} names two samples")
            self.stored[key] = row
            self.places[key] = len(self.places)

    def copy(self, name: str, row: StoredRow) -> None:
        """An event of the shipper became a row.

        After the loss of a file it may be copied again; its id tells that it is the same.
        """
        earlier = self.copied.get(name)
        if earlier is not None and not self.forgetful:
            raise Broken(f"event {name} was stored twice, as {earlier} and {key_of(row)}")
        self.copied[name] = key_of(row)

    def place_of(self, install: str, token: str) -> int:
        """When the row that a token names was stored."""
        found = parse(token)
        return self.places[Key(install, found.epoch, found.seq)]

    def lose(self, rows: Iterable[StoredRow]) -> None:
        """Rows are gone for good, and with a gap row what it told."""
        self.forgetful = True
        self.lost.update(self._with_told(rows))

    def give_up(self, rows: Iterable[StoredRow]) -> None:
        """The install of these rows ends; they are kept aside and never sent."""
        self.aside.update(self._with_told(rows))

    def remove(self, rows: Iterable[StoredRow]) -> None:
        """Rows were thinned or dropped, and a gap row shall tell."""
        self.removed.update(key_of(row) for row in rows)

    def _with_told(self, rows: Iterable[StoredRow]) -> Iterator[Key]:
        for row in rows:
            yield key_of(row)
            told = told_range(row.values[_KIND], row.values[_DETAIL])
            if told is not None:
                low, high = told
                install = row.origin.install_id
                yield from (k for k in self.stored if k.install == install and low <= k.seq <= high)


def key_of(row: StoredRow) -> Key:
    """The identity of a stored row."""
    return Key(row.origin.install_id, row.origin.epoch, row.seq)


def told_range(kind: object, detail: object) -> tuple[int, int] | None:
    """First and last seq that a gap row tells of; ``None``: it tells of no numbers."""
    if kind != "gap":
        return None
    told = json.loads(detail) if isinstance(detail, str) else detail
    if not isinstance(told, dict) or told.get("first_seq") is None:
        return None
    return told["first_seq"], told["last_seq"]
