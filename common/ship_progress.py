"""The one row of ``ship.db`` that says how far shipping has come, with its checksum.

SQLite does not see a bit that flips in a value. Here one more in a seq would be a licence to trim
rows that nobody has, so nothing is read of this row without its checksum, and no change is written
over a row that does not pass: a new checksum would make the flipped value right.
"""

import json
import sqlite3
import zlib
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from common.database import damaged, user_version

CRC_VERSION: Final = 2
"""The version of the tables that brought the checksum."""

Stored: TypeAlias = str | int | None
"""What a column of the row may hold."""


class StoredProgress(NamedTuple):
    """The row's columns without the checksum, in the order in which the checksum covers them.

    ``None`` in an epoch or a target: there is none yet. See ``shipper.progress.Progress``.
    """

    id: int = 1
    target: str | None = None
    created_on_ms: int | None = None
    acknowledged_token: str | None = None
    acknowledged_epoch: str | None = None
    acknowledged_seq: int | None = None
    exposed_epoch: str | None = None
    exposed_seq: int | None = None
    rows_inserted_base: int = 0
    rows_error_base: int = 0
    in_doubt_epoch: str | None = None
    in_doubt_seq: int | None = None


# Only names out of our own declaration are put together here, never a value.
_LIST: Final = ", ".join(StoredProgress._fields)
_READ: Final = f"SELECT {_LIST} FROM progress"  # noqa: S608
_READ_SEALED: Final = f"SELECT {_LIST}, crc FROM progress"  # noqa: S608
_WRITE: Final = (
    f"INSERT OR REPLACE INTO progress ({_LIST}) "  # noqa: S608
    f"VALUES ({', '.join('?' for _ in StoredProgress._fields)})"
)


def progress_crc(values: Sequence[object]) -> int:
    """CRC-32 (zlib) over the canonical JSON of the row's values.

    Values that no such row can hold (bytes out of a damaged page) give -1, which fits no row.
    """
    try:
        text = json.dumps(values, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        return zlib.crc32(text.encode("ascii"))
    except (ValueError, TypeError):
        return -1


def read_stored_progress(connection: sqlite3.Connection) -> StoredProgress | None:
    """The row, if its checksum fits; without one it does not.

    A flipped bit in the row's header can shift its columns, and leave none for the checksum.

    Returns:
        The row; ``None``: nothing was written yet.

    Raises:
        sqlite3.Error: it cannot be read, or is not as it was written (SQLITE_CORRUPT).
    """
    sealed = user_version(connection) >= CRC_VERSION
    rows = connection.execute(_READ_SEALED if sealed else _READ).fetchall()
    if not rows:
        return None
    if len(rows) > 1:
        raise damaged(f"progress has {len(rows)} rows, it is one")
    values = rows[0][:-1] if sealed else rows[0]
    if sealed and rows[0][-1] != progress_crc(values):
        raise damaged("the checksum of progress does not fit its values")
    return StoredProgress(*values)


def write_stored_progress(connection: sqlite3.Connection, changes: Mapping[str, Stored]) -> None:
    """Change columns of the row, inside a transaction, and seal it anew.

    Args:
        connection: of the file's one writer.
        changes: columns by name, as ``StoredProgress`` has them.

    Raises:
        sqlite3.Error: it cannot be written, or the row to be changed does not fit its checksum.
    """
    stored = read_stored_progress(connection) or StoredProgress()
    connection.execute(_WRITE, tuple({**stored._asdict(), **changes}.values()))
    seal_progress(connection)


def seal_progress(connection: sqlite3.Connection) -> None:
    """Store the checksum of the row as it is, inside the transaction that wrote it.

    Raises:
        sqlite3.Error: it cannot be written.
    """
    # As SQLite gives it back: that is what every reader computes it from.
    values = connection.execute(_READ).fetchone()
    if values is not None:
        connection.execute("UPDATE progress SET crc = ?", (progress_crc(values),))
