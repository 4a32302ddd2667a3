"""One simulated history, from its seed to its verdict; see ``tests.model.simulation``."""

import itertools
import random
from collections import Counter
from collections.abc import Callable
from typing import Final

from common.identity import Hardware, Install
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.store import MemoryStore
from tests.model.simulation_books import Books, Broken
from tests.model.simulation_climates import weather_of
from tests.model.simulation_device import SimClock
from tests.model.simulation_host import CLOCK_WAIT_S, LIMITS, SimDevice, clone_of, new_machine
from tests.model.simulation_machine import Shared
from tests.model.simulation_mishaps import Mishaps
from tests.model.simulation_verdict import Auditor, judge
from tests.model.simulation_weather import Weather

HEAL_STEPS: Final = 2500
"""Within so many steps after the last fault the last row must be acknowledged."""
_DAY_S: Final = 86_400.0
_IDLE_DAYS: Final = 40


class Simulation:
    """One history.

    Args:
        seed: decides everything.
        mistake: plants a mistake into the processes that were just made; ``None``: the real ones.
        trace: told each thing that happens, for people.
        climate: a certain weather instead of a drawn one.
    """

    def __init__(
        self,
        seed: int,
        mistake: Callable[[SimDevice], None] | None = None,
        trace: Callable[[str], None] | None = None,
        climate: str | None = None,
    ) -> None:
        self.random = random.Random(seed)
        # tenacity draws its jitter from the module's own generator.
        random.seed(seed)
        self.weather: Weather = weather_of(self.random, climate)
        self.books = Books()
        self.store = MemoryStore()
        self.auditor = Auditor(self.store, self.books, CLOCK_WAIT_S)
        self.knobs = self.weather.knobs()
        self.model = IngestModel(self.store, self.knobs, seed)
        self._tracing = trace is not None
        self.trace = trace or (lambda text: None)
        self.shared = Shared(
            self.random,
            self.books,
            self.auditor,
            itertools.count(1),
            self.weather.rows_max,
            self.weather.poison,
            self.weather.lie > 0,
            self.trace,
        )
        self._mistake = mistake
        self._old_answers = self.weather.line.old_status > 0
        hardware = Hardware("board", "card")
        machine = new_machine(Install(self.shared.hex().upper(), hardware), SimClock())
        self.device = SimDevice(self.shared, self.weather, self.model, machine, mistake)
        self.devices = [self.device]
        self.device.collector.advance(1)
        self.device.collector.store(4)
        machine.spool.history.clear()
        self.mishaps = Mishaps(self)

    @property
    def now_s(self) -> float:
        """The time, the same on all devices."""
        return self.device.machine.clock.now_s

    @now_s.setter
    def now_s(self, now_s: float) -> None:
        for device in self.devices:
            device.machine.clock.now_s = now_s

    @property
    def counts(self) -> Counter[str]:
        """What happened so far."""
        found: Counter[str] = Counter()
        for device in self.devices:
            found.update(device.counts)
        return found

    def run(self) -> Counter[str]:
        """Live through the weather, heal, drain, judge; returns what happened.

        Raises:
            Broken: a promise was broken.
        """
        for _ in range(self.weather.steps):
            self.step()
            self.mishaps.happen()
        self.mishaps.heal()
        self._come_home()
        self._lose_while_idle()
        if self.weather.idles:
            self._idle()
        self._judge()
        counts = self.counts
        counts["histories"] = 1
        counts["rows"] = len(self.books.stored)
        counts["lost by a card"] = len(self.books.lost)
        counts["thinned"] = len(self.books.removed)
        counts["faults"] = sum(device.transport.mishaps for device in self.devices)
        counts.update(self.auditor.totals())
        counts["replays absorbed"] = self.model.tally.noops_identical
        return counts

    def clone(self) -> None:
        """A second device begins its life from a copy of the first one's card."""
        if len(self.devices) > 1:
            return
        number = len(self.devices)
        board = self.random.choice(("board", f"board-{number}"))
        machine = clone_of(self.device.machine, Hardware(board, f"card-{number}"))
        self.trace(f"cloned to {machine.hardware}")
        made = SimDevice(self.shared, self.weather, self.model, machine, self._mistake)
        made.counts["clones"] += 1
        made.due_s = self.now_s
        self.devices.append(made)

    def step(self) -> None:
        """Let time pass to the next step that is due on any device, and do it."""
        device = min(self.devices, key=lambda d: d.due_s) if len(self.devices) > 1 else self.device
        self.now_s = max(self.now_s, device.due_s)
        device.step()
        if device is not self.device:
            self.now_s = max(self.now_s, device.machine.clock.now_s)
        if self._tracing:
            wait_s = device.due_s - self.now_s
            self.trace(f"{self.now_s:10.1f} {device.drain.channel.state:12} wait {wait_s:.2f}")

    def _come_home(self) -> None:
        """Everything is well now: the last row must be acknowledged within a bounded time."""
        for _ in range(HEAL_STEPS):
            self.step()
            for device in self.devices:
                device.collector.advance(2)
            if all(device.home for device in self.devices):
                return
        waiting = next(device for device in self.devices if not device.home)
        raise Broken(
            f"no progress after healing: {waiting.drain.channel.state}, {waiting.drain.reason!r}, "
            f"acknowledged {waiting.machine.ledger.state.progress.acknowledged}"
        )

    def _lose_while_idle(self) -> None:
        """With nothing to send, only a poll can tell that the channel was invalidated."""
        channel = self.device.channel
        if channel not in self.model.channels:
            return
        self.model.invalidate(channel)
        opens, until_s = self.model.tally.opens, self.now_s + 2 * LIMITS.poll_idle_s
        while self.now_s < until_s:
            self.step()
            if self.model.tally.opens > opens:
                return
        raise Broken("a channel that was lost while idle was not opened again")

    def _idle(self) -> None:
        """Weeks without a sample: the channel must not expire (30 days without a row)."""
        born = {name: found.created_on_ms for name, found in self.model.channels.items()}
        for _ in range(_IDLE_DAYS * 3):
            self.now_s += _DAY_S / 3
            for _ in range(4):
                for device in self.devices:
                    device.collector.advance(6)
                self.step()
        self._come_home()
        for device in self.devices:
            found = self.model.channels.get(device.channel)
            if found is None or born.get(device.channel, 0) != found.created_on_ms:
                raise Broken("an idle channel expired")

    def _judge(self) -> None:
        tally = self.model.tally
        if tally.client_bugs:
            raise Broken(f"other rows under a consumed token: {tally.as_dict()}")
        hasty = sum(device.transport.hasty for device in self.devices)
        # Who is told old statuses cannot know that a token has moved; nothing is lost by it.
        if hasty and not self._old_answers:
            raise Broken(f"{hasty} opens discarded rows that were about to be committed")
        ledgers = [device.machine.ledger for device in self.devices]
        letters = [x for one in ledgers for x in (*one.state.letters, *one.letters_aside)]
        judge(self.books, self.auditor, letters)
