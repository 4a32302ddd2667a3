"""Reads the stored and the committed rows straight from the two database files.

On purpose none of the product's code is used here: what the spool's reader and the encoder get
wrong, this must not get wrong with them.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from tests.demo.rows import Key, Row, microseconds

JSON_COLUMNS: Final = ("sensor_status", "detail")
_SPOOL_ROWS: Final = """
    select r.*, o.device_id, o.hostname, o.collector_version, e.epoch, e.boot_id,
           b.realtime_offset_ns
    from readings r
    join origins o on o.ord = r.origin
    join epochs e on e.ord = o.epoch_ord
    left join boots b on b.boot_id = e.boot_id
    order by r.seq
"""
_NOT_ON_THE_WIRE: Final = ("origin", "crc", "realtime_offset_ns", "seq", "epoch")


def read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5.0)
    connection.row_factory = sqlite3.Row
    return connection


def stored_rows(spool: Path) -> list[Row]:
    """Every row of ``spool.db``, in the shape that it has to arrive in; no spool: none."""
    if not spool.exists():
        return []
    with closing(read_only(spool)) as connection:
        install = connection.execute("select install_id from install").fetchone()["install_id"]
        return [_stored(dict(row), install) for row in connection.execute(_SPOOL_ROWS)]


def _stored(row: dict[str, Any], install_id: str) -> Row:
    """One row of the spool as the server should have it."""
    offset_ns = row["realtime_offset_ns"]
    redated = None if offset_ns is None else (row["boottime_ns"] + offset_ns) // 1000
    values = {name: value for name, value in row.items() if name not in _NOT_ON_THE_WIRE}
    values["install_id"] = install_id
    values["clock_synced"] = bool(row["clock_synced"])
    for name in JSON_COLUMNS:
        values[name] = None if row[name] is None else json.loads(row[name])
    return Row(Key(install_id, row["epoch"], row["seq"]), values, redated)


def arrived_row(payload: dict[str, Any]) -> Row:
    """One committed row as the server got it: a JSON object of column and value."""
    values = {name: value for name, value in payload.items() if name not in ("epoch", "seq")}
    if values.get("taken_at") is not None:
        values["taken_at"] = microseconds(values["taken_at"])
    for name in JSON_COLUMNS:
        if isinstance(values.get(name), str):
            values[name] = json.loads(values[name])
    return Row(Key(payload["install_id"], payload["epoch"], payload["seq"]), values)


def spool_counts(spool: Path) -> tuple[int, dict[str, float | None]]:
    """How many rows are stored, and the newest sample; zero and empty before the first."""
    try:
        with closing(read_only(spool)) as connection:
            newest = connection.execute("select max(seq) from readings").fetchone()[0]
            sample = connection.execute(
                "select * from readings where kind = 'sample' order by seq desc limit 1"
            ).fetchone()
    except sqlite3.Error:
        return 0, {}
    return newest or 0, dict(sample) if sample else {}


def lines(path: Path) -> Iterator[str]:
    """The lines of a log, or nothing when there is none."""
    if path.exists():
        yield from path.read_text(errors="replace").splitlines()
