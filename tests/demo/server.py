"""The emulated Snowpipe Streaming server of a run, as a process of its own."""

import json
import signal
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from tests.demo.bus import REPOSITORY
from tests.demo.material import Places
from tests.demo.process import Program, free_port
from tests.demo.rows import Row
from tests.demo.sources import arrived_row, read_only
from tests.emulators.ingest.admin import AdminClient

READY_LIMIT_S: Final = 20.0


class ServerFailed(RuntimeError):
    """The server did not come up; its last lines say why."""


class Server:
    """The server, and the mishaps that can be done to it.

    Args:
        places: where its files are.
        commit_s: how long it takes from accepting rows to committing them.

    Attributes:
        trouble: what is being done to it, for the progress line; "" is nothing.
    """

    def __init__(self, places: Places, commit_s: float) -> None:
        self.trouble = ""
        self._later: list[str] = []
        self._frozen = False
        self._places = places
        self._port = free_port()
        self._admin = AdminClient(self._port)
        self.program = Program(
            "server",
            [sys.executable, "-m", "tests.emulators.ingest", "--port", str(self._port),
             "--state", places.server, "--commit-delay", str(commit_s),
             "--require-key", places.public_key],
            places.log("server"),
            {"PYTHONPATH": str(REPOSITORY)},
        )

    @property
    def url(self) -> str:
        """The account's URL."""
        return f"https://127.0.0.1:{self._port}"

    @property
    def ca_file(self) -> Path:
        """The authority that its certificate is from."""
        return self._places.server / "ca.pem"

    @property
    def rows_db(self) -> Path:
        """Its table."""
        return self._places.server / "rows.db"

    def start(self) -> None:
        """Start it; returns once it answers.

        Raises:
            ServerFailed: it does not.
        """
        self.program.start()
        until_s = time.monotonic() + READY_LIMIT_S
        while not self._answers():
            if self.program.pid is None or time.monotonic() > until_s:
                self.program.end()
                raise ServerFailed(self.program.tail() or "the server said nothing")
            time.sleep(0.02)

    def end(self) -> None:
        """End it, frozen or not."""
        self.program.signal(signal.SIGCONT)
        self.program.end()

    def cut(self) -> None:
        """Reset every connection, old and new; what was answered before stays true."""
        self.trouble = "the network is cut"
        self._admin.network(up=False)

    def mend(self) -> None:
        """Connections are served again."""
        self.trouble = ""
        self._admin.network(up=True)

    def freeze(self) -> None:
        """SIGSTOP: connections are taken by the kernel, and nobody answers."""
        self.trouble = "the server is silent"
        self._frozen = True
        self.program.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """It answers again, late; faults that were added meanwhile begin."""
        self.trouble = ""
        self._frozen = False
        self.program.signal(signal.SIGCONT)
        while self._later:
            self.fault(self._later.pop(0))

    def fault(self, spec: str) -> None:
        """Add faults from the emulator's menu."""
        if self._frozen:
            self._later.append(spec)
        else:
            self._admin.add_faults(spec)

    def heal(self) -> None:
        """All faults off."""
        self.thaw()
        self._admin.heal()

    def tally(self) -> dict[str, int]:
        """What happened at the server since it was started."""
        tally: dict[str, int] = self._admin.state()["tally"]
        return tally

    def _answers(self) -> bool:
        try:
            self._admin.state()
        except OSError:
            return False
        return True

    def committed_count(self) -> int:
        """Rows committed so far, copies included; the table numbers them, and deletes none."""
        try:
            with closing(read_only(self.rows_db)) as connection:
                count: int | None = connection.execute("select max(id) from rows").fetchone()[0]
                return count or 0
        except sqlite3.Error:
            return 0

    def committed_rows(self) -> list[Row]:
        """Every committed row in the order of the commits, copies included."""
        with closing(read_only(self.rows_db)) as connection:
            rows = connection.execute("select row from rows order by id")
            return [arrived_row(json.loads(row["row"])) for row in rows]
