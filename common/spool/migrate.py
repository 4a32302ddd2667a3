"""Make or migrate the tables of a file: ``python -m common.spool.migrate FILE spool|ship``.

It runs as a process of its own, because sqlite-utils costs memory that the services need not keep.
All steps and the file's ``user_version`` change in one transaction: a power cut leaves the old
version or the new one. A file of a newer version is refused and not touched.
"""

import json
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from sqlite_utils import Database

from common.columns import STORED
from common.database import PAGE_BYTES, refuse_newer, translate
from common.errors import ThermalError, UsageError
from common.ship_progress import seal_progress

_PYTHON_TYPE: Final[dict[str, type]] = {"TEXT": str, "INTEGER": int, "REAL": float}
_TIME: Final = int
"""Times are integers, µs since 1970 UTC."""

Step = Callable[[Database], None]


def _table(database: Database, name: str, columns: dict[str, type], **options: Any) -> None:
    """One STRICT table: a value of another type is an error of the statement, not a surprise."""
    database.table(name).create(columns, strict=True, **options)


def _spool_1(database: Database) -> None:
    """The first tables of ``spool.db``; see the contract of columns in ``common.columns``."""
    _table(
        database,
        "install",
        {
            "id": int,
            "install_id": str,
            "board_serial": str,
            "card_serial": str,
            "created_at": _TIME,
        },
        pk="id",
        not_null={"install_id", "board_serial", "card_serial", "created_at"},
    )
    _table(
        database,
        "epochs",
        {
            "ord": int,
            "epoch": str,
            "parent": str,
            "boot_id": str,
            "first_seq": int,
            "stored_before": int,
            "reason": str,
            "created_at": _TIME,
        },
        pk="ord",
        not_null={"epoch", "boot_id", "first_seq", "stored_before", "reason", "created_at"},
    )
    database.table("epochs").create_index(["epoch"], unique=True)
    _table(
        database,
        "origins",
        {"ord": int, "epoch_ord": int, "device_id": str, "hostname": str, "collector_version": str},
        pk="ord",
        not_null={"epoch_ord", "device_id", "hostname", "collector_version"},
    )
    _table(
        database,
        "boots",
        {"boot_id": str, "realtime_offset_ns": int},
        pk="boot_id",
        not_null={"realtime_offset_ns"},
    )
    columns: dict[str, type] = {"seq": int, "origin": int}
    columns |= {c.name: _PYTHON_TYPE[c.type.sqlite] for c in STORED if c.name != "seq"}
    required = {c.name for c in STORED if c.required and c.name != "seq"}
    _table(
        database,
        "readings",
        columns | {"crc": int},
        pk="seq",
        not_null={"origin", "crc"} | required,
    )
    _table(
        database,
        "trimmed",
        {"id": int, "token": str, "epoch": str, "seq": int},
        pk="id",
        not_null={"epoch", "seq"},
    )
    _table(database, "events", {"id": str, "seq": int}, pk="id", not_null={"seq"})
    _table(database, "state", {"key": str, "value": str}, pk="key", not_null={"value"})


def _ship_1(database: Database) -> None:
    """The first tables of ``ship.db``."""
    _table(
        database,
        "install",
        {"id": int, "install_id": str, "board_serial": str, "card_serial": str},
        pk="id",
        not_null={"install_id", "board_serial", "card_serial"},
    )
    _table(
        database,
        "progress",
        {
            "id": int,
            "target": str,
            "created_on_ms": int,
            "acknowledged_token": str,
            "acknowledged_epoch": str,
            "acknowledged_seq": int,
            "exposed_epoch": str,
            "exposed_seq": int,
            "rows_inserted_base": int,
            "rows_error_base": int,
            "in_doubt_epoch": str,
            "in_doubt_seq": int,
        },
        pk="id",
        not_null={"rows_inserted_base", "rows_error_base"},
    )
    _table(
        database,
        "dead_letters",
        {
            "id": int,
            "form": str,
            "epoch": str,
            "first_seq": int,
            "last_seq": int,
            "reason": str,
            "message": str,
            "payload": bytes,
            "created_at": _TIME,
        },
        pk="id",
        not_null={"form", "epoch", "first_seq", "last_seq", "reason", "message", "created_at"},
    )
    _table(
        database,
        "events",
        {
            "id": str,
            "kind": str,
            "day": str,
            "count": int,
            "first_at": _TIME,
            "last_at": _TIME,
            "detail": str,
            "closed": int,
        },
        pk="id",
        not_null={"kind", "day", "count", "first_at", "last_at", "detail", "closed"},
    )
    _table(database, "told", {"kind": str, "day": str}, pk="kind", not_null={"day"})
    _table(
        database,
        "requests",
        {"id": str, "kind": str, "reason": str},
        pk="id",
        not_null={"kind", "reason"},
    )


def _ship_2(database: Database) -> None:
    """Rows that are sent again at an operator's word (``shipper.backfill.jobs``), and a checksum.

    The checksum is the one of progress; see ``common.ship_progress``.
    """
    database.table("progress").add_column("crc", int)
    seal_progress(database.conn)
    _table(
        database,
        "backfills",
        {
            "n": int, "job": str, "kind": str, "source": str, "first": int, "last": int,
            "created_at": _TIME, "finished_at": _TIME,
            "target": str, "created_on_ms": int, "acknowledged_token": str, "acknowledged_seq": int,
            "exposed_seq": int, "rows_inserted_base": int, "rows_error_base": int,
            "in_doubt_seq": int,
        },
        pk="n",
        not_null={
            "job", "kind", "source", "first", "last", "created_at", "rows_inserted_base",
            "rows_error_base",
        },
    )
    _table(
        database,
        "backfill_letters",
        {"letter": int, "job": str, "first": int, "rows": int},
        pk="letter",
        not_null={"job", "first", "rows"},
    )
    kept: dict[str, type] = {
        "id": int, "job": str, "place": int, "form": str, "epoch": str, "first_seq": int,
        "last_seq": int, "reason": str, "message": str, "payload": bytes, "created_at": _TIME,
    }
    _table(database, "backfill_kept", kept, pk="id", not_null=kept.keys() - {"id", "payload"})


STEPS: Final[dict[str, tuple[Step, ...]]] = {"spool": (_spool_1,), "ship": (_ship_1, _ship_2)}
"""For each file, the step to version 1, to version 2, …"""


def migrate(path: Path, kind: str) -> int:
    """Bring one file to the version of this program, making it if it is not there.

    Args:
        path: the file.
        kind: ``spool`` or ``ship``.

    Returns:
        The version that it had before.

    Raises:
        SpoolError: it cannot be made, read or written.
        SpoolNewer: it is of a newer version.
    """
    steps = STEPS[kind]
    try:
        connection = sqlite3.connect(path, timeout=5.0)
        try:
            return _apply(connection, steps, path)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise translate(error, "migrate", path) from error


def _apply(connection: sqlite3.Connection, steps: tuple[Step, ...], path: Path) -> int:
    before = refuse_newer(connection, len(steps), path)
    if before == len(steps):
        return before
    for pragma in (
        f"page_size={PAGE_BYTES}",
        "auto_vacuum=NONE",
        "secure_delete=OFF",
        "journal_mode=WAL",
        "synchronous=FULL",
    ):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    database = Database(connection, execute_plugins=False)
    with database.atomic():
        for step in steps[before:]:
            step(database)
        connection.execute(f"PRAGMA user_version = {len(steps)}")
    return before


def _arguments(argv: list[str], stdin: bytes) -> tuple[Path, str]:
    """File and kind, from the command line or, from a service, as a JSON list on standard input."""
    words = argv or json.loads(stdin or b"[]")
    if len(words) != 2 or words[1] not in STEPS:
        raise UsageError(
            f"migrate: expected FILE and one of {', '.join(STEPS)}, got {words!r}",
            hint="python -m common.spool.migrate /var/lib/thermal/spool.db spool",
        )
    return Path(words[0]), words[1]


def main() -> int:
    """Entry of the child process; says the former version on standard output."""
    try:
        path, kind = _arguments(sys.argv[1:], b"" if sys.argv[1:] else sys.stdin.buffer.read())
        before = migrate(path, kind)
    except ThermalError as error:
        sys.stderr.write(f"Error: {error}\n")
        if error.hint:
            sys.stderr.write(f"Try: {error.hint}\n")
        return int(error.exit_code)
    sys.stdout.write(f"{before}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
