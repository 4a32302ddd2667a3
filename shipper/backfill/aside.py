"""What lies under ``<spool>/aside``: whose it is, and what of it never reached the server."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from common.database import open_reader, refuse_newer
from common.errors import SpoolError
from common.ship_state import Acknowledgement, ShipStateUnreadable, read_ship_state
from common.spool import tables
from common.spool.prepare import sync_directory
from common.spool.schema import ASIDE_DIRECTORY, SPOOL_FILE, SPOOL_VERSION

NOTE_FILE: Final = "adopted.json"
_SMALLEST_ROW_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class Aside:
    """One directory. ``None`` means that it could not be told.

    Attributes:
        name: of the directory.
        reason: why it was set aside.
        at: when, UTC; "": not known.
        has_spool: whether there is a spool at all; without one there is nothing to adopt.
        install_id: whose rows they are.
        rows: how many.
        epochs: how many.
        unacknowledged: rows that are not known to have reached the server.
        carried_over: whether the collector has carried its readable rows over by itself.
        adopted: when it was adopted, UTC; "": it was not.
        problem: what could not be read; "": nothing.
    """

    name: str
    reason: str
    at: str
    has_spool: bool = False
    install_id: str | None = None
    rows: int | None = None
    epochs: int | None = None
    unacknowledged: int | None = None
    carried_over: bool = False
    adopted: str = ""
    problem: str = ""

    def shown(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def list_aside(directory: Path, live_install: str | None) -> Iterator[Aside]:
    """All directories, oldest first.

    Args:
        directory: the spool directory.
        live_install: install that runs now; ``None``: there is none yet.
    """
    root = directory / ASIDE_DIRECTORY
    if root.is_dir():
        for place in sorted(entry for entry in root.iterdir() if entry.is_dir()):
            yield look_aside(directory, place.name, live_install)


def look_aside(directory: Path, name: str, live_install: str | None) -> Aside:
    """One directory; never raises for what is in it."""
    place = directory / ASIDE_DIRECTORY / name
    stamp, _, reason = name.partition("-")
    told: dict[str, Any] = {
        "name": name, "reason": reason.partition(".")[0], "at": _time(stamp),
        "adopted": _adopted(place),
    }
    path = place / SPOOL_FILE
    if not path.exists():
        return Aside(**told)
    told["has_spool"] = True
    try:
        with contextlib.closing(open_reader(path)) as connection:
            refuse_newer(connection, SPOOL_VERSION, path)
            install = tables.read_install(connection)
            told["install_id"] = None if install is None else install.install_id
            told["carried_over"] = install is not None and install.install_id == live_install
            known = acknowledged_seq(directory, connection)
            told["epochs"] = _one(connection, "SELECT count(*) FROM epochs")
            told["rows"] = _one(connection, "SELECT count(*) FROM readings")
            told["unacknowledged"] = _one(
                connection, "SELECT count(*) FROM readings WHERE seq > ?", known
            )
    except (sqlite3.Error, SpoolError) as error:
        told["problem"] = f"damaged: {error}"
    return Aside(**told)


def acknowledged_seq(directory: Path, connection: sqlite3.Connection) -> int:
    """The greatest seq of a spool that is known to have reached the server; 0: none is.

    Args:
        directory: the live spool's; the shipper's files there and under ``aside`` are asked, those
            of the same install.
        connection: the spool that was set aside.

    Raises:
        sqlite3.Error: its small tables cannot be read.
    """
    install = tables.read_install(connection)
    marks = [tables.read_trimmed(connection)]
    root = directory / ASIDE_DIRECTORY
    places = [directory, *(sorted(root.iterdir()) if root.is_dir() else ())]
    for place in places:
        with contextlib.suppress(ShipStateUnreadable):
            state = read_ship_state(place)
            if state is not None and install and state.install_id == install.install_id:
                marks.append(state.acknowledged)
    return max(_covered(connection, mark) for mark in marks)


def last_key(connection: sqlite3.Connection, path: Path) -> int:
    """The greatest seq that the file may hold; where it cannot be read, by its size."""
    try:
        return tables.last_seq(connection)
    except sqlite3.Error:
        firsts = connection.execute("SELECT max(first_seq) FROM epochs").fetchone()[0] or 0
        return int(firsts) + path.stat().st_size // _SMALLEST_ROW_BYTES


def note_adopted(directory: Path, name: str, told: dict[str, Any]) -> None:
    """Leave a note beside the files, durably.

    Raises:
        OSError: it cannot be written.
    """
    place = directory / ASIDE_DIRECTORY / name
    fresh = place / f"{NOTE_FILE}.new"
    with fresh.open("w") as file:
        json.dump(told, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(place / NOTE_FILE)
    sync_directory(place)


def _covered(connection: sqlite3.Connection, mark: Acknowledgement | None) -> int:
    """Rows through this seq are covered; an epoch that is not of this spool covers nothing.

    The epochs' own records tell where each one ends, also when the newest rows cannot be read.
    """
    if mark is None:
        return 0
    found = connection.execute(
        "SELECT min(next.first_seq) - 1 FROM epochs this LEFT JOIN epochs next "
        "ON next.ord > this.ord WHERE this.epoch = ? GROUP BY this.ord",
        (mark.epoch,),
    ).fetchone()
    if found is None:
        return 0
    return mark.seq if found[0] is None else min(mark.seq, int(found[0]))


def _one(connection: sqlite3.Connection, sql: str, *values: int) -> int:
    return int(connection.execute(sql, values).fetchone()[0])


def _time(stamp: str) -> str:
    try:
        moment = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return ""
    return moment.isoformat(timespec="seconds")


def _adopted(place: Path) -> str:
    try:
        return str(json.loads((place / NOTE_FILE).read_bytes())["at"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
