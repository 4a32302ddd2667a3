"""Real power cuts under both real services, with bus and server emulated around them.

    unshare -m --propagation private python -m tests.faults.power.service_storm CUTS SEED [relaxed]

After each cut both services are started as systemd would, on a new boot. Prints one JSON object.
"""

import json
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from tests.demo import grid
from tests.demo.bench import Options, World
from tests.demo.bus import REPOSITORY, VENV_BIN, FuseBus, InjectedBus, why_no_file
from tests.demo.material import Places
from tests.demo.process import Program, Service
from tests.demo.reconcile import UNCOVERED, reconcile
from tests.demo.rows import Row
from tests.faults.power.disk import Boots, Disk, workspace
from tests.faults.power.witness import Inventory, Seen, Witness, inventory

INTERVAL_S: Final = 0.1
COMMIT_S: Final = 0.2
LIFE_S: Final = (0.0, 1.2)
SHUTDOWN_SHARE: Final = 0.3
SHUTDOWN_S: Final = (0.0, 0.3)
SHIPPING_EVERY: Final = 4
PROGRESS_LIMIT_S: Final = 60.0
DRAIN_LIMIT_S: Final = 120.0
SKIPPED: Final = frozenset({UNCOVERED, "untold ticks"})
"""Findings about ticks between two boots; ``boots_told`` and ``in_memory_max`` judge these."""


class DiskPlaces(Places):
    """The files of a run whose spool is on the disk that is cut."""

    @property
    def spool(self) -> Path:
        """The spool's directory."""
        return self.root / "mounted" / "spool"


class NearBus(FuseBus):
    """The bus as a file in this mount namespace, which is private already.

    In a namespace of its own it would hold the disk that is cut.
    """

    def __init__(self, places: Places, *, relaxed: bool) -> None:
        super().__init__(places)
        self._relaxed = relaxed
        command = self.program._command
        command = command[command.index(sys.executable):]
        self.program = Program("bus", command, places.log("bus"), {"PYTHONPATH": str(REPOSITORY)})

    def collector(self) -> list[str | Path]:
        """The installed collector's command, or the mistaken one's."""
        if self._relaxed:
            return [sys.executable, "-m", "tests.faults.power.relaxed_collector"]
        return [VENV_BIN / "thermal-collector"]


@dataclass(slots=True)
class Outcome:
    """What a storm saw.

    Attributes:
        cuts: how many there were.
        promised: distinct rows that were seen in the spool before a cut, or at the end.
        lost_in_cuts: of these, rows that a cut took out of the spool unacknowledged.
        not_delivered: promised rows that are not on the server at the end.
        cuts_under_shipping: cuts between which the server committed something new.
        committed: distinct rows on the server.
        duplicated: copies beyond the first on the server.
        epochs: epochs in the server's table.
        unsound: cuts after which a file did not pass ``integrity_check``.
        told_as_lost: gap rows that tell of stored rows lost by a cut.
        shutdowns: cuts shortly after SIGTERM, as when a machine is switched off.
        before_acknowledging: cuts that found rows committed and not yet acknowledged.
        after_exposing: cuts that found rows exposed and not yet acknowledged.
        boots_told: epochs that begin with a gap row telling since when nothing was stored.
        in_memory_max: most ticks of a life that were taken and not stored.
        opens: how often the channel was opened.
        surprises: exit statuses of services that ended by themselves.
        stopped: exit statuses after the last SIGTERM, collector first.
        line: the demo's verdict.
        findings: every disagreement between rows in the spool and on the server.
        seconds: how long it took.
    """

    cuts: int = 0
    promised: int = 0
    lost_in_cuts: int = 0
    not_delivered: int = 0
    cuts_under_shipping: int = 0
    committed: int = 0
    duplicated: int = 0
    epochs: int = 0
    unsound: int = 0
    told_as_lost: int = 0
    shutdowns: int = 0
    before_acknowledging: int = 0
    after_exposing: int = 0
    boots_told: int = 0
    in_memory_max: int = 0
    opens: int = 0
    surprises: list[int] = field(default_factory=list)
    stopped: list[int | None] = field(default_factory=list)
    line: str = ""
    findings: list[str] = field(default_factory=list)
    seconds: float = 0.0


class Storm:
    """A world whose spool is on a disk without a battery.

    Args:
        root: an existing directory on memory.
        seed: of the moments of the cuts.
        relaxed: whether the collector makes the mistake; then only the cuts are judged.
    """

    def __init__(self, root: Path, seed: int, *, relaxed: bool) -> None:
        self._random, self._relaxed = Random(seed), relaxed
        self._disk, self._boots = Disk(root), Boots(root)
        places = DiskPlaces(root, root / "run")
        self.world = World(places, Options(interval_s=INTERVAL_S, commit_s=COMMIT_S))
        self.world.bus = InjectedBus(places) if why_no_file() else NearBus(places, relaxed=relaxed)
        self.world.change("collector", "store_interval_s", INTERVAL_S)
        self._witness = Witness(places.spool)
        self.outcome = Outcome()

    def run(self, cuts: int) -> Outcome:
        """Cut so many times, let the backlog drain, and compare."""
        began_s = time.monotonic()
        self._disk.make()
        try:
            self.world.prepare()
            self.world.start()
            for number in range(cuts):
                committed = self.world.server.committed_count()
                self._life(committed if number % SHIPPING_EVERY == 0 else None)
                self.outcome.cuts_under_shipping += (
                    self.world.server.committed_count() > committed
                )
            if not self._relaxed:
                self._settle()
        finally:
            self._witness.close()
            self.world.end()
            self._disk.unmount()
        self.outcome.cuts = self._disk.cuts
        self.outcome.seconds = time.monotonic() - began_s
        return self.outcome

    def _life(self, committed: int | None) -> None:
        """One boot: both run for a while, are watched, and lose the power.

        Args:
            committed: the server must commit more rows than these before the cut; ``None``: the
                cut comes whenever it comes.
        """
        before = self._witness.look()
        limit_s = time.monotonic() + PROGRESS_LIMIT_S
        while self._witness.look() <= before or (
            committed is not None and self.world.server.committed_count() <= committed
        ):
            assert time.monotonic() < limit_s, self.world.collector.program.tail(20)
            self.world.tend()
            time.sleep(0.02)
        end_s = time.monotonic() + self._random.uniform(*LIFE_S)
        while time.monotonic() < end_s:
            self.world.collector.scrape()
            self._witness.look()
            time.sleep(0.01)
        self.world.collector.scrape()
        services = (self.world.collector, self.world.shipper)
        if self._random.random() < SHUTDOWN_SHARE:
            self._shut_down(services)
        self._witness.look()
        self._disk.cut()
        self._witness.close()
        for service in services:
            service.program.signal(signal.SIGKILL)
        for service in services:
            bury(service)
        self._disk.return_power()
        self._judge(inventory(self.world.places.spool))
        shutil.rmtree(self.world.places.runtime)
        self.world.places.runtime.mkdir()
        self._boots.next()
        for service in services:
            service.start()

    def _shut_down(self, services: Sequence[Service]) -> None:
        """Ask both to end, as a machine does that is switched off, and do not wait for them."""
        self.outcome.shutdowns += 1
        for service in services:
            service.program.signal(signal.SIGTERM)
        end_s = time.monotonic() + self._random.uniform(*SHUTDOWN_S)
        while time.monotonic() < end_s:
            self._witness.look()

    def _judge(self, found: Inventory) -> None:
        """What was seen before the cut is there after it."""
        covered = max(found.acknowledged, found.trimmed)
        self.outcome.lost_in_cuts += sum(
            found.rows.get(key) != crc and (key in found.rows or key[1] > covered)
            for key, crc in self._witness.promised.items()
        )
        self.outcome.unsound += any(word != "ok" for word in found.integrity)
        self.outcome.before_acknowledging += self.world.server.committed_count() > covered
        self.outcome.after_exposing += found.exposed > covered
        self.outcome.told_as_lost = found.reasons.count("lost_by_cut")

    def _settle(self) -> None:
        """End the collector, let the shipper send what is left, and hold all sources together."""
        world, out = self.world, self.outcome
        world.collector.stand_up(limit_s=20)
        out.stopped.append(world.collector.stop())
        end_s = time.monotonic() + DRAIN_LIMIT_S
        while not world.drained() and time.monotonic() < end_s:
            world.shipper.tend()
            time.sleep(0.1)
        world.shipper.stand_up()
        out.stopped.append(world.shipper.stop())
        self._witness.look()
        out.surprises = world.collector.surprises + world.shipper.surprises
        runs, stored, committed = world.evidence()
        arrived: set[Seen] = {(row.key.epoch, row.key.seq) for row in committed}
        out.promised = len(self._witness.promised)
        out.not_delivered = len(self._witness.promised.keys() - arrived)
        out.epochs = len({row.key.epoch for row in committed})
        out.opens = world.server.tally()["opens"]
        verdict = reconcile(runs, stored, committed, round(INTERVAL_S * 1e9))
        out.committed, out.duplicated = verdict.committed, verdict.duplicated
        out.line = verdict.line
        # What waits in memory goes with the power: no clock of the next boot can count it.
        out.findings = [f"{f.sort}: {f.text}" for f in verdict.findings if f.sort not in SKIPPED]
        out.in_memory_max = max(run.ticks - grid.within(run, stored) for run in runs)
        out.boots_told = _boots_told(stored)


def bury(service: Service) -> None:
    """Wait for a killed service and close the book of its life."""
    service.program.wait(10.0)
    service._finish()


def _boots_told(stored: Sequence[Row]) -> int:
    """How many epochs begin with a gap row that says since when nothing was stored."""
    first: dict[str, Row] = {}
    for row in stored:
        first.setdefault(row.key.epoch, row)
    return sum(
        row.kind == "gap" and row.detail["reason"] == "killed" and row.detail["from"] is not None
        for row in first.values()
    )


def main(words: list[str]) -> int:
    """Run one storm; prints its outcome."""
    with workspace() as root:
        storm = Storm(root, int(words[1]), relaxed="relaxed" in words[2:])
        print(json.dumps(asdict(storm.run(int(words[0])))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
