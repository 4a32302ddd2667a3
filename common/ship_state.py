"""What the shipper's file tells the collector: read-only, and never trusted further than needed.

``ship.db`` belongs to the shipper. The collector reads from it what may be trimmed (acknowledged),
what may have left the device (exposed), what is to be told to the table (events), and what only the
collector may do (requests).
"""

import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from common.database import Opener, open_reader, user_version
from common.errors import SpoolError
from common.ship_progress import StoredProgress, read_stored_progress

SHIP_FILE: Final = "ship.db"
SHIP_VERSION: Final = 2
EXPOSURE_LOCK: Final = "exposure.lock"


class ShipStateUnreadable(SpoolError):
    """``ship.db`` is there but cannot be read: everything counts as exposed, nothing is trimmed."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The committed token as the shipper stored it, with the local position it stands for.

    Attributes:
        token: the server's offset token, or ``None`` when the server had none.
        epoch: epoch of the position that the reconcile table gave it; one that is not in the local
            lineage covers nothing.
        seq: seq of that position.
    """

    token: str | None
    epoch: str
    seq: int


class Mark(NamedTuple):
    """A row named by its epoch and seq, as another file keeps it."""

    epoch: str
    seq: int


@dataclass(frozen=True, slots=True)
class ShippingEvent:
    """Something the shipper wants told to the table; only closed ones are read.

    Attributes:
        id: random, unique.
        kind: what happened, such as ``channel_recreated``.
        first_at: when it first happened, UTC, µs.
        last_at: when it last happened, UTC, µs.
        count: how often, within one UTC day.
        detail: JSON object of the first, or of the last, of them.
    """

    id: str
    kind: str
    first_at: int
    last_at: int
    count: int
    detail: str


@dataclass(frozen=True, slots=True)
class Request:
    """What only the collector may do: ``new_epoch`` or ``new_install``."""

    id: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class ShipState:
    """One reading of ``ship.db``.

    Attributes:
        install_id: the install it belongs to; ``None``: the shipper has not settled it yet.
        board_serial: as the install last saw it; ``None`` like ``install_id``.
        card_serial: as the install last saw it; ``None`` like ``install_id``.
        acknowledged: the licence to trim; ``None``: nothing was ever committed.
        exposed: the newest row that may have left the device; ``None``: none ever did.
        events: closed events, oldest first.
        requests: open requests, oldest first.
    """

    install_id: str | None = None
    board_serial: str | None = None
    card_serial: str | None = None
    acknowledged: Acknowledgement | None = None
    exposed: Mark | None = None
    events: tuple[ShippingEvent, ...] = field(default=())
    requests: tuple[Request, ...] = field(default=())


def read_ship_state(directory: Path, opener: Opener = open_reader) -> ShipState | None:
    """Read the shipper's file once.

    Args:
        directory: the spool directory.
        opener: opens the file for reading.

    Returns:
        Its content, or ``None`` when the shipper has not made it yet.

    Raises:
        ShipStateUnreadable: it exists but cannot be read, its progress does not fit its checksum,
            or it is of a newer version.
    """
    path = directory / SHIP_FILE
    if not path.exists():
        return None
    try:
        connection = opener(path)
        try:
            return _read(connection, path)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise _unreadable(path, str(error)) from error


def _read(connection: sqlite3.Connection, path: Path) -> ShipState | None:
    version = user_version(connection)
    if version == 0:
        return None
    if version > SHIP_VERSION:
        raise _unreadable(path, f"tables of version {version}, at most {SHIP_VERSION} is known")
    connection.execute("BEGIN")
    install = connection.execute(
        "SELECT install_id, board_serial, card_serial FROM install"
    ).fetchone() or (None, None, None)
    acknowledged, exposed = _progress(connection)
    events = connection.execute(
        "SELECT id, kind, first_at, last_at, count, detail FROM events WHERE closed = 1 "
        "ORDER BY first_at, id"
    ).fetchall()
    requests = connection.execute("SELECT id, kind, reason FROM requests ORDER BY rowid").fetchall()
    return ShipState(
        install[0],
        install[1],
        install[2],
        acknowledged,
        exposed,
        tuple(ShippingEvent(*event) for event in events),
        tuple(Request(*request) for request in requests),
    )


def _progress(connection: sqlite3.Connection) -> tuple[Acknowledgement | None, Mark | None]:
    row = read_stored_progress(connection)
    if row is None:
        return None, None
    return acknowledgement_of(row), mark_of(row.exposed_epoch, row.exposed_seq)


def acknowledgement_of(row: StoredProgress) -> Acknowledgement | None:
    """The licence to trim that the row holds; ``None``: nothing was ever committed."""
    place = mark_of(row.acknowledged_epoch, row.acknowledged_seq)
    return None if place is None else Acknowledgement(row.acknowledged_token, *place)


def mark_of(epoch: str | None, seq: int | None) -> Mark | None:
    """Two columns as one place; ``None``: there is none."""
    return None if epoch is None or seq is None else Mark(epoch, seq)


def _unreadable(path: Path, why: str) -> ShipStateUnreadable:
    return ShipStateUnreadable(
        f"{path}: cannot be read: {why}; nothing is trimmed",
        op="read",
        path=str(path),
        hint="restart thermal-shipper: it sets a damaged ship.db aside and starts a new one",
    )
