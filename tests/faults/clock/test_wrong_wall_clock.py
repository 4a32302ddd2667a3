"""The installed services under a wall clock that is wrong, and that somebody sets while they run.

A preloaded library shifts what the processes read as the wall clock, and nothing else; libfaketime
also moves the ends of absolute monotonic sleeps (clock_nanosleep), which Python uses.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from tests.demo.bench import Options, World, world
from tests.demo.bus import VENV_BIN
from tests.demo.sources import read_only
from tests.system.support import needs_file_bus, until

INTERVAL_S: Final = 0.2
HOUR_S: Final = 3600
DAY_S: Final = 24 * HOUR_S
_SOURCE: Final = Path(__file__).with_name("wallclock.c")
_COMPILER: Final = shutil.which("cc")

pytestmark = [
    needs_file_bus,
    pytest.mark.skipif(_COMPILER is None, reason="no C compiler: apt-get install gcc libc6-dev"),
]


class Wrong:
    """What a process is told about the wall clock; can be changed while it runs."""

    def __init__(self, folder: Path) -> None:
        self._library = folder / "wallclock.so"
        self._file = folder / "wallclock"
        self._file.write_bytes(bytes(8))
        subprocess.run(
            [str(_COMPILER), "-shared", "-fPIC", "-O2", "-o", self._library, _SOURCE], check=True
        )

    def by(self, seconds: int) -> None:
        """Shift the wall clock by so many seconds."""
        with self._file.open("r+b") as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))

    def words(self) -> tuple[str, ...]:
        """What comes before a command."""
        return ("env", f"LD_PRELOAD={self._library}", f"WALLCLOCK_FILE={self._file}")


@pytest.fixture
def wrong(tmp_path: Path) -> Wrong:
    """The wall clock of the test's services."""
    return Wrong(tmp_path)


@pytest.fixture
def bench(wrong: Wrong) -> Iterator[World]:
    """A world whose shipper reads the wrong clock; the server refuses a JWT issued ahead."""
    shipper = (*wrong.words(), str(VENV_BIN / "thermal-shipper"))
    with world(Options(interval_s=INTERVAL_S, commit_s=0.3, shipper=shipper)) as made:
        made.server.fault("max_skew:s=60")
        yield made


@pytest.mark.parametrize("shift", [-20 * HOUR_S, 20 * HOUR_S], ids=["behind", "ahead"])
def test_a_shipper_with_a_wrong_clock_signs_in_by_the_servers_time(
    bench: World, wrong: Wrong, shift: int
) -> None:
    """A sign-in token dated by our own clock would be refused; the server's ``Date`` is learnt."""
    wrong.by(shift)
    bench.start()
    until(lambda: bench.server.committed_count() >= 10, limit_s=30)
    assert not bench.shipper.surprises


def test_in_1970_nothing_is_trusted_and_nothing_ends(bench: World, wrong: Wrong) -> None:
    """No certificate is valid yet: the shipper waits, says so, and ships once the clock is set."""
    wrong.by(-20_000 * DAY_S)
    bench.start()
    until(lambda: bench.look().stored >= 10)
    until(lambda: "waiting clock" in bench.shipper.program.tail(50), limit_s=20)
    assert bench.shipper.program.pid is not None
    assert bench.server.committed_count() == 0
    wrong.by(0)
    until(lambda: bench.server.committed_count() >= 10, limit_s=60)
    assert not bench.shipper.surprises
    assert "Warning" not in bench.shipper.program.tail(200)


def test_a_collector_whose_clock_is_set_keeps_its_grid(bench: World, wrong: Wrong) -> None:
    """A year forwards, a week back: each tick has its row on time, and the steps are told."""
    honest = bench.bus.collector
    bench.bus.collector = lambda: [*wrong.words(), *honest()]  # type: ignore[method-assign]
    bench.assemble()
    bench.collector.start()
    for number, shift in enumerate((365, -7, 0), 1):
        until(lambda: bench.look().stored >= 10 * number, limit_s=20)  # noqa: B023 - called at once
        wrong.by(shift * DAY_S)
    until(lambda: bench.look().stored >= 50, limit_s=20)
    missed = bench.collector.scrape().get("thermal_collector_missed_ticks_total", 0.0)
    assert bench.collector.stop() == 0
    with closing(read_only(bench.places.spool / "spool.db")) as connection:
        ticks = _column(connection, "boottime_ns", "sample")
        told = [json.loads(text)["by_s"] for text in _column(connection, "detail", "event")]
        gaps = _column(connection, "detail", "gap")
    assert [round(by_s / DAY_S) for by_s in told] == [365, -372, 7]
    distances = [round((b - a) / 1e9 / INTERVAL_S) for a, b in pairwise(ticks)]
    lost = sum(distance - 1 for distance in distances)
    assert lost == missed == sum(json.loads(text)["count"] for text in gaps)
    assert lost <= 2, "a busy machine may cost a tick; a step must not"
    assert min(distances) == 1


def _column(connection: sqlite3.Connection, name: str, kind: str) -> list[Any]:
    rows = connection.execute(f"SELECT {name} FROM readings WHERE kind = ? ORDER BY seq", (kind,))
    return [row[0] for row in rows.fetchall()]
