"""One device with real files, a server over TLS, and the commands of an operator as processes."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collector.spool.store import SpoolStore
from common.identity import Hardware
from common.ship_state import read_ship_state
from common.spool.row import INDEX
from shipper.dead_letters import DeadLetter
from shipper.operate import letters_beside
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.server import IngestServer, ServerOptions
from tests.tools.spools import sample
from tests.unit.shipper.service import ROOT, Place, shipper

WAIT_S = 30.0
COMMIT_S = 0.2
BAD = "BAD"


@dataclass(slots=True)
class Bench:
    """The device, the server, and who works on them.

    Attributes:
        place: the files.
        server: where rows go.
        spool: the collector's, open.
        taken: boottime of each row that was stored in this life, by seq.
    """

    place: Place
    server: IngestServer
    spool: SpoolStore
    taken: dict[int, int] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        """The spool directory."""
        return self.place.root / "spool"

    def take(self, *qualities: str) -> None:
        """Store a row each, with this quality."""
        for quality in qualities:
            row = sample(self.spool.last_seq, quality=quality)
            self.spool.append([row])
            boottime = row[INDEX["boottime_ns"]]
            assert isinstance(boottime, int)
            self.taken[self.spool.last_seq] = boottime

    def another_card(self) -> None:
        """The content was put on another card: a new install, the old spool is set aside."""
        self.spool.close()
        (self.place.root / "card").write_text("card-2")
        self.taken = {}
        self.spool = self.place.collector(hardware=Hardware("board-1", "card-2"))

    def until(self, done: Callable[[], bool]) -> None:
        """Wait until something is so."""
        end_s = time.monotonic() + WAIT_S
        while not done():
            assert time.monotonic() < end_s
            time.sleep(0.02)

    def ship(self, seconds: float = WAIT_S) -> None:
        """Run the service until all that is stored is acknowledged."""
        newest = self.spool.last_seq
        until_s = time.monotonic() + seconds
        with shipper(self.place) as running:
            while self.acknowledged() < newest:
                assert time.monotonic() < until_s, running.log
                time.sleep(0.05)
            running.stop()

    def acknowledged(self) -> int:
        """The seq of the licence to trim, by this life's shipper."""
        state = read_ship_state(self.directory)
        if state is None or state.install_id != self.spool.install.install_id:
            return 0
        return 0 if state.acknowledged is None else state.acknowledged.seq

    def start(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command of the shipper."""
        return subprocess.Popen(
            [sys.executable, "-m", "shipper", *words, "--config", str(self.place.config)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """One command to its end."""
        process = self.start(*words)
        try:
            out, err = process.communicate(timeout=WAIT_S * 2)
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def kill_after(self, seconds: float, *words: str) -> int:
        """Start a command and kill it; returns its status, -9 unless it was faster."""
        process = self.start(*words)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return process.returncode

    def letters(self) -> list[DeadLetter]:
        """What is kept."""
        with letters_beside(self.directory) as letters:
            return letters.list(0, 10_000)

    def rows(self) -> list[dict[str, Any]]:
        """The table."""
        return [json.loads(row.row) for row in self.server.rows()]

    def heal(self) -> None:
        """The table takes everything again."""
        with self.server.lock:
            self.server.model.knobs.row_rules = self.server.model.knobs.refuse_rules = ()
        self.server.faults.heal()


@contextmanager
def bench(root: Path) -> Iterator[Bench]:
    """A bench that is taken down again."""
    with IngestServer(ServerOptions(knobs=Knobs(commit_delay_s=COMMIT_S))) as server:
        place = Place(root, server)
        made = Bench(place, server, place.collector())
        try:
            yield made
        finally:
            made.spool.close()


def unflagged_doubles(rows: list[dict[str, Any]]) -> list[tuple[str, int]]:
    """Keys that are there more than once without saying so; a tombstone is superseded by a row."""
    told = Counter(
        (row["epoch"], row["seq"])
        for row in rows if not row["in_doubt"] and row["kind"] != "tombstone"
    )
    return [key for key, copies in told.items() if copies > 1]
