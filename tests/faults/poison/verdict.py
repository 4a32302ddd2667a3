"""Judging what became of every row: in the table once, or kept where it is written.

A row is in the table, at most once without the flag ``in_doubt``, or it is in a dead letter with
its payload. A tombstone is superseded by a row of the same key; alone it must have its letter.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from common.spool.row import INDEX
from shipper.dead_letters import DeadLetter

_AS_FOUND = 3


class Key(NamedTuple):
    """The identity of a row within its install."""

    epoch: str
    seq: int


class Broken(AssertionError):
    """A promise was broken; the text says which, with the row."""


@dataclass(slots=True)
class Copies:
    """What the table has under one key."""

    plain: int = 0
    flagged: int = 0
    tombstones: int = 0
    boottimes: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Tally:
    """How a history ended."""

    once: int
    twice_flagged: int
    in_letters: int
    tombstones: int


def judge(
    stored: Mapping[Key, int], table: Iterable[Mapping[str, Any]], letters: Iterable[DeadLetter]
) -> Tally:
    """Hold table and letters against what was stored.

    Args:
        stored: boottime of each stored row: a row's own mark.
        table: every committed row.
        letters: every dead letter.

    Raises:
        Broken: a row is lost, doubled, invented or changed, or a letter does not hold its row.
    """
    copies = _copies(table)
    alone, ranged = _held(letters)
    for key, mark in [*alone.items(), *ranged.items()]:
        if stored.get(key) != mark:
            raise Broken(f"a dead letter holds another row than the one stored as {key}")
    for key in copies.keys() - stored.keys():
        raise Broken(f"{key} was never stored")
    for key, boottime in stored.items():
        found = copies.get(key, Copies())
        if found.plain > 1:
            raise Broken(f"{key} is there {found.plain} times, not flagged")
        if found.boottimes - {boottime}:
            raise Broken(f"{key} holds another row than the one stored")
        if found.plain + found.flagged == 0 and key not in alone and key not in ranged:
            raise Broken(f"{key} is lost: {found.tombstones} tombstones, no letter")
    return Tally(
        sum(c.plain + c.flagged == 1 for c in copies.values()),
        sum(c.plain + c.flagged > 1 for c in copies.values()),
        len(alone.keys() | ranged.keys()),
        sum(c.tombstones > 0 for c in copies.values()),
    )


def _copies(table: Iterable[Mapping[str, Any]]) -> dict[Key, Copies]:
    copies: dict[Key, Copies] = defaultdict(Copies)
    for row in table:
        found = copies[Key(row["epoch"], row["seq"])]
        if row["kind"] == "tombstone":
            found.tombstones += 1
            continue
        found.boottimes.add(row["boottime_ns"])
        if row["in_doubt"]:
            found.flagged += 1
        else:
            found.plain += 1
    return copies


def _held(letters: Iterable[DeadLetter]) -> tuple[dict[Key, int], dict[Key, int]]:
    """The rows that letters really hold, with their marks: of single rows, and of ranges."""
    alone: dict[Key, int] = {}
    ranged: dict[Key, int] = {}
    for letter in letters:
        for text in letter.payload.splitlines():
            row = json.loads(text)
            into = alone if letter.form == "row" else ranged
            if isinstance(row, dict):
                into[Key(row["epoch"], row["seq"])] = row["boottime_ns"]
            elif len(row) > _AS_FOUND:
                # A row that could not be encoded is kept as it was found: key, check sum, values.
                into[Key(row[0], row[1])] = row[_AS_FOUND + INDEX["boottime_ns"]]
    return alone, ranged
