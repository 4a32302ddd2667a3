"""One torture: a backlog, live rows, kills, a bad server; then healing, draining, the verdict."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from common.identity import Hardware
from tests.demo.bench import World
from tests.demo.material import BOARD_SERIAL, CARD_SERIAL
from tests.demo.process import Service, boottime_ns
from tests.demo.progress import Snapshot
from tests.demo.reconcile import UNCOVERED, Finding, Verdict, reconcile
from tests.demo.rows import Run
from tests.emulators.ingest.admin import AdminClient
from tests.tools.fill_spool import fill
from tests.torture.plan import MENU, kills

FRAME_S: Final = 0.1
LOOK_S: Final = 1.0
"""Pause between two looks at the databases, which cost the services time."""
_OF_TIME: Final = frozenset({UNCOVERED, "untold ticks"})
"""Findings about the sampling grid; the backlog has a grid of its own."""

CHANGES: Final = (
    ("shipper", "batch_size", 20), ("shipper", "batch_bytes_max", 4096),
)
"""Small batches, so that many requests meet the menu."""


@dataclass(frozen=True, slots=True)
class Torture:
    """What is done.

    Attributes:
        seconds: how long the kills and the menu last.
        backlog: rows that lie in the spool before anything runs.
        seed: of the kills.
        drain_s: longest wait for the rest afterwards.
    """

    seconds: float
    backlog: int
    seed: int
    drain_s: float = 180.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Attributes:
        backlog: rows that were there before.
        live: rows that were stored while it ran.
        under_fire: rows committed before the server was healed.
        kills: SIGKILLs, collector's and shipper's.
        lost: rows that the server does not have.
        duplicated: copies beyond the first.
        holes: ticks that were never stored, and how many of them gap rows tell of.
        met: requests that got a 503, and that lost their answer.
        troubles: every disagreement, and every end that was not ours; none: the promise was kept.
    """

    backlog: int
    live: int
    under_fire: int
    kills: tuple[int, int]
    lost: int
    duplicated: int
    holes: tuple[int, int]
    met: tuple[int, int]
    troubles: tuple[str, ...]

    @property
    def produced(self) -> int:
        """Rows that had to arrive."""
        return self.backlog + self.live


def torture(world: World, what: Torture, show: Callable[[Snapshot], None]) -> Outcome:
    """Do it; the world is prepared and nothing of it runs yet.

    Args:
        world: made with ``CHANGES``.
        what: how long and how hard.
        show: told of the run now and then.
    """
    before = _fill(world, what)
    world.server.fault(MENU)
    world.server.trouble = "15 % 503 before, 10 % reset after"
    world.start()
    _under_fire(world, what, show)
    under_fire = world.server.committed_count()
    hits = _hits(world)
    world.server.trouble = ""
    world.server.heal()
    troubles = _ended(world.collector)
    _drain(world, what, show)
    troubles += _ended(world.shipper)
    return _outcome(world, what, before, _Fire(under_fire, hits, troubles))


@dataclass(frozen=True, slots=True)
class _Fire:
    """What was seen before the verdict."""

    committed: int
    hits: dict[str, int]
    troubles: list[str]


def _fill(world: World, what: Torture) -> Run:
    """Store the backlog; as a life of the collector that ended before the first one."""
    start_ns = boottime_ns()
    if what.backlog:
        fill(world.places.spool, what.backlog, what.seed, Hardware(BOARD_SERIAL, CARD_SERIAL))
    return Run(start_ns, boottime_ns(), 0)


def _hits(world: World) -> dict[str, int]:
    """How often each entry of the menu struck."""
    port = urlsplit(world.server.url).port
    assert port is not None
    hits: dict[str, int] = AdminClient(port).state()["fault_hits"]
    return hits


def _under_fire(world: World, what: Torture, show: Callable[[Snapshot], None]) -> None:
    plan = kills(what.seed, what.seconds)
    start_s = time.monotonic()
    look_s = 0.0
    while (now_s := time.monotonic() - start_s) < what.seconds:
        while plan and plan[0].at_s <= now_s:
            world.act(plan.pop(0))
        world.tend()
        world.collector.scrape()
        if now_s >= look_s:
            look_s = now_s + LOOK_S
            show(world.look())
        time.sleep(FRAME_S)


def _drain(world: World, what: Torture, show: Callable[[Snapshot], None]) -> None:
    end_s = time.monotonic() + what.drain_s
    while not world.drained() and time.monotonic() < end_s:
        world.shipper.tend()
        show(world.look("draining"))
        time.sleep(LOOK_S / 2)


def _ended(service: Service) -> list[str]:
    """Let a service that was just killed come back, then stop it; what is wrong with its end."""
    name = service.program.name
    if not service.stand_up(20):
        return [f"{name} did not come back: {service.program.tail(2)}"]
    status = service.stop()
    found = [] if status == 0 else [f"{name} gave status {status} after SIGTERM"]
    if service.surprises:
        found.append(f"{name} ended by itself, status {service.surprises[:3]}")
    return found


def _outcome(world: World, what: Torture, before: Run, fire: _Fire) -> Outcome:
    runs, stored, committed = world.evidence()
    interval_ns = round(world.options.interval_s * 1e9)
    whole = reconcile([], stored, committed, interval_ns)
    # The last row of the backlog is where the first live hole begins.
    live = [row for row in stored if row.key.seq >= what.backlog]
    timed = reconcile([before, *runs], live, [], interval_ns)
    findings = (*_about(whole, of_time=False), *_about(timed, of_time=True))
    return Outcome(
        backlog=what.backlog,
        live=len(stored) - what.backlog,
        under_fire=fire.committed,
        kills=(world.collector.kills, world.shipper.kills),
        lost=whole.lost,
        duplicated=whole.duplicated,
        holes=(timed.unstored, timed.covered),
        met=(fire.hits.get("unavailable", 0), fire.hits.get("drop_reply", 0)),
        troubles=(*(f"{found.sort}: {found.text}" for found in findings), *fire.troubles),
    )


def _about(verdict: Verdict, *, of_time: bool) -> list[Finding]:
    return [found for found in verdict.findings if (found.sort in _OF_TIME) is of_time]
