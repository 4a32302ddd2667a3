"""An account with its devices: they work side by side in one time, and one verdict covers all."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Final

from common.identity import Hardware
from tests.demo.rows import Row
from tests.demo.sources import arrived_row
from tests.faults.identity.account import Account
from tests.faults.identity.image import BOTH, Image
from tests.faults.identity.machine import Machine
from tests.faults.identity.verdict import Verdict, judge, read_spool

SETTLED_S: Final = 120.0
"""A device that has nothing to send for so long has nothing to send."""


class Cloud(Account):
    """See the module.

    Args:
        root: an empty directory for the devices' disks.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._machines: list[Machine] = []

    def machine(self, name: str, hardware: Hardware | None = None) -> Machine:
        """A new device with an empty card."""
        made = Machine(self, name, hardware or Hardware(f"board-{name}", f"card-{name}"))
        self._machines.append(made)
        return made

    def clone(
        self, original: Machine, name: str, hardware: Hardware, image: Image | None = None
    ) -> Machine:
        """Another device, switched off, whose card was written from an image of the original's."""
        made = self.machine(name, hardware)
        (image or original.image()).put(made.device.directory, BOTH, in_place=False)
        made.power_cycle()
        return made

    def run(self, seconds: float) -> None:
        """Let everybody work for so long."""
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            due_s = min([end_s, *(machine.due_s for machine in self._machines)])
            self._pass(max(due_s - self.clock.now_s, 0.01))
            for machine in self._machines:
                if machine.due_s <= self.clock.now_s:
                    machine.work()

    def until(self, done: Callable[[], bool], seconds: float = 900.0) -> None:
        """Let everybody work until something is so.

        Raises:
            AssertionError: it never was, within that time; says what each device waits for.
        """
        end_s = self.clock.now_s + seconds
        while not done():
            waiting = {machine.name: machine.reason for machine in self._machines}
            assert self.clock.now_s < end_s, f"not within {seconds} s: {waiting}"
            self.run(1.0)

    def drain(self, seconds: float = 3600.0) -> None:
        """Let everybody work until all who ship have every row acknowledged, later events too."""
        for _ in range(2):
            self.until(lambda: all(m.home for m in self._machines if m.shipping), seconds)
            self.run(SETTLED_S)

    def drain_of(self, machine: Machine) -> None:
        """Let everybody work until one device's rows are acknowledged."""
        self.until(lambda: machine.home)

    def verdict(self) -> Verdict:
        """What became of every row, now."""
        for machine in self._machines:
            machine.note()
        arrived = [(r.name.channel, arrived_row(json.loads(r.row))) for r in self.store.rows]
        aside = self._aside()
        self.books.note(aside)
        return judge(self.books, arrived, (row.key for row in aside))

    def close(self) -> None:
        """Close all files of all devices."""
        for machine in self._machines:
            machine.stop()

    def _aside(self) -> list[Row]:
        """Rows that only set-aside files hold, of installs that nobody has any more."""
        alive = {machine.install_id for machine in self._machines}
        files = self.root.rglob("aside/*/spool.db")
        rows = (row for file in files for row in read_spool(file))
        return [row for row in rows if row.key.install_id not in alive]

    def _pass(self, seconds: float) -> None:
        self.clock.now_s += seconds
        self.model.advance(self.clock.now_s)
        for machine in self._machines:
            machine.device.clock.advance(seconds)
