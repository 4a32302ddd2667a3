"""The same with real processes: two machines side by side on one host, TLS, one emulated account.

Hostname, machine id and boot are the host's, so both share them; only the files that the settings
name as serial numbers differ, or do not.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.demo import material
from tests.demo.bench import Options, World, places, world
from tests.demo.rows import Key, Row
from tests.faults.identity.image import BOTH, SPOOL, Image
from tests.faults.identity.verdict import Books, Verdict, judge, read_spool
from tests.system.support import until

OPTIONS = Options(interval_s=0.2, file_bus=False, commit_s=0.5)
LIMIT_S = 60.0
ROWS = 10

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180)]


class Side:
    """One of the machines, and what was ever seen in its spool."""

    def __init__(self, bench: World, books: Books) -> None:
        self.bench = bench
        self._books = books

    @property
    def directory(self) -> Path:
        """Its spool's directory."""
        return self.bench.places.spool

    def rows(self) -> list[Row]:
        """What its spool holds; all of it is noted."""
        found = read_spool(self.directory / SPOOL)
        self._books.note(found)
        return found

    def install(self) -> str:
        """The install of its newest row; none: ""."""
        return next((row.key.install_id for row in reversed(self.rows())), "")

    def put_back(self, image: Image) -> None:
        """Put both files back; both services have ended."""
        before = self.rows()
        image.put(self.directory, BOTH, in_place=True)
        self._books.take_back(before, self.rows())

    def serials(self, board: str, card: str) -> None:
        """Put the card into a board."""
        (self.bench.places.root / "board-serial").write_text(board + "\0")
        (self.bench.places.root / "card-serial").write_text(card + "\n")

    def stop(self) -> None:
        """End both services."""
        self.bench.collector.stop()
        self.bench.shipper.stop()
        self.rows()

    def said(self, word: str) -> bool:
        """Whether one of its services logged something."""
        logs = (self.bench.places.log(name) for name in ("collector", "shipper"))
        return any(word in log.read_text() for log in logs if log.exists())


class Pair:
    """Both machines and the account."""

    def __init__(self, first: World, second: World) -> None:
        self.books = Books()
        self.first, self.second = Side(first, self.books), Side(second, self.books)
        self.server = first.server

    def told(self, *kinds: str) -> bool:
        """Whether an event row of one of these kinds is in the table."""
        rows = self.server.committed_rows()
        return any(row.kind == "event" and row.detail["event"] in kinds for row in rows)

    def committed(self, install: str) -> int:
        """How many rows of an install are in the table."""
        return sum(row.key.install_id == install for row in self.server.committed_rows())

    def settle(self, *sides: Side) -> Verdict:
        """Stop the collectors, wait until all that they stored is in the table, and judge.

        Raises:
            TimeoutError: something does not arrive.
        """
        for side in sides:
            side.bench.collector.stop()
        until(lambda: not self._missing(sides), limit_s=LIMIT_S, pause_s=0.3)
        for side in sides:
            side.stop()
        arrived = [(f"TH_{row.key.install_id}", row) for row in self.server.committed_rows()]
        return judge(self.books, arrived, self._aside())

    def opens(self) -> dict[str, int]:
        """Client sequencers by channel: how often each was opened again."""
        channels = self.server._admin.state()["channels"]
        return {c["channel_name"]: int(c["continuation_token"].split("_")[0]) for c in channels}

    def _missing(self, sides: tuple[Side, ...]) -> set[Key]:
        there = {row.key for row in self.server.committed_rows()}
        return {row.key for side in sides for row in side.rows()} - there

    def _aside(self) -> list[Key]:
        sides = (self.first, self.second)
        files = [file for side in sides for file in side.directory.rglob("aside/*/spool.db")]
        rows = [row for file in files for row in read_spool(file)]
        self.books.note(rows)
        return [row.key for row in rows]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Two machines with one account; nothing runs yet, the second has no key and no files."""
    with ExitStack() as stack:
        first = stack.enter_context(world(OPTIONS))
        second = World(stack.enter_context(places()), OPTIONS)
        stack.callback(second.bus.end)
        stack.callback(second.shipper.program.end)
        stack.callback(second.collector.program.end)
        second.server = first.server
        second.places.make()
        shutil.copy(first.places.key, second.places.key)
        second.write_settings()
        yield Pair(first, second)


def run_until_home(side: Side, pair: Pair, rows: int = ROWS) -> None:
    """Start a machine and wait until so many of its rows are in the table."""
    side.bench.start()
    until(lambda: len(side.rows()) >= rows, limit_s=LIMIT_S)
    until(lambda: pair.committed(side.install()) >= rows, limit_s=LIMIT_S)


def test_a_clone_beside_the_original(pair: Pair) -> None:
    """Same image, another card: two installs, two channels, each opened once or twice."""
    run_until_home(pair.first, pair)
    image = Image.of(pair.first.directory)
    image.put(pair.second.directory, BOTH, in_place=False)
    pair.second.serials("board-b", "card-b")
    original = pair.first.install()
    pair.second.bench.start()
    until(lambda: pair.second.install() not in {"", original}, limit_s=LIMIT_S)
    until(lambda: pair.committed(pair.second.install()) >= ROWS, limit_s=LIMIT_S)
    installs = {pair.first.install(), pair.second.install()}
    verdict = pair.settle(pair.first, pair.second)
    assert verdict.broken == {}
    assert len(installs) == 2
    assert pair.opens() == {f"TH_{install}": 0 for install in installs}
    assert pair.second.said("spool_set_aside")
    assert verdict.gaps["inherited"] >= 0


def test_a_moved_card_and_a_restore_in_one_boot(pair: Pair) -> None:
    """The card goes into another board, then an old copy is put back: one install, three epochs."""
    side = pair.first
    run_until_home(side, pair)
    image, install = Image.of(side.directory), side.install()
    side.stop()
    side.serials("board-b", material.CARD_SERIAL)
    run_until_home(side, pair, 2 * ROWS)
    side.stop()
    side.put_back(image)
    side.serials("board-b", material.CARD_SERIAL)
    run_until_home(side, pair, 2 * ROWS)
    until(lambda: pair.told("tail_lost", "boots_lost"), limit_s=LIMIT_S)
    verdict = pair.settle(side)
    assert verdict.broken == {}
    assert side.install() == install
    assert len({row.key.epoch for row in pair.server.committed_rows()}) == 3
    assert (verdict.copies, verdict.untold) == (0, ())


def test_a_freshly_written_card(pair: Pair) -> None:
    """Both files are gone: a new install by itself, the old channel keeps what it has."""
    side = pair.first
    run_until_home(side, pair)
    old = side.install()
    side.stop()
    had = pair.committed(old)
    side.put_back(Image({}))
    run_until_home(side, pair)
    verdict = pair.settle(side)
    assert verdict.broken == {}
    assert side.install() != old
    assert pair.committed(old) == had


def test_equal_twins_side_by_side(pair: Pair) -> None:
    """Serials that tell nothing, and a cold image: nothing lost, no copy without its flag, told."""
    run_until_home(pair.first, pair)
    pair.first.stop()
    Image.of(pair.first.directory).put(pair.second.directory, BOTH, in_place=False)
    # Both were rebooted as far as they know: the runtime directory ends with the boot.
    shutil.rmtree(pair.first.bench.places.runtime)
    pair.first.bench.places.runtime.mkdir()

    def home(side: Side) -> bool:
        return len(side.rows()) >= 2 * ROWS

    for side in (pair.first, pair.second):
        side.bench.start()
    for side in (pair.first, pair.second):
        until(partial(home, side), limit_s=LIMIT_S)
    # Who was fenced is polite: it waits while the other one's rows are on their way.
    pair.first.bench.collector.stop()
    until(lambda: pair.told("boots_lost"), limit_s=3 * LIMIT_S)
    verdict = pair.settle(pair.first, pair.second)
    assert verdict.broken == {}
    assert pair.first.said("boots_lost") or pair.second.said("boots_lost")
    assert sum(pair.opens().values()) <= 40
