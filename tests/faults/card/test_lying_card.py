"""Cards that break their word: what they lose is told, what comes twice is flagged.

A card that acknowledges a flush and loses it can take any synced row along, so nothing here can be
promised to be whole. It must only never be silent.
"""

import tempfile
from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.emulators.disk.crash import Damage, LyingCard, lose, reorder, spoil
from tests.emulators.disk.disk import memory_directory
from tests.emulators.disk.tree import Tree
from tests.faults.card.enumeration import Tally, enumerate_crashes, honest, states
from tests.faults.card.judge import Promises, judge_lying, missing, moment_at
from tests.faults.card.life import SPOOL
from tests.faults.card.recording import Recording
from tests.faults.card.recovery import Outcome, recover
from tests.faults.card.support import needs_disk, recorded

CACHES: Final = (4, 16, 64)
"""Operations that the card holds back."""
EVERY: Final = 3
SPLITS: Final = 120

pytestmark = [pytest.mark.heavy, needs_disk, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def day() -> Recording:
    """An ordinary day with shipping, trims and a second boot."""
    return recorded("busy_day")


def _lied(day: Recording, cache: int, name: str, damage: Damage) -> Tally:
    card = LyingCard(day.base, cache)
    cut = states(day, card, {name: damage}, every=EVERY, names=False)
    tally = enumerate_crashes(day, cut, judge_lying)
    print(f"cache of {cache}, {name}: {tally.line}")
    return tally


@pytest.mark.parametrize("cache", CACHES)
def test_a_cache_lost_in_order_damages_nothing_and_is_told(day: Recording, cache: int) -> None:
    """The newest synced writes are gone: no file is corrupt, no loss silent, no copy unflagged."""
    tally = _lied(day, cache, "in order", lose)
    assert tally.findings == []
    assert tally.failed.total() == 0
    assert tally.happenings["spool_set_aside"] == 0
    assert tally.states.total() >= 100


@pytest.mark.parametrize("cache", CACHES)
def test_a_cache_lost_in_any_order_is_told(day: Recording, cache: int) -> None:
    """Reordering, not lying as such, destroys files: set aside, salvaged, told."""
    tally = _lied(day, cache, "reordered", reorder)
    assert tally.findings == []
    assert tally.failed.total() <= tally.images / 20, tally.failed
    assert all("Corrupt" in found for found in tally.failed), tally.failed
    assert cache < CACHES[-1] or tally.happenings["spool_set_aside"] > 0, "no damage was done"


def test_a_lying_card_does_lose_rows(day: Recording) -> None:
    """The negative control: by the measure of an honest card, these are losses."""
    card = LyingCard(day.base, CACHES[-1])
    tally = enumerate_crashes(day, states(day, card, {"in order": lose}, every=9, names=False))
    assert tally.bad["in order"] > tally.states["in order"] / 2


def test_a_spoilt_flash_page_is_told(day: Recording) -> None:
    """The card was programming a page of 16 KiB: what lay beside the write is noise as well."""
    cut = states(day, honest(day), {"spoil": spoil}, every=EVERY, names=False)
    tally = enumerate_crashes(day, cut, judge_lying)
    print(f"spoilt page: {tally.line}")
    assert tally.findings == []
    assert tally.failed.total() <= tally.images / 20, tally.failed
    assert tally.happenings["spool_set_aside"] > 0, "no damage was done"


def test_an_epoch_that_is_not_renewed_is_found_out(
    day: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: numbers of a lost tail given again name other rows, which never arrive."""

    def never(found: object, matched: object) -> None:
        return None

    monkeypatch.setattr("collector.spool.decide._epoch_reason", never)
    monkeypatch.setattr("collector.spool.decide._greatest_known", lambda found, install: (
        found.spool.last_seq
    ))
    last = [record for record in day.records if record.end >= day.begin]
    card = LyingCard(day.base, 64)
    cut = states(day, card, {"in order": lose}, every=max(1, len(last) // 60), names=False)
    tally = enumerate_crashes(day, cut, _fresh_rows_arrive)
    assert any("of the samples taken since" in found for found in tally.findings)


def _fresh_rows_arrive(outcome: Outcome, promises: Promises) -> list[str]:
    """New samples, the numbers of which somebody had used before, must arrive under new keys."""
    arrived = {row.key for row in outcome.arrived}
    fresh = [row for row in outcome.rows if row.key not in arrived]
    if outcome.failed or not outcome.drained or fresh:
        return [f"{len(fresh)} of the samples taken since are missing; {outcome.failed}"]
    return judge_lying(outcome, promises)


def test_the_two_files_may_fall_back_to_different_points(day: Recording) -> None:
    """``spool.db`` as of one moment, ``ship.db`` as of another: each file rolls back on its own."""
    random, lost = Random(14), 0
    for _ in range(SPLITS):
        early, late = sorted(random.sample(range(len(day.records)), 2))
        spool_at, ship_at = (early, late) if random.random() < 0.5 else (late, early)
        image = _split(day, spool_at, ship_at)
        at = day.records[late].end
        outcome, promises = recover(image, moment_at(day, at)), Promises.until(day, at)
        assert judge_lying(outcome, promises) == [], (spool_at, ship_at)
        assert not outcome.failed
        if spool_at == late:
            assert missing(outcome, promises) == [], "the spool has them all"
        lost += bool(missing(outcome, promises))
    print(f"files of different moments: {SPLITS} states, {lost} of them without some row")
    assert lost > 0, "no roll-back took anything"


def _split(day: Recording, spool_at: int, ship_at: int) -> Tree:
    """The disk with the files of the spool as of one operation, and those of the shipper."""
    spool, ship = day.base.copy(), day.base.copy()
    for tree, until in ((spool, spool_at), (ship, ship_at)):
        for record in day.records[: until + 1]:
            tree.apply(record.operation)
    ship_files = {str(path): node for path, node in ship.files() if path.name.startswith("ship")}
    return _rebuilt(spool, {name: bytes(node.data) for name, node in ship_files.items()})


def _rebuilt(tree: Tree, ship_files: dict[str, bytes]) -> Tree:
    """A tree whose shipper's files are these."""
    with tempfile.TemporaryDirectory(dir=memory_directory()) as name:
        place = Path(name)
        tree.export(place)
        (place / SPOOL).mkdir(exist_ok=True)
        for path in (place / SPOOL).glob("ship.db*"):
            path.unlink()
        for file, data in ship_files.items():
            (place / file).write_bytes(data)
        return Tree.load(place)


@pytest.mark.parametrize("which", ["removed", "stale", "foreign"])
def test_a_log_that_is_not_the_file_s_own_is_told(day: Recording, which: str) -> None:
    """``spool.db-wal`` deleted after a crash, or replaced by an older one or another file's."""
    other = recorded("groups") if which == "foreign" else day
    told = 0
    for share in (0.3, 0.5, 0.7, 0.9):
        number = int(len(day.records) * share)
        image, at = _whole(day, number), day.records[number].end
        log = {
            "removed": None,
            "stale": _log(_whole(day, number * 4 // 5)),
            "foreign": _log(_whole(other, len(other.records) // 2)),
        }[which]
        moment, promises = moment_at(day, at), Promises.until(day, at)
        outcome = recover(_with_log(image, log), moment)
        assert judge_lying(outcome, promises) == [], f"{which} at {share}"
        assert not outcome.failed
        told += bool(missing(outcome, promises)) or bool(outcome.happenings)
    assert told > 0


def _whole(recording: Recording, number: int) -> Tree:
    tree = recording.base.copy()
    for record in recording.records[: number + 1]:
        tree.apply(record.operation)
    return tree


def _log(tree: Tree) -> bytes | None:
    found = [node for path, node in tree.files() if path.name == "spool.db-wal"]
    return bytes(found[0].data) if found else None


def _with_log(tree: Tree, log: bytes | None) -> Tree:
    """A tree with another write-ahead log of the spool; ``None``: with none."""
    with tempfile.TemporaryDirectory(dir=memory_directory()) as name:
        place = Path(name)
        tree.export(place)
        path = place / SPOOL / "spool.db-wal"
        path.unlink(missing_ok=True)
        if log is not None:
            path.write_bytes(log)
        return Tree.load(place)
