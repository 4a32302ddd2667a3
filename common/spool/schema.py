"""The tables of ``spool.db``: their names, version and the statements that both services use.

The tables themselves are made by ``common.spool.migrate``, from the same declaration of columns.
"""

from typing import Final

from common.columns import STORED

SPOOL_FILE: Final = "spool.db"
SPOOL_VERSION: Final = 1
COLLECTOR_LOCK: Final = "collector.lock"
SHIPPER_LOCK: Final = "shipper.lock"
BALLAST_FILE: Final = "ballast"
ASIDE_DIRECTORY: Final = "aside"

_NAMES: Final = [c.name for c in STORED if c.name != "seq"]
_COLUMNS: Final = ["seq", "origin", *_NAMES, "crc"]
_LIST: Final = ", ".join(_COLUMNS)

# Only names out of our own declaration are put together here, never a value.
INSERT_ROW: Final = f"INSERT INTO readings ({_LIST}) VALUES ({', '.join('?' for _ in _COLUMNS)})"  # noqa: S608
INSERT_ROW_ONCE: Final = INSERT_ROW.replace("INSERT INTO", "INSERT OR IGNORE INTO", 1)
SELECT_AFTER: Final = f"SELECT {_LIST} FROM readings WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608
SELECT_RANGE: Final = f"SELECT {_LIST} FROM readings WHERE seq BETWEEN ? AND ? ORDER BY seq"  # noqa: S608

SALVAGE_KEY: Final = "salvage"
CLEAN_STOP_KEY: Final = "clean_stop"
STOPPED_AT_KEY: Final = "stopped_at"
"""The greatest seq at the clean stop: a file that shows another one was changed since."""
REQUESTED: Final = "requested "
"""How the reason of an epoch begins that the shipper asked for; the request's id follows."""
