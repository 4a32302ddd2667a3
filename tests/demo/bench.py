"""The world of a run: bus, server and both services, started, watched, killed, always ended."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.demo import material, sources
from tests.demo.bus import REPOSITORY, VENV_BIN, FuseBus, InjectedBus
from tests.demo.chaos import Act, Deed
from tests.demo.material import Places
from tests.demo.process import Program, Service, free_port
from tests.demo.progress import Snapshot
from tests.demo.rows import Row, Run
from tests.demo.server import Server

MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a directory of our own is made in it


@dataclass(frozen=True, slots=True)
class Options:
    """How a world is made.

    Attributes:
        interval_s: the sampling grid.
        file_bus: whether the bus is a file; else it is given to the collector in its process.
        commit_s: how long the server takes from accepting rows to committing them.
        changes: settings that differ from the demo's, by table and key; ``None`` leaves a key out.
        shipper: command of the shipper; empty: the installed one.
    """

    interval_s: float = 0.25
    file_bus: bool = True
    commit_s: float = 2.0
    changes: tuple[tuple[str, str, Any], ...] = ()
    shipper: tuple[str, ...] = ()


class World:
    """Everything that runs, and what can be done to it.

    Args:
        places: where it lives.
        options: how it is made.
    """

    def __init__(self, places: Places, options: Options) -> None:
        self.places = places
        self.options = options
        self.bus = FuseBus(places) if options.file_bus else InjectedBus(places)
        self.server = Server(places, options.commit_s)
        self._ports = (free_port(), free_port())
        self._accepted_before = 0
        self._accepted = 0
        self._started_s = time.monotonic()
        self._changes = list(options.changes)
        self.collector = Service(self._program("collector", []), self._ports[0])
        self.shipper = Service(self._program("shipper", []), self._ports[1])

    def prepare(self) -> None:
        """Bus and server up, settings written; no service yet."""
        self.places.make()
        self.bus.start()
        self.server.start()
        self.write_settings()
        self._started_s = time.monotonic()

    def start(self, *, verbose: bool = False) -> None:
        """Start both services."""
        self.assemble(verbose=verbose)
        self.collector.start()
        self.shipper.start()

    def assemble(self, *, verbose: bool = False) -> None:
        """Put the two commands together, for starting them one by one."""
        words = ["run", "--config", str(self.places.config), *(["--verbose"] if verbose else [])]
        self.collector.program = self._program("collector", [*self.bus.collector(), *words])
        self.shipper.program = self._program("shipper", [*self.shipper_command(), *words])

    def shipper_command(self) -> list[str | Path]:
        """The shipper, without its words."""
        return list(self.options.shipper) or [VENV_BIN / "thermal-shipper"]

    def change(self, table: str, key: str, value: Any) -> None:
        """Change a setting, or leave it out (``None``); holds from the next ``write_settings``."""
        self._changes.append((table, key, value))

    def write_settings(self, file: Path | None = None) -> Path:
        """The settings file, with this world's changes.

        Args:
            file: another file than the one that the services are started with.
        """
        tables = material.settings(
            self.places, self.options.interval_s, self._ports, self.server.url, self.server.ca_file
        )
        for table, key, value in self._changes:
            tables[table][key] = value
            if value is None:
                del tables[table][key]
        file = file or self.places.config
        file.write_text(material.toml(tables))
        return file

    def act(self, act: Act) -> None:
        """Do one deed of the plan."""
        match act.deed:
            case Deed.KILL_COLLECTOR:
                self.collector.kill()
            case Deed.KILL_SHIPPER:
                self._note_accepted()
                self.shipper.kill()
                self._accepted_before += self._accepted
                self._accepted = 0
            case Deed.CUT:
                self.server.cut()
            case Deed.MEND:
                self.server.mend()
            case Deed.FREEZE:
                self.server.freeze()
            case Deed.THAW:
                self.server.thaw()
            case Deed.LOSE_REPLIES:
                self.server.fault(f"drop_reply:endpoint=append,times={act.count}")

    def tend(self) -> None:
        """Restart what is dead, as systemd would."""
        self.collector.tend()
        self.shipper.tend()

    def look(self, state: str = "") -> Snapshot:
        """The run as it is now."""
        self.collector.scrape()
        self._note_accepted()
        stored, values = sources.spool_counts(self.places.spool / "spool.db")
        committed = self.server.committed_count()
        return Snapshot(
            elapsed_s=time.monotonic() - self._started_s,
            taken=self.collector.ticks,
            stored=stored,
            # Whose answer was lost, or who was killed before we looked, did not count some.
            accepted=max(committed, self._accepted_before + self._accepted),
            committed=committed,
            kills=self.collector.kills + self.shipper.kills,
            state=self.server.trouble or state,
            values=values,
        )

    def drained(self) -> bool:
        """Whether the shipper's own books say that everything stored is committed."""
        stored, _ = sources.spool_counts(self.places.spool / "spool.db")
        return stored > 0 and self.server.committed_count() >= stored

    def evidence(self) -> tuple[list[Run], list[Row], list[Row]]:
        """The three sources for the verdict; both services must have ended."""
        stored = sources.stored_rows(self.places.spool / "spool.db")
        return self.collector.runs, stored, self.server.committed_rows()

    def end(self) -> None:
        """End every process that still runs; never raises for one that is gone."""
        for service in (self.collector, self.shipper):
            service.program.end()
        self.server.end()
        self.bus.end()

    def _note_accepted(self) -> None:
        page = self.shipper.scrape()
        accepted = int(page.get("thermal_shipper_rows_accepted_total", 0))
        self._accepted = max(self._accepted, accepted)

    def _program(self, name: str, command: Sequence[str | Path]) -> Program:
        environment = {"RUNTIME_DIRECTORY": str(self.places.runtime)}
        if sys.executable in command:
            # A launcher of ours; the installed commands find their packages by themselves.
            environment["PYTHONPATH"] = str(REPOSITORY)
        return Program(name, command, self.places.log(name), environment)


@contextmanager
def places(keep: Path | None = None) -> Iterator[Places]:
    """Directories for a run, removed at its end unless they are to be kept.

    Args:
        keep: a new or empty directory that stays; ``None``: a temporary one.

    Raises:
        FileExistsError: the directory to keep has something in it.
    """
    if keep is not None:
        keep.mkdir(parents=True, exist_ok=True)
        if any(keep.iterdir()):
            raise FileExistsError(f"{keep} is not empty")
    root = keep or Path(tempfile.mkdtemp(prefix="thermal-demo-"))
    memory = MEMORY if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) else root
    runtime = Path(tempfile.mkdtemp(prefix="thermal-demo-run-", dir=memory))
    try:
        yield Places(root.resolve(), runtime)
    finally:
        shutil.rmtree(runtime, ignore_errors=True)
        if keep is None:
            shutil.rmtree(root, ignore_errors=True)


@contextmanager
def world(options: Options, keep: Path | None = None) -> Iterator[World]:
    """A prepared world, ended and cleaned up whatever happens."""
    with places(keep) as where:
        made = World(where, options)
        try:
            made.prepare()
            yield made
        finally:
            made.end()
