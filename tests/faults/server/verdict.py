"""What a bench must have kept, whatever was done to its server: one verdict for all tests here."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from tests.faults.server.bench import HOUR_S, Bench
from tests.faults.server.line import Call
from tests.model.simulation_books import Broken
from tests.model.simulation_verdict import judge

HOME_S: Final = 1500.0
"""Longest way home after the last fault: one slow wait of 15 minutes, an open with everything that
it may wait for, and the draining."""
CALLS_AN_HOUR: Final = 4200
"""A poll a second while rows are uncommitted, and what is sent besides."""
FAILURES_AN_HOUR: Final = 600
"""Requests that came to nothing, while something is wrong."""
STEP_S: Final = 95.0
"""Two sign-in calls and the longest request, each with its own deadline."""
STEPS_AT_ONCE: Final = 8
WISH_MAX_S: Final = 900.0
FAILED: Final = frozenset({0, 408, 409, 410, 429, 499, 500, 502, 503, 504, 401, 403, 404, 302})
WISHED: Final = frozenset({429, 500, 502, 503, 504})


def verdict(bench: Bench, *, flagged: bool = False) -> None:
    """Judge a bench after it was healed and came home.

    Args:
        bench: see ``Bench``.
        flagged: whether rows may be there twice with their flag: the channel was lost, created
            anew, or the server fell back.

    Raises:
        Broken: a promise was broken; the text says which.
    """
    bench.witness()
    judge(bench.books, bench.auditor, bench.shipper.ledger.dead_letters.list(limit=10_000))
    for finding in (*_rows(bench, flagged), *_manners(bench)):
        raise Broken(finding)


def heal_and_judge(bench: Bench, *, flagged: bool = False, home_s: float = HOME_S) -> float:
    """End all faults, see it come home, and judge; returns the virtual seconds it took.

    Raises:
        Broken: it did not come home in time, or a promise was broken.
    """
    bench.heal()
    bench.hush()
    start_s = bench.clock.monotonic_s()
    if not bench.until(bench.home, home_s):
        left = bench.store.last_seq - bench.shipper.acknowledged()
        raise Broken(f"{left} rows not acknowledged {home_s:.0f} s after the last fault")
    verdict(bench, flagged=flagged)
    return bench.clock.monotonic_s() - start_s


def _rows(bench: Bench, flagged: bool) -> Iterator[str]:
    """What is wrong with the table beyond lost and doubled."""
    totals, tally = bench.auditor.totals(), bench.model.tally
    if totals["flagged"] and not flagged:
        yield f"{totals['flagged']} rows are flagged, but the channel was never lost"
    if tally.client_bugs:
        yield f"other rows went out under a consumed token: {tally.as_dict()}"
    if bench.exchange.overlapping:
        yield "two requests to one channel at once"


def _manners(bench: Bench) -> Iterator[str]:
    """Busy loops, impatience, endless calls."""
    if bench.steps_at_once > STEPS_AT_ONCE:
        yield f"{bench.steps_at_once} steps without any time passing"
    if bench.slowest_s > STEP_S:
        yield f"one step took {bench.slowest_s:.0f} s, at most {STEP_S:.0f}"
    calls = bench.line.calls
    if (most := _densest(calls)) > CALLS_AN_HOUR:
        yield f"{most} requests in an hour, at most {CALLS_AN_HOUR}"
    if (most := _densest([c for c in calls if c.status in FAILED])) > FAILURES_AN_HOUR:
        yield f"{most} failed requests in an hour, at most {FAILURES_AN_HOUR}"
    yield from impatience(calls)


def impatience(calls: Sequence[Call]) -> Iterator[str]:
    """Requests that left before the time that the server had asked for."""
    for call, after in pairwise(calls):
        if call.status in WISHED and call.wish_s is not None:
            wish_s = min(call.wish_s, WISH_MAX_S)
            waited_s = after.at_s - call.at_s
            if waited_s < wish_s:
                yield f"{call.path} asked for {wish_s:.0f} s of patience, it got {waited_s:.1f} s"


def _densest(calls: Sequence[Call]) -> int:
    """Most calls within any hour."""
    most = first = 0
    for last, call in enumerate(calls):
        while call.at_s - calls[first].at_s > HOUR_S:
            first += 1
        most = max(most, last - first + 1)
    return most
