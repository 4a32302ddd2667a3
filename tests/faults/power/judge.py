"""The verdict on a spool directory after a death and a recovery; none of the product's code in it.

The checksum is computed from its definition (see ``common.spool.row``), the tables are read as they
lie on the disk.
"""

import json
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.demo.sources import read_only

_ROWS: Final = """
    select r.*, e.epoch as its_epoch from readings r
    join origins o on o.ord = r.origin join epochs e on e.ord = o.epoch_ord order by r.seq
"""
Range = tuple[int, int]
_PROGRESS: Final = (
    "target, created_on_ms, acknowledged_token, acknowledged_seq, exposed_seq, "
    "rows_inserted_base, rows_error_base, in_doubt_seq"
)
_SHOWN: Final = 400
_BESIDE: Final = frozenset({"seq", "origin", "crc", "its_epoch"})


@dataclass(frozen=True, slots=True)
class Digest:
    """What a directory says, without what differs from start to start, such as names of epochs.

    Attributes:
        kept: whether the install is the one that the process found; ``None``: it found none.
        ship_kept: whether the shipper's file is of the same install as the spool.
        samples: seq and values of all samples, in order.
        told: every range of numbers that a gap row names.
        gaps: how many gap rows there are, by reason.
        events: ids that were copied, in order.
        ship: the shipper's tables, epochs left out.
        pending: what is still to be done: a salvage, or a file half set aside.
    """

    kept: bool | None
    ship_kept: bool | None
    samples: tuple[tuple[Any, ...], ...]
    told: tuple[Range, ...]
    gaps: tuple[tuple[str, int], ...]
    events: tuple[str, ...]
    ship: tuple[tuple[Any, ...], ...]
    pending: tuple[str, ...]

    def differences(self, other: "Digest") -> Iterable[tuple[str, str, str]]:
        """Name, own value and the other's value of what is not the same, shortened."""
        for name in self.__dataclass_fields__:
            mine, its = getattr(self, name), getattr(other, name)
            if mine != its:
                yield name, str(mine)[:_SHOWN], str(its)[:_SHOWN]


class Judge:
    """Reads one directory.

    Args:
        directory: the spool's; nobody has it open.
        found: the install that the process found at its start; ``None``: none.
    """

    def __init__(self, directory: Path, found: str | None) -> None:
        self._directory, self._found = directory, found
        self._ship_kept: bool | None = None
        with closing(read_only(directory / "spool.db")) as spool:
            self._integrity = [_integrity(spool)]
            self._rows = [dict(row) for row in spool.execute(_ROWS)]
            self._epochs = [tuple(row) for row in spool.execute(
                "select ord, epoch, parent, first_seq, boot_id from epochs order by ord"
            )]
            self._install = install_of(directory)
            self._trimmed = spool.execute("select token, seq from trimmed").fetchall()
            self._events = [r[0] for r in spool.execute("select id from events order by seq")]
            self._pending = [r[0] for r in spool.execute(
                "select key from state where key = 'salvage'"
            )]
        self._ship: list[tuple[Any, ...]] = [tuple(row) for row in self._trimmed]
        if (directory / "ship.db").exists():
            self._read_ship()
        if (directory / "aside" / "unfinished.json").exists():
            self._pending.append("unfinished")

    def _read_ship(self) -> None:
        with closing(read_only(self._directory / "ship.db")) as ship:
            self._integrity.append(_integrity(ship))
            owner = ship.execute("select install_id from install").fetchone()
            self._ship_kept = owner is not None and owner[0] == self._install
            for table, columns in (
                ("progress", _PROGRESS),
                ("dead_letters", "form, first_seq, last_seq, reason, message, payload"),
                ("events", "id, kind, day, count, closed"),
                ("requests", "id, kind"),
            ):
                self._ship += [(table, *row) for row in ship.execute(
                    f"select {columns} from {table} order by 1, 2"
                )]

    @property
    def digest(self) -> Digest:
        """See ``Digest``."""
        samples = tuple(
            (row["seq"], *(row[name] for name in row if name not in _BESIDE))
            for row in self._rows if row["kind"] == "sample"
        )
        reasons = Counter(detail["reason"] for detail in self._gaps())
        return Digest(
            None if self._found is None else self._found == self._install,
            self._ship_kept,
            samples,
            tuple(self._told()),
            tuple(sorted(reasons.items())),
            tuple(self._events),
            tuple(self._ship),
            tuple(self._pending),
        )

    def problems(self, reports: Iterable[str]) -> list[str]:
        """What is wrong; empty: nothing.

        Args:
            reports: what a process told the world before it ended.
        """
        found = [f"integrity_check: {word}" for word in self._integrity if word != "ok"]
        found += [f"row {r['seq']}: its checksum does not fit" for r in self._rows if not _fits(r)]
        have = [row["seq"] for row in self._rows]
        # What was trimmed is gone for good; only the shipper's acknowledgement tells of it.
        start = min(have, default=1)
        found += [f"no row has seq {n}, no gap row tells" for n in holes(have, self._told(), start)]
        taken = Counter(r["boottime_ns"] for r in self._rows if r["kind"] == "sample")
        found += [f"the sample of {t} is there {n} times" for t, n in taken.items() if n > 1]
        found += self._lineage_problems()
        for line in reports:
            found += self._broken_promise(json.loads(line))
        return found

    def _lineage_problems(self) -> list[str]:
        """Epochs are unique, and each one's parent is an older epoch that has rows, or had some."""
        names = [epoch[1] for epoch in self._epochs]
        found = ["an epoch's name is there twice"] if len(set(names)) < len(names) else []
        for order, name, parent, _, _ in self._epochs:
            if parent is not None and parent not in names[: names.index(name)]:
                found.append(f"epoch {order}: its parent {parent} is not an older epoch")
        return found

    def _broken_promise(self, told: Mapping[str, Any]) -> list[str]:
        """Whether something that was told is not there."""
        if "epoch" in told:
            have = {(row["its_epoch"], row["seq"], row["boottime_ns"]) for row in self._rows}
            return [
                f"row {seq} was told to be stored, and is not there"
                for seq, taken_ns in enumerate(told["taken"], told["first"])
                if (told["epoch"], seq, taken_ns) not in have
            ]
        progress = next((row for row in self._ship if row[0] == "progress"), (None,) * 6)
        place = 4 if "acknowledged" in told else 5
        expected = told.get("acknowledged", told.get("exposed"))
        return [] if progress[place] == expected else [f"{told} was told, and is not in ship.db"]

    def _gaps(self) -> list[dict[str, Any]]:
        return [json.loads(row["detail"]) for row in self._rows if row["kind"] == "gap"]

    def _told(self) -> list[Range]:
        named = [(d["first_seq"], d["last_seq"]) for d in self._gaps()]
        return sorted((first, last) for first, last in named if first is not None)


def holes(have: Iterable[int], told: Iterable[Range], start: int) -> list[str]:
    """Ranges, as text, that neither rows nor gap rows have, from ``start`` to the last row."""
    found, expected = [], start
    for first, last in sorted([*((seq, seq) for seq in have), *told]):
        if first > expected:
            found.append(f"{expected} to {first - 1}")
        expected = max(expected, last + 1)
    return found


def install_of(directory: Path) -> str | None:
    """Whose spool a directory holds; ``None``: it holds none."""
    if not (directory / "spool.db").exists():
        return None
    with closing(read_only(directory / "spool.db")) as spool:
        return str(spool.execute("select install_id from install").fetchone()[0])


def _integrity(connection: sqlite3.Connection) -> str:
    return str(connection.execute("pragma integrity_check").fetchone()[0])


def _fits(row: Mapping[str, Any]) -> bool:
    """Whether the row's checksum is that of its epoch, seq and values."""
    values = [row[name] for name in row if name not in _BESIDE]
    text = json.dumps([row["its_epoch"], row["seq"], *values], separators=(",", ":"))
    return bool(zlib.crc32(text.encode("ascii")) == row["crc"])
