"""Works on sections with several processes, tells how far it is, and keeps what is done."""

import itertools
import multiprocessing
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.soak.section import Section
from tests.soak.state import Done, SoakState

TELL_S: Final = 10.0
"""How often progress is told and stored."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard to work.

    Attributes:
        processes: at once.
        until_s: no new piece after this time on the monotonic clock; ``None``: until it is done.
    """

    processes: int
    until_s: float | None = None


def work(section: Section, state: SoakState, effort: Effort, tell: Callable[[str], None]) -> Done:
    """Go on with one section until its target is reached, or time is up, or it is interrupted.

    Pieces are taken in the order of their numbers, so what is stored is always pieces 0 … n-1.
    """
    done = state.of(section.name)
    if done.counts[section.unit] >= section.target:
        return done
    begun_s = told_s = time.monotonic()
    before_s = done.seconds
    had = done.counts[section.unit]
    with multiprocessing.get_context("fork").Pool(effort.processes) as pool:
        try:
            for piece in pool.imap(section.work, itertools.count(done.pieces)):
                done.pieces += 1
                done.counts.update(piece.counts)
                done.violations += piece.violations
                now_s = time.monotonic()
                done.seconds = before_s + now_s - begun_s
                reached = done.counts[section.unit] >= section.target
                late = effort.until_s is not None and now_s >= effort.until_s
                if reached or late or now_s - told_s >= TELL_S:
                    told_s = now_s
                    state.save()
                    rate = (done.counts[section.unit] - had) / max(now_s - begun_s, 1e-9)
                    tell(progress(section, done, rate))
                if reached or late:
                    break
        finally:
            state.save()
    return done


def progress(section: Section, done: Done, rate: float) -> str:
    """One line: how far, how fast, how long still."""
    have, want = done.counts[section.unit], section.target
    left_min = max(0, want - have) / rate / 60 if rate > 0 else float("inf")
    return (
        f"{section.name}: {have:,} of {want:,} {section.unit} ({100 * have // want} %), "
        f"{rate:,.0f}/s, {left_min:.0f} min left, {len(done.violations)} violations"
    )
