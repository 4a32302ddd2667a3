"""Requeueing after a live history: the real jobs in a real file, over the same emulated server."""

import itertools
from collections.abc import Callable
from pathlib import Path

from shipper.backfill.courier import Ending, Headway, Route
from shipper.backfill.jobs import Job
from shipper.backfill.requeue import choose, go
from shipper.dead_letters import DeadLetter
from shipper.ledger import Ledger
from shipper.protocol.limits import Limits
from shipper.protocol.pacing import Delays
from shipper.protocol.requests import Target
from tests.emulators.ingest.answers import ChannelName
from tests.faults.poison.live import Live
from tests.faults.poison.mortal import mortal_ledger
from tests.faults.poison.verdict import Tally, judge
from tests.model.rig import HARDWARE, INSTALL, PIPE
from tests.model.simulation_spool import Killed
from tests.tools.spools import close_opened

LIMITS = Limits(batch_rows=4, interval_s=0.0, batch_bytes_max=2048, strikes_max=1000)
STARTS_MAX = 200

Spoil = Callable[["Requeue"], None]


class Requeue:
    """The operator's side of a device whose live stream stands still.

    Args:
        live: its history so far; its letters are taken over into a real file.
        directory: an empty directory for it.
        spoil: plants a mistake into each process; ``None``: the real one.
    """

    def __init__(self, live: Live, directory: Path, spoil: Spoil | None = None) -> None:
        self.live = live
        self.directory = directory
        self.kills = 0
        self._ids = itertools.count()
        self._spoil = spoil
        self.ledger = self._process()
        self.ledger.settle(INSTALL, live.clock.realtime_ns())
        progress = live.ledger.state.progress
        if progress.acknowledged is not None:
            self.ledger.acknowledge(progress.acknowledged, rows_inserted=0, rows_error=0)
        for letter in live.ledger.state.letters:
            self.ledger.add_dead_letter(letter)

    @property
    def route(self) -> Route:
        """The way to the same server."""
        live = self.live
        return Route(
            Target("ACCOUNT", *PIPE), f"{INSTALL.install_id}_BACKFILL_{{n}}", live.transport,
            live.clock, HARDWARE, LIMITS, Delays(lambda n: float(min(2**n, 30)), lambda n: 15.0),
            lambda: f"job-id-{next(self._ids)}",
        )

    def run(self) -> Ending:
        """The command, again and again until it comes to its end.

        Raises:
            AssertionError: it never does.
        """
        for _ in range(STARTS_MAX):
            try:
                ending = self._command()
            except Killed:
                self.kills += 1
                self.live.mortality.calls_left = None
                self.ledger = self._process()
                continue
            if ending in (Ending.DONE, Ending.TABLE_AT_FAULT):
                return ending
        raise AssertionError(f"no end after {STARTS_MAX} starts")

    def _command(self) -> Ending:
        """Once, as ``shipper.cli_letters.requeue`` does it."""
        ending = Ending.DONE
        for job in self.ledger.jobs.unfinished("requeue"):
            ending = self._go(job)
            if ending is not Ending.DONE:
                return ending
        chosen = choose(self.ledger, self.live.spool, None)
        if chosen.letters:
            now_us = self.live.clock.realtime_ns() // 1000
            job = self.ledger.jobs.create_for_letters(chosen.letters, chosen.unsent, now_us)
            ending = self._go(job)
        return ending

    def _go(self, job: Job) -> Ending:
        return go(self.ledger, job, self.route, Headway()).ending

    def letters(self) -> list[DeadLetter]:
        """What is kept."""
        return self.ledger.dead_letters.list(0, 10_000)

    def verdict(self) -> Tally:
        """Judge; see ``verdict.judge``."""
        return judge(self.live.stored, self.live.table(), self.letters())

    def lose_channel(self, n: int = 1) -> bool:
        """The job's channel is gone without a trace; returns whether it was there."""
        name = ChannelName(PIPE, f"TH_{INSTALL.install_id}_BACKFILL_{n}")
        if name not in self.live.model.channels:
            return False
        self.live.model.lose(name)
        return True

    def _process(self) -> Ledger:
        close_opened()
        self.ledger = mortal_ledger(self.directory, self.live.mortality)
        if self._spoil is not None:
            self._spoil(self)
        return self.ledger
