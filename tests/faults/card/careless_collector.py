"""The collector with ``synchronous=NORMAL``, for a negative control; never used otherwise.

It is started in the collector's place, with its words.
"""

import functools
import sqlite3
import sys
from typing import Any

from collector import cli


class Careless(sqlite3.Connection):
    """A connection that is told to wait for the card, and does not."""

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Like the original, but for one setting."""
        return super().execute(sql.replace("synchronous=FULL", "synchronous=NORMAL"), *parameters)


def main() -> int:
    """Plant the mistake, then be the collector."""
    careless: Any = functools.partial(sqlite3.connect, factory=Careless)
    sqlite3.connect = careless
    return cli.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
