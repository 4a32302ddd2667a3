"""What a simulated history has to live through, drawn from its seed.

Each climate stresses one thing.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.rows import Poison, RowRule
from tests.model.simulation_server import Line


@dataclass(slots=True)
class Weather:
    """Chances per step, and what the server does to rows.

    Attributes:
        steps: length of the bad time.
        store: rows are stored.
        collect: the collector copies, honours and trims.
        kill: the shipper will die within its next dozen port calls.
        cut: a power cut.
        restore: an older spool is put back under the running shipper.
        lie: at a cut each file may lose up to so many of its last writes.
        invalidate: the server invalidates the channel.
        lose: the server forgets the channel (table replaced, expired).
        steal: somebody else opens it.
        rewind: somebody else opens it and sets its token back.
        stick: commits get stuck, or go on again.
        pause: time passes.
        body_max: longest body that gets through the door.
        poison: share of rows that the door or the table refuses.
    """

    climate: str
    steps: int = 50
    line: Line = field(default_factory=Line)
    store: float = 0.35
    collect: float = 0.25
    kill: float = 0.1
    cut: float = 0.04
    restore: float = 0.0
    lie: int = 0
    invalidate: float = 0.0
    lose: float = 0.0
    steal: float = 0.0
    rewind: float = 0.0
    body_max: int = 1 << 22
    stick: float = 0.0
    pause: float = 0.15
    poison: float = 0.0
    commit_delay_s: float = 5.0
    commit_jitter_s: float = 3.0
    counters_lag_s: float = 0.0
    row_rules: tuple[RowRule, ...] = ()
    refuse_rules: tuple[RowRule, ...] = ()

    def knobs(self) -> Knobs:
        """How the server behaves."""
        return Knobs(
            commit_delay_s=self.commit_delay_s,
            commit_jitter_s=self.commit_jitter_s,
            counters_lag_s=self.counters_lag_s,
            parses_rows=bool(self.row_rules),
            row_rules=self.row_rules,
            refuse_rules=self.refuse_rules,
        )


def weather_of(random: Random, climate: str | None = None) -> Weather:
    """Draw a climate and how hard it is.

    Args:
        random: the simulation's generator.
        climate: this one instead of a drawn one.
    """
    drawn = random.choice(tuple(_CLIMATES))
    return _CLIMATES[climate or drawn](random)


def _bad_line(random: Random) -> Line:
    hard = random.choice((0.02, 0.06, 0.12))
    return Line(hard, hard, hard / 2, hard / 2, hard, hard / 4, hard / 4)


def _network(random: Random) -> Weather:
    line = _bad_line(random)
    line.lost_reply = random.choice((0.1, 0.3))
    return Weather(
        "network",
        line=line,
        invalidate=random.choice((0, 0.03)),
        counters_lag_s=random.choice((0.0, 2.0)),
    )


def _crashes(random: Random) -> Weather:
    return Weather("crashes", line=_bad_line(random), kill=0.35, cut=0.08)


def _lying_card(random: Random) -> Weather:
    return Weather(
        "lying card",
        steps=70,
        line=_bad_line(random),
        store=0.5,
        collect=0.05,
        cut=0.08,
        restore=0.04,
        lie=random.choice((3, 8, 16)),
        commit_delay_s=random.choice((1.0, 5.0)),
        commit_jitter_s=0.5,
        counters_lag_s=random.choice((0.0, 2.0)),
    )


def _lost_channels(random: Random) -> Weather:
    return Weather("lost channels", line=_bad_line(random), lose=0.05, invalidate=0.03)


def _poison(random: Random) -> Weather:
    return Weather(
        "poison",
        line=_bad_line(random),
        poison=random.choice((0.03, 0.15)),
        row_rules=(Poison("quality", "TABLE"),),
        refuse_rules=(Poison("quality", "DOOR"),),
        counters_lag_s=random.choice((0.0, 2.0)),
    )


def _stuck(random: Random) -> Weather:
    return Weather("stuck", line=_bad_line(random), stick=0.05, invalidate=0.02)


def _second_writer(random: Random) -> Weather:
    return Weather("second writer", line=_bad_line(random), steal=0.06, kill=0.05)


def _rewound(random: Random) -> Weather:
    return Weather("rewound", line=_bad_line(random), rewind=0.05, kill=0.05)


def _narrow(random: Random) -> Weather:
    return Weather("narrow", line=_bad_line(random), body_max=random.choice((700, 1000)), pause=0.3)


_CLIMATES: dict[str, Callable[[Random], Weather]] = {
    "network": _network,
    "crashes": _crashes,
    "lying card": _lying_card,
    "lost channels": _lost_channels,
    "poison": _poison,
    "stuck": _stuck,
    "second writer": _second_writer,
    "rewound": _rewound,
    "narrow": _narrow,
}
CLIMATES = tuple(_CLIMATES)
