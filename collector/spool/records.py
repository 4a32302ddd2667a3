"""The records that a start writes, all inside its one transaction."""

import contextlib
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Final

from collector.spool.decide import Plan
from collector.spool.options import Names
from collector.stamp import Stamp
from common.identity import Epoch, Hardware, Install, Lineage
from common.ship_state import Mark
from common.spool.row import NewRow, row_crc
from common.spool.schema import INSERT_ROW

_ID_BYTES: Final = 8
_UNKNOWN_BOOT: Final = "unknown"
_CARRIED: Final = {
    "epochs": "ord, epoch, parent, boot_id, first_seq, stored_before, reason, created_at",
    "origins": "ord, epoch_ord, device_id, hostname, collector_version",
    "boots": "boot_id, realtime_offset_ns",
    "trimmed": "id, token, epoch, seq",
    "events": "id, seq",
}
"""Tables that go over from a set-aside file, whatever becomes of its rows."""


class Records:
    """Writes install, epochs, origins and rows through one open transaction.

    Args:
        connection: inside BEGIN IMMEDIATE; the caller commits.
        now: stamps what is written.
        random_bytes: source of ids; blocks until the kernel's generator is seeded.
    """

    def __init__(
        self, connection: sqlite3.Connection, now: Stamp, random_bytes: Callable[[int], bytes]
    ) -> None:
        self.connection = connection
        self.now = now
        self._random_bytes = random_bytes

    def install(self, known: Install | None, present: Hardware) -> Install:
        """Write whose spool it is; ``None`` makes a new install of the present hardware."""
        install = known or Install(_install_id(self._random_bytes(_ID_BYTES), present), present)
        self.connection.execute(
            "INSERT INTO install (id, install_id, board_serial, card_serial, created_at) "
            "VALUES (1, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
            "board_serial = excluded.board_serial, card_serial = excluded.card_serial",
            (
                install.install_id,
                install.hardware.board_serial,
                install.hardware.card_serial,
                self.now.realtime_ns // 1000,
            ),
        )
        return install

    def carry_over(self, aside: Path, *, lineage: bool) -> None:
        """Copy the small tables of a set-aside file, each as far as it can be read.

        Args:
            aside: the file.
            lineage: whether its epochs make sense; if not, they and their origins stay behind.
        """
        try:
            source = sqlite3.connect(f"{aside.absolute().as_uri()}?mode=ro", uri=True)
        except sqlite3.Error:
            return
        with contextlib.closing(source):
            for table, columns in _CARRIED.items():
                if table in ("epochs", "origins") and not lineage:
                    continue
                places = ", ".join("?" for _ in columns.split(","))
                with contextlib.suppress(sqlite3.Error, ValueError, OverflowError):
                    rows = source.execute(f"SELECT {columns} FROM {table}").fetchall()  # noqa: S608
                    self.connection.executemany(
                        f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({places})",  # noqa: S608
                        rows,
                    )

    def seed(self, marks: tuple[Mark, ...]) -> None:
        """Epochs of which only the shipper's file still knows."""
        parent: str | None = None
        end = 0
        for order, mark in enumerate(marks, 1):
            self._epoch((order, mark.epoch, parent, _UNKNOWN_BOOT, end + 1, end, "remembered"))
            parent, end = mark.epoch, mark.seq

    def epoch(self, lineage: Lineage | None, plan: Plan, boot_id: str) -> Epoch:
        """Make the new epoch; its parent is the newest one that has rows.

        Args:
            lineage: the epochs before it, with the ends that are known; ``None``: a new install.
            plan: see ``Plan``.
            boot_id: the running boot.
        """
        parent = plan.seeds[-1].epoch if plan.seeds else None
        if lineage is not None and lineage.epochs:
            parent = _parent(lineage, plan.stored_before)
        found = self.connection.execute("SELECT max(ord) FROM epochs").fetchone()[0] or 0
        name = self._random_bytes(_ID_BYTES).hex()
        assert plan.epoch_reason is not None
        self._epoch(
            (found + 1, name, parent, boot_id, plan.next_seq, plan.stored_before, plan.epoch_reason)
        )
        return Epoch(found + 1, name, parent, boot_id, plan.next_seq, plan.next_seq - 1)

    def origin(self, order: int, names: Names) -> int:
        """The number of the origin of these names in that epoch; made if it is new."""
        key = (order, names.device_id, names.hostname, names.collector_version)
        row = self.connection.execute(
            "SELECT ord FROM origins WHERE epoch_ord = ? AND device_id = ? AND hostname = ? "
            "AND collector_version = ?",
            key,
        ).fetchone()
        if row is not None:
            return int(row[0])
        made = self.connection.execute(
            "INSERT INTO origins (epoch_ord, device_id, hostname, collector_version) "
            "VALUES (?, ?, ?, ?)",
            key,
        )
        assert made.lastrowid is not None
        return made.lastrowid

    def row(self, epoch: str, seq: int, origin: int, values: NewRow) -> None:
        """Store one row with the seq that it was given."""
        self.connection.execute(INSERT_ROW, (seq, origin, *values, row_crc(epoch, seq, values)))

    def _epoch(self, record: tuple[int, str, str | None, str, int, int, str]) -> None:
        self.connection.execute(
            "INSERT INTO epochs (ord, epoch, parent, boot_id, first_seq, stored_before, reason, "
            "created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*record, self.now.realtime_ns // 1000),
        )


def _install_id(drawn: bytes, present: Hardware) -> str:
    """An id out of random bytes, with the check sum of the serial numbers over its low 32 bits.

    Boards of one kind with one image can draw equal bytes at their first boot: a generator whose
    only seed is a file of that image. Their serial numbers differ, so their channels do. XOR takes
    nothing from bytes that are random. CRC-32 is enough to tell two boards apart, and zlib is
    loaded anyway; hashlib would cost memory for as long as the service runs.
    """
    serials = f"{present.board_serial}\0{present.card_serial}".encode()
    mixed = int.from_bytes(drawn, "big") ^ zlib.crc32(serials)
    return f"{mixed:0{2 * _ID_BYTES}X}"


def _parent(lineage: Lineage, stored_before: int) -> str | None:
    """The newest epoch that has rows: an empty one is never a parent (rule 5)."""
    for epoch in reversed(lineage.epochs):
        end = epoch.last_seq
        if epoch is lineage.newest:
            end = max(end, stored_before)
        if end >= epoch.first_seq:
            return epoch.epoch
    return None
