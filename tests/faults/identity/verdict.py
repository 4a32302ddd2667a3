"""The verdict over any number of devices: the server's table against everything ever stored.

It reads the spools and the table with its own SQL (``tests.demo.sources``), not with the product's
code, and knows nothing of who is right: what each device stored, what cards and operators took
back, and what arrived.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from sqlite3 import Error
from typing import Any

from tests.demo.rows import Key, Row
from tests.demo.sources import stored_rows


@dataclass(slots=True)
class Books:
    """Everything that was ever seen in a spool.

    Attributes:
        stored: every row, as it was first seen.
        taken_back: keys that a card or an operator took back and that are in no spool since.
        reused: keys under which two different rows were seen: the worst that can happen.
    """

    stored: dict[Key, Row] = field(default_factory=dict)
    taken_back: set[Key] = field(default_factory=set)
    reused: set[Key] = field(default_factory=set)

    def note(self, rows: Iterable[Row]) -> None:
        """A spool holds these rows now."""
        for row in rows:
            known = self.stored.setdefault(row.key, row)
            if _content(known) != _content(row):
                self.reused.add(row.key)
            self.taken_back.discard(row.key)

    def take_back(self, before: Iterable[Row], after: Iterable[Row]) -> None:
        """A spool held ``before`` and, by no doing of the services, holds ``after`` now."""
        self.taken_back |= {row.key for row in before} - {row.key for row in after}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of every row.

    Attributes:
        arrived: distinct keys in the table.
        copies: rows in the table beyond the first of their key, all of them flagged.
        flagged: rows in the table that say ``in_doubt``.
        lost: stored, never taken back, not kept aside, and not in the table.
        doubled: more often in the table than once and its flagged copies.
        invented: in the table, or there with another content, and never stored so.
        strayed: came over the channel of another install.
        reused: one key, two rows.
        gone: taken back before they had arrived: no file holds them any more.
        untold: of those, the ones that no gap row in the table names.
        aside: rows of an install that was given up, kept in ``aside/``.
        events: event rows in the table by their kind.
        gaps: rows or ticks that gap rows in the table tell of, by reason.
    """

    arrived: int
    copies: int
    flagged: int
    lost: tuple[Key, ...]
    doubled: tuple[Key, ...]
    invented: tuple[Key, ...]
    strayed: tuple[Key, ...]
    reused: tuple[Key, ...]
    gone: tuple[Key, ...]
    untold: tuple[Key, ...]
    aside: tuple[Key, ...]
    events: Mapping[str, int]
    gaps: Mapping[str, int]

    @property
    def broken(self) -> dict[str, tuple[Key, ...]]:
        """The promises that were not kept, each with its rows; empty: all were."""
        found = {
            "lost": self.lost,
            "doubled": self.doubled,
            "invented": self.invented,
            "strayed": self.strayed,
            "reused": self.reused,
        }
        return {promise: keys for promise, keys in found.items() if keys}


def judge(books: Books, arrived: list[tuple[str, Row]], aside: Iterable[Key]) -> Verdict:
    """Hold the table against the books.

    Args:
        books: what was stored, and taken back.
        arrived: the table: the channel that brought each row, and the row.
        aside: keys in the files that were set aside, of installs that no device has any more.
    """
    copies: dict[Key, list[Row]] = defaultdict(list)
    for _, row in arrived:
        copies[row.key].append(row)
    table = [row for _, row in arrived]
    missing = [key for key in books.stored if key not in copies]
    kept = set(aside)
    told = list(_told(table))
    gone = [key for key in missing if key in books.taken_back]
    return Verdict(
        arrived=len(copies),
        copies=len(table) - len(copies),
        flagged=sum(_flagged(row) for row in table),
        lost=tuple(k for k in missing if k not in books.taken_back and k not in kept),
        doubled=tuple(k for k, rows in copies.items() if _doubled(rows)),
        invented=tuple(r.key for r in table if _invented(r, books)),
        strayed=tuple(r.key for channel, r in arrived if channel != f"TH_{r.key.install_id}"),
        reused=tuple(sorted(books.reused)),
        gone=tuple(gone),
        untold=tuple(k for k in gone if not any(_names(gap, k) for gap in told)),
        aside=tuple(k for k in missing if k in kept),
        events=Counter(row.detail["event"] for row in table if row.kind == "event"),
        gaps=_gaps(told),
    )


def _content(row: Row) -> tuple[Any, ...]:
    return row.kind, row.boottime_ns, row.values.get("detail")


def _flagged(row: Row) -> bool:
    return bool(row.values.get("in_doubt"))


def _doubled(rows: list[Row]) -> bool:
    """One copy may stand without its flag: the first to arrive."""
    return sum(not _flagged(row) for row in rows) > 1 or not all(map(_flagged, rows[1:]))


def _invented(row: Row, books: Books) -> bool:
    stored = books.stored.get(row.key)
    return stored is None or _content(stored) != _content(row)


def _told(table: list[Row]) -> Iterator[Row]:
    """The gap rows, each once."""
    seen: set[Key] = set()
    for row in table:
        if row.kind == "gap" and row.key not in seen:
            seen.add(row.key)
            yield row


def _names(gap: Row, key: Key) -> bool:
    """Whether a gap row names a seq of the same install."""
    first, last = gap.detail.get("first_seq"), gap.detail.get("last_seq")
    if first is None or last is None or gap.key.install_id != key.install_id:
        return False
    return int(first) <= key.seq <= int(last)


def _gaps(told: list[Row]) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in told:
        found[str(row.detail["reason"])] += int(row.detail.get("count") or 0)
    return found


def read_spool(path: Path) -> list[Row]:
    """What a file holds; one that is missing, or that cannot be read now, holds nothing."""
    with suppress(Error, TypeError):
        return stored_rows(path)
    return []
