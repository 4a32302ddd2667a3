"""Reads ``ship.db`` for an audit, beside the running shipper."""

import contextlib
import gzip
import sqlite3
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from common.database import open_reader, refuse_newer, translate
from common.ship_state import SHIP_FILE, SHIP_VERSION
from shipper.audit.facts import Letter, Range, ShipFacts
from shipper.ledger import read_progress
from shipper.progress import Progress

_JOBS_VERSION: Final = 2
"""The version of the tables that brought the jobs of ``dead-letters``."""


def read_ship(directory: Path) -> ShipFacts:
    """All facts of the shipper's file; without one, or without tables, none.

    Raises:
        SpoolNewer: a newer version made it.
        SpoolError: it cannot be read.
    """
    path = directory / SHIP_FILE
    if not path.exists():
        return ShipFacts()
    try:
        with contextlib.closing(open_reader(path)) as connection:
            version = refuse_newer(connection, SHIP_VERSION, path)
            return ShipFacts() if version == 0 else _read(connection, version)
    except sqlite3.Error as error:
        raise translate(error, "audit", path) from error


def read_place(directory: Path) -> Progress:
    """Only how far shipping has come.

    Raises:
        SpoolError: the file cannot be read.
    """
    path = directory / SHIP_FILE
    if not path.exists():
        return Progress()
    try:
        with contextlib.closing(open_reader(path)) as connection:
            version = refuse_newer(connection, SHIP_VERSION, path)
            return Progress() if version == 0 else read_progress(connection)
    except sqlite3.Error as error:
        raise translate(error, "audit", path) from error


def _read(connection: sqlite3.Connection, version: int) -> ShipFacts:
    connection.execute("BEGIN")
    install = connection.execute("SELECT install_id FROM install").fetchone()
    closed = connection.execute("SELECT id, kind FROM events WHERE closed = 1").fetchall()
    still_open = connection.execute("SELECT count(*) FROM events WHERE closed = 0").fetchone()[0]
    requests = connection.execute("SELECT id, kind FROM requests ORDER BY rowid").fetchall()
    jobs: list[tuple[int]] = []
    if version >= _JOBS_VERSION:
        jobs = connection.execute(
            "SELECT n FROM backfills WHERE finished_at IS NULL ORDER BY n"
        ).fetchall()
    return ShipFacts(
        True,
        None if install is None else install[0],
        read_progress(connection),
        tuple(_letters(connection)),
        dict(closed),
        still_open,
        tuple(requests),
        tuple(n for (n,) in jobs),
    )


def _letters(connection: sqlite3.Connection) -> Iterator[Letter]:
    """All dead letters; each payload is unpacked once, and not kept."""
    for number, form, epoch, first, last, reason, payload in connection.execute(
        "SELECT id, form, epoch, first_seq, last_seq, reason, payload FROM dead_letters ORDER BY id"
    ):
        yield Letter(number, form, epoch, Range(first, last), reason, _readable(payload))


def _readable(payload: bytes | None) -> bool:
    try:
        return bool(gzip.decompress(payload or b""))
    except (OSError, EOFError, zlib.error):
        return False
