"""The climates of the simulation, each of which stresses one thing; drawn from the seed."""

from collections.abc import Callable
from random import Random

from tests.emulators.ingest.rows import Poison
from tests.model.simulation_server import Line
from tests.model.simulation_weather import Weather


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


def _calm(random: Random) -> Weather:
    """Nothing happens but what a test does by hand."""
    return Weather("calm", steps=0, kill=0.0, cut=0.0, kill_collector=0.0, pause=0.0, lie=8)


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


def _storm(random: Random) -> Weather:
    """A process dies in nearly every step, also while it recovers."""
    return Weather(
        "storm",
        steps=200,
        line=_bad_line(random),
        store=0.1,
        collect=0.15,
        interleave=0.02,
        kill=1.0,
        calls=random.choice((12, 24, 40)),
        kill_collector=0.25,
        cut=0.1,
    )


def _mixed_storm(random: Random) -> Weather:
    """The same, while something else is wrong too."""
    weather = _storm(random)
    weather.climate = "mixed storm"
    match random.randrange(6):
        case 0:
            weather.rows_max, weather.store, weather.interleave = 10, 0.3, 0.1
        case 1:
            weather.damage, weather.interleave = 0.03, 0.05
        case 2:
            weather.poison = 0.1
            weather.row_rules = (Poison("quality", "TABLE"),)
            weather.refuse_rules = (Poison("quality", "DOOR"),)
        case 3:
            weather.lose, weather.invalidate, weather.steal = 0.02, 0.03, 0.01
        case 4:
            weather.card_fails, weather.unsynced, weather.clock = 0.02, 0.5, 0.03
        case _:
            weather.lose_spool, weather.lose_ledger, weather.swap_board = 0.01, 0.02, 0.02
            weather.late_collector = 0.3
    return weather


def _lying_storm(random: Random) -> Weather:
    """Power cuts follow each other on a card that lies."""
    weather = _storm(random)
    weather.climate = "lying storm"
    weather.kill, weather.cut, weather.restore = 0.6, 0.3, 0.05
    weather.lie = random.choice((3, 8, 16))
    weather.late_collector = 0.2
    return weather


def _crowded(random: Random) -> Weather:
    """The spool is full: rows are thinned and dropped while others are on their way."""
    return Weather(
        "crowded",
        steps=80,
        line=_bad_line(random),
        store=0.7,
        interleave=random.choice((0.05, 0.2)),
        kill=0.2,
        kill_collector=0.1,
        rows_max=random.choice((8, 14)),
        invalidate=0.03,
        stick=random.choice((0.0, 0.05)),
    )


def _damaged(random: Random) -> Weather:
    return Weather(
        "damaged",
        steps=70,
        line=_bad_line(random),
        store=0.5,
        interleave=0.05,
        kill_collector=0.05,
        damage=0.04,
        rows_max=random.choice((14, 1 << 30)),
    )


def _lost_files(random: Random) -> Weather:
    return Weather(
        "lost files",
        line=_bad_line(random),
        interleave=0.02,
        lose_spool=0.02,
        lose_ledger=0.03,
        swap_board=0.02,
        late_collector=0.3,
        invalidate=0.02,
        rows_max=random.choice((14, 1 << 30)),
    )


def _wrong_clock(random: Random) -> Weather:
    return Weather(
        "wrong clock",
        steps=70,
        line=_bad_line(random),
        unsynced=0.7,
        clock=random.choice((0.02, 0.1)),
        cut=0.05,
    )


def _clones(random: Random) -> Weather:
    return Weather(
        "clones",
        steps=100,
        line=_bad_line(random),
        clone=0.1,
        late_collector=0.4,
        cut=0.06,
        lose=random.choice((0.0, 0.05)),
    )


def _failing_card(random: Random) -> Weather:
    return Weather("failing card", line=_bad_line(random), card_fails=0.03, interleave=0.05)


def _flapping_door(random: Random) -> Weather:
    line = _bad_line(random)
    line.lost_reply = 0.3
    small = random.choice((400, 500))
    return Weather(
        "flapping door", line=line, body_max=small, door=0.5, store=0.6, kill=0.03, cut=0.01
    )


def _old_answers(random: Random) -> Weather:
    line = _bad_line(random)
    line.old_status = 0.15
    return Weather("old answers", line=line, invalidate=0.03, lose=random.choice((0, 0.02)))


def _idle(random: Random) -> Weather:
    return Weather("idle", steps=10, line=_bad_line(random), idles=True)


_CLIMATES: dict[str, Callable[[Random], Weather]] = {
    "calm": _calm,
    "network": _network,
    "crashes": _crashes,
    "lying card": _lying_card,
    "lost channels": _lost_channels,
    "poison": _poison,
    "stuck": _stuck,
    "second writer": _second_writer,
    "rewound": _rewound,
    "narrow": _narrow,
    "storm": _storm,
    "lying storm": _lying_storm,
    "mixed storm": _mixed_storm,
    "crowded": _crowded,
    "damaged": _damaged,
    "lost files": _lost_files,
    "wrong clock": _wrong_clock,
    "clones": _clones,
    "failing card": _failing_card,
    "flapping door": _flapping_door,
    "old answers": _old_answers,
    "idle": _idle,
}
CLIMATES = tuple(_CLIMATES)
