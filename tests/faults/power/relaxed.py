"""The planted mistake: a file opened like the product's, but for ``synchronous=NORMAL``."""

import sqlite3
from pathlib import Path

from common.database import open_writer


def open_relaxed(path: Path) -> sqlite3.Connection:
    """A commit does not wait for the card: a power cut takes what others have seen."""
    connection = open_writer(path)
    connection.execute("PRAGMA synchronous=NORMAL").fetchall()
    return connection
