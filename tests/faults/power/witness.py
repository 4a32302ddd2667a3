"""Who saw what: the rows that another process could read just before the power went.

A row counts as promised only if it was read before the cut. The files are read straight, with none
of the product's code.
"""

import json
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.demo.sources import read_only
from tests.faults.power.judge import Range, holes

_ROWS: Final = """
    select e.epoch, r.seq, r.crc from readings r
    join origins o on o.ord = r.origin join epochs e on e.ord = o.epoch_ord
    where r.seq > ? order by r.seq
"""

Seen = tuple[str, int]
"""Epoch and seq of a row."""


class Witness:
    """Reads a spool again and again, and never forgets a row that it saw.

    Args:
        directory: the spool's.

    Attributes:
        promised: checksum by key of every row that was ever seen.
        acknowledged: the greatest acknowledged seq that was ever seen in ``ship.db``.
    """

    def __init__(self, directory: Path) -> None:
        self._spool, self._ship = directory / "spool.db", directory / "ship.db"
        self._connections: dict[Path, sqlite3.Connection] = {}
        self._last = 0
        self.promised: dict[Seen, int] = {}
        self.acknowledged = 0

    def look(self) -> int:
        """Read what is new; returns how many rows are visible in all, 0 when it cannot be read."""
        try:
            spool, ship = self._open(self._spool), self._open(self._ship)
            for epoch, seq, crc in spool.execute(_ROWS, (self._last,)).fetchall():
                self.promised[(epoch, seq)] = crc
                self._last = seq
            row = ship.execute("select max(acknowledged_seq) from progress").fetchone()
            self.acknowledged = max(self.acknowledged, row[0] or 0)
        except sqlite3.Error:
            self.close()
            return 0
        return len(self.promised)

    def _open(self, path: Path) -> sqlite3.Connection:
        if path not in self._connections:
            self._connections[path] = read_only(path)
        return self._connections[path]

    def close(self) -> None:
        """Let go of the files; the next look reads them whole again."""
        for connection in self._connections.values():
            connection.close()
        self._connections, self._last = {}, 0


@dataclass(slots=True)
class Inventory:
    """What a closed spool holds.

    Attributes:
        rows: checksum by key.
        told: ranges of numbers that gap rows name.
        reasons: of the gap rows.
        trimmed: the acknowledgement of the last trim; 0: none.
        acknowledged: the shipper's, 0: none.
        exposed: the newest row that may have left the device, 0: none.
        integrity: the word of ``integrity_check`` on both files.
    """

    rows: dict[Seen, int] = field(default_factory=dict)
    told: list[Range] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    trimmed: int = 0
    acknowledged: int = 0
    exposed: int = 0
    integrity: tuple[str, ...] = ()

    @property
    def holes(self) -> list[str]:
        """Ranges between the first and the last row that neither a row nor a gap row has."""
        have = [seq for _, seq in self.rows]
        return holes(have, self.told, min(have, default=1))


def inventory(directory: Path) -> Inventory:
    """Read a spool directory whole, as the next process to open it would see it."""
    found = Inventory()
    with closing(read_only(directory / "spool.db")) as spool:
        found.rows = {(epoch, seq): crc for epoch, seq, crc in spool.execute(_ROWS, (0,))}
        for row in spool.execute("select detail from readings where kind = 'gap'"):
            detail = json.loads(row["detail"])
            found.reasons.append(detail["reason"])
            if detail["first_seq"] is not None:
                found.told.append((detail["first_seq"], detail["last_seq"]))
        row = spool.execute("select max(seq) from trimmed").fetchone()
        found.trimmed = row[0] or 0
        found.integrity = (spool.execute("pragma integrity_check").fetchone()[0],)
    if (directory / "ship.db").exists():
        with closing(read_only(directory / "ship.db")) as ship:
            row = ship.execute(
                "select max(acknowledged_seq), max(exposed_seq) from progress"
            ).fetchone()
            found.acknowledged, found.exposed = row[0] or 0, row[1] or 0
            found.integrity += (ship.execute("pragma integrity_check").fetchone()[0],)
    return found
