"""Judging a history: every row is in the table exactly once, or it is written why not."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from common.spool.row import INDEX, StoredRow
from shipper.dead_letters import DeadLetter
from tests.emulators.ingest.store import MemoryStore
from tests.model.simulation_books import Books, Broken, Key, key_of, told_range

_BOOTTIME, _TAKEN_AT, _SYNCED = (INDEX[n] for n in ("boottime_ns", "taken_at", "clock_synced"))


@dataclass(slots=True)
class Delivery:
    """What the server has of one row."""

    copies: int = 0
    flagged: int = 0
    tombstones: int = 0
    errors: int = 0


class Auditor:
    """Reads the server's table as it grows; ``deliveries`` is by key.

    Args:
        store: the table.
        books: what was stored.
        clock_wait_s: uptime until which a row of the running boot waits for the clock.
    """

    def __init__(self, store: MemoryStore, books: Books, clock_wait_s: float) -> None:
        self._store = store
        self._books = books
        self._clock_wait_s = clock_wait_s
        self._rows = self._errors = 0
        self._newest: dict[str, int] = {}
        self._told: dict[str, list[tuple[int, int]]] = defaultdict(list)
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
            found["duplicates flagged"] += max(0, delivery.copies - 1)
        return found

    def covered(self, row: StoredRow) -> bool:
        """Whether the server has had a row, good or bad."""
        delivery = self.deliveries.get(key_of(row))
        return delivery is not None and delivery.copies + delivery.errors > 0

    def told(self, key: Key) -> bool:
        """Whether a gap row in the table tells of that number."""
        return any(low <= key.seq <= high for low, high in self._told.get(key.install, ()))

    def _row(self, text: str, channel: str) -> None:
        row = json.loads(text)
        key = Key(row["install_id"], row["epoch"], row["seq"])
        stored = self._books.stored.get(key)
        if stored is None:
            raise Broken(f"{key} was never stored")
        if channel != f"TH_{key.install}":
            raise Broken(f"{key} came over the channel {channel} of another install")
        if row["boottime_ns"] != stored.values[_BOOTTIME]:
            raise Broken(f"{key} holds another sample than the one stored")
        self._check_time(key, row, stored)
        told = told_range(row["kind"], row.get("detail"))
        if told is not None:
            self._told[key.install].append(told)
        delivery = self.deliveries[key]
        delivery.copies += 1
        delivery.flagged += row["in_doubt"]
        delivery.tombstones += row["kind"] == "tombstone"
        place = self._books.places[key]
        if not row["in_doubt"] and place <= self._newest.get(key.install, -1):
            raise Broken(f"{key} at {place} came after {self._newest[key.install]}")
        self._newest[key.install] = max(place, self._newest.get(key.install, place))

    def _check_time(self, key: Key, row: dict[str, Any], stored: StoredRow) -> None:
        """A row is dated as it was stored, or by its boot's offset, and then is synchronised."""
        taken_us, synced = stored.values[_TAKEN_AT], bool(stored.values[_SYNCED])
        known = self._books.offsets.get(stored.origin.boot_id)
        if not synced and row["clock_synced"]:
            if known is None:
                raise Broken(f"{key} was dated by a clock that its boot never had")
            boottime = stored.values[_BOOTTIME]
            assert isinstance(boottime, int)
            taken_us = (boottime + known[0]) // 1000
        in_time = known is not None and known[1] < self._clock_wait_s
        if in_time and not (synced or row["clock_synced"] or self._books.forgetful):
            raise Broken(f"{key} was sent before its clock was known")
        assert isinstance(taken_us, int)
        if row["taken_at"] != _text(taken_us) or row["clock_synced"] < synced:
            raise Broken(f"{key} says {row['taken_at']}, not {_text(taken_us)}")


def _text(us: int) -> str:
    seconds, micros = divmod(us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"


def judge(books: Books, auditor: Auditor, letters: Iterable[DeadLetter]) -> None:
    """The end of a history, after faults ended and everything was given time.

    Raises:
        Broken: a row was lost, is there twice without its flag, was set aside without a letter, or
            is both there and told to be gone.
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
        if delivery.copies + delivery.errors == 0 and not excused and not auditor.told(key):
            raise Broken(f"{key} at {books.places[key]} is lost")
        if delivery.copies and key in books.removed and not books.forgetful:
            raise Broken(f"{key} is there, and a gap row tells that it is not")
        if delivery.copies - delivery.flagged > 1 or (
            delivery.copies > 1 and delivery.flagged < delivery.copies - 1
        ):
            raise Broken(f"{key} is there {delivery.copies} times, {delivery.flagged} flagged")
        if delivery.tombstones and (key.epoch, key.seq) not in buried:
            raise Broken(f"a tombstone stands for {key}, but its row was not kept")
        # Of a buried row it was the tombstone that was refused; ranges leave such rows out.
        kept = _in(held, key) or (key.epoch, key.seq) in buried
        if delivery.errors and not delivery.copies and not excused and not kept:
            raise Broken(f"{key} was refused after acceptance, and no dead letter holds it")


def _in(held: list[DeadLetter], key: Key) -> bool:
    return any(x.epoch == key.epoch and x.first_seq <= key.seq <= x.last_seq for x in held)
