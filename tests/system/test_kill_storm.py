"""Thirty SIGKILLs over the two real processes while the server misbehaves: 0 lost, 0 doubled.

And the same storm over a shipper with a mistake planted in it, which must be found out.
"""

import random
import sys
import time

import pytest

from common.errors import ExitCode
from tests.demo.bench import Options, World, world
from tests.demo.chaos import schedule
from tests.demo.reconcile import Verdict, reconcile
from tests.system.broken_shipper import BELIEVES_200, FRESH_TOKEN
from tests.system.support import needs_file_bus, until

INTERVAL_S = 0.1
KILLS = 30
SECONDS = 120.0
FAULT_EVERY_S = (0.8, 2.4)
FAULTS = (
    "drop_reply:endpoint=append",
    "drop_reply:endpoint=append,times=2",
    "drop_reply:endpoint=open",
    "drop_reply:endpoint=status",
    "drop_request:endpoint=append",
    "storm:endpoint=append",
    "storm:endpoint=append,applied=1",
    "storm:endpoint=open,applied=1",
    "truncate:endpoint=append",
    "duplicate:endpoint=append",
    "delay_reply:s=1,endpoint=append",
    "invalidate",
    "unauthorized:endpoint=append",
    "throttle:endpoint=append,retry_after=1",
    "revoke_tokens",
)
"""Mostly where rows are at stake; a shipper that cannot even sign in has nothing to get wrong."""

pytestmark = [pytest.mark.heavy, needs_file_bus]


def storm(bench: World, seed: int, seconds: float, kills: int) -> None:
    """Play a plan of kills and cuts, with a fault of the menu every second or two."""
    plan = list(schedule(seed, seconds, kills))
    pick = random.Random(seed)
    bench.start()
    start_s, next_fault_s = time.monotonic(), 2.0
    while (now_s := time.monotonic() - start_s) < seconds:
        while plan and plan[0].at_s <= now_s:
            bench.act(plan.pop(0))
        if now_s >= next_fault_s and not bench.server.trouble:
            bench.server.fault(pick.choice(FAULTS))
            next_fault_s = now_s + pick.uniform(*FAULT_EVERY_S)
        bench.tend()
        bench.collector.scrape()
        time.sleep(0.05)
    bench.server.heal()


def _go_on(bench: World, seconds: float) -> None:
    """Let the world run, restarting what died."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        bench.tend()
        time.sleep(0.05)


def verdict_of(bench: World, limit_s: float) -> Verdict:
    """End the collector, wait for the backlog as long as the limit allows, reconcile."""
    assert bench.collector.stand_up(limit_s=20)
    assert bench.collector.stop() == ExitCode.OK, bench.collector.program.tail(20)
    end_s = time.monotonic() + limit_s
    while not bench.drained() and time.monotonic() < end_s:
        bench.shipper.tend()
        time.sleep(0.2)
    bench.shipper.stand_up()
    bench.shipper.stop()
    return reconcile(*bench.evidence(), round(INTERVAL_S * 1e9))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
def test_thirty_kills_lose_and_double_nothing(seed: int) -> None:
    """Every stored row is committed once, unchanged, without a hole in seq; every hole is told."""
    with world(Options(interval_s=INTERVAL_S, commit_s=1.0)) as bench:
        storm(bench, seed, SECONDS, KILLS)
        verdict = verdict_of(bench, 120)
        print(verdict.line, bench.server.tally())
        assert verdict.findings == ()
        assert (verdict.lost, verdict.duplicated) == (0, 0)
        assert bench.collector.kills + bench.shipper.kills >= KILLS * 0.9
        assert bench.collector.surprises + bench.shipper.surprises == []
        assert verdict.samples > SECONDS / INTERVAL_S / 4
        tally = bench.server.tally()
        assert tally["client_bugs"] == 0
        assert tally["opens"] >= KILLS / 3, "the storm was so thick that little was sent"
        assert tally["appends"] >= KILLS
        assert tally["noops_identical"] > 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("mistake", "commit_s", "fault", "sort"),
    [
        (BELIEVES_200, 3.0, "invalidate", "lost"),
        (FRESH_TOKEN, 0.0, "drop_reply:endpoint=append", "duplicated"),
    ],
)
def test_a_planted_mistake_is_found_out(
    mistake: str, commit_s: float, fault: str, sort: str
) -> None:
    """Negative controls: the same bench and arithmetic find a shipper that gets it wrong."""
    broken = (sys.executable, "-m", "tests.system.broken_shipper", mistake)
    with world(Options(interval_s=INTERVAL_S, commit_s=commit_s, shipper=broken)) as bench:
        bench.start()
        until(lambda: bench.server.committed_count() >= 10, limit_s=20)
        for _ in range(4):
            bench.server.fault(fault)
            _go_on(bench, 3.0)
        verdict = verdict_of(bench, 10)
    assert sort in {finding.sort for finding in verdict.findings}, verdict.line
