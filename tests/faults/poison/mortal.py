"""``ship.db`` in a real file whose process can be killed at each commit, before it or after."""

import sqlite3
from pathlib import Path
from typing import Any

from common.database import Opener
from shipper.ledger import Ledger
from tests.model.simulation_spool import Mortality
from tests.tools.spools import opened, prepare_quickly


def mortal_ledger(directory: Path, mortality: Mortality) -> Ledger:
    """A ledger of a new process."""
    return opened(Ledger(directory, opener=_opener(mortality), prepared=prepare_quickly))


def _opener(mortality: Mortality) -> Opener:
    class Mortal(sqlite3.Connection):
        """A connection whose commits may be the last thing that its process does."""

        def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
            """Tick around a commit."""
            if sql != "COMMIT":
                return super().execute(sql, parameters)
            mortality.tick()
            done = super().execute(sql)
            mortality.tick()
            return done

    def opener(path: Path) -> sqlite3.Connection:
        uri = f"{path.absolute().as_uri()}?mode=rw"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, factory=Mortal)
        # What is not flushed would survive a kill too; a power cut is another suite's subject.
        connection.execute("PRAGMA synchronous=OFF")
        return connection

    return opener
