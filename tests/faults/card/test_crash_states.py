"""Every crash of the product's own code on a card that keeps its word: nothing lost, nothing twice.

Each story is lived once on a damageable disk. Then, for each boundary between two operations and
each damage, the image is recovered by the product's code, started twice, and drained.
"""

import tempfile
from pathlib import Path
from random import Random
from typing import Final

import pytest

from collector.spool import trimming
from collector.spool.licence import Licence
from collector.spool.store import SpoolStore
from collector.spool.upkeep import Upkeep
from shipper.ledger import Ledger
from tests.emulators.disk.crash import DAMAGES
from tests.emulators.disk.disk import memory_directory, mounted
from tests.faults.card.enumeration import State, Tally, enumerate_crashes, honest, states
from tests.faults.card.judge import Promises, judge_honest, moment_at
from tests.faults.card.life import CHECKPOINT_PAGES, Life, opener, record
from tests.faults.card.recording import Recording
from tests.faults.card.recovery import recover
from tests.faults.card.stories import STORIES, Story
from tests.faults.card.support import needs_disk, recorded

STATES_MIN: Final = {
    "first_start": 700, "groups": 400, "checkpoints": 300, "shipping": 650, "trimming": 750,
    "thinning": 200, "boots": 800, "new_card": 800, "requests": 500, "quarantine": 500,
    "rescue": 700, "busy_day": 900, "full_disk": 550,
}
"""So many states of a story at least; together more than 7,500."""
DRAWS: Final = 1
"""How often each damage that draws is drawn at each boundary; ten for a soak."""
RECOVERIES_CUT: Final = 2
SMALL_LOG: Final = f"wal_autocheckpoint={CHECKPOINT_PAGES}"

pytestmark = [pytest.mark.heavy, needs_disk, pytest.mark.timeout(600)]


def crashes(story: Story, recording: Recording, draws: int = DRAWS) -> Tally:
    """All crashes of a recording; with more draws, the damages that draw do so more often."""
    found = Tally()
    for seed in range(1, draws + 1):
        cut = states(recording, honest(recording), every=story.every, seed=seed, names=seed == 1)
        found.add(enumerate_crashes(recording, cut, story.judge))
    return found


@pytest.mark.parametrize("name", STORIES)
def test_no_crash_loses_or_doubles_a_row(name: str) -> None:
    """What was promised arrives once, under its key; every hole is told; twice started is once."""
    story, recording = STORIES[name], recorded(name)
    tally = crashes(story, recording)
    print(f"{name}: {tally.line}")
    assert tally.findings == []
    assert tally.states.total() >= STATES_MIN[name]
    assert set(tally.states) == {*DAMAGES, "names"}
    alarms = {"spool_set_aside", "rescue_given_up"} & set(tally.happenings)
    assert alarms <= story.alarms, "an honest card damages no file"


def test_negative_control_without_full_sync_rows_are_lost() -> None:
    """``synchronous=NORMAL``: the same verdict finds rows gone that were reported as stored."""
    recording = recorded("groups", opener("synchronous=NORMAL", SMALL_LOG))
    tally = enumerate_crashes(recording, states(recording, honest(recording), names=False))
    print(f"NORMAL: {tally.line}")
    assert tally.bad["lose"] > tally.states["lose"] / 3
    assert all("is lost" in found or "not in the spool" in found for found in tally.findings)


def test_negative_control_exposed_one_batch_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shipper that stores what left only with the next batch is found out."""
    expose, waiting = Ledger.expose, list[tuple[str, int]]()

    def late(self: Ledger, epoch: str, seq: int) -> None:
        for earlier in waiting:
            expose(self, *earlier)
        waiting[:] = [(epoch, seq)]

    monkeypatch.setattr(Ledger, "expose", late)
    recording = recorded("shipping")
    monkeypatch.undo()
    tally = enumerate_crashes(recording, states(recording, honest(recording), every=4))
    assert any("had left, exposed is" in found for found in tally.findings)


def test_negative_control_trimmed_before_the_licence_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A trim that notes its acknowledgement in a transaction of its own is found out."""

    def trim(store: SpoolStore, granted: Licence, keep: int) -> int:
        if granted.acknowledgement is None:
            return 0
        with store.transaction("trim") as connection:
            last = max(0, granted.through - keep)
            rows = connection.execute("DELETE FROM readings WHERE seq <= ?", (last,)).rowcount
        with store.transaction("trim") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO trimmed (id, token, epoch, seq) VALUES (1, ?, ?, ?)",
                (granted.acknowledgement.token, *_place(granted)),
            )
        return rows

    monkeypatch.setattr("collector.spool.upkeep.trim", trim)
    recording = recorded("trimming")
    monkeypatch.undo()
    assert trimming.trim is not trim
    tally = enumerate_crashes(recording, states(recording, honest(recording), every=2))
    assert any("is not in the spool, trimmed is" in found for found in tally.findings)


def _place(granted: Licence) -> tuple[str, int]:
    assert granted.acknowledgement is not None
    return granted.acknowledgement.epoch, granted.acknowledgement.seq


def test_negative_control_a_directory_that_is_not_synced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the barrier of the spool directory's parent, a cut takes the whole directory."""
    monkeypatch.setattr("common.spool.prepare.sync_directory", lambda directory: None)
    recording = recorded("first_start")
    monkeypatch.undo()
    tally = enumerate_crashes(recording, states(recording, honest(recording), every=3))
    assert any("is lost" in found for found in tally.findings)


@pytest.mark.parametrize("name", ["first_start", "new_card", "quarantine", "busy_day"])
def test_a_crash_in_the_recovery_is_recovered_too(name: str, tmp_path: Path) -> None:
    """Images of a story are recovered on a damageable disk, and that is cut everywhere again."""
    recording = recorded(name)
    cuts = list(states(recording, honest(recording), names=False))
    tally = Tally()
    for number, cut in enumerate(Random(name).sample(cuts, RECOVERIES_CUT)):
        image = tmp_path / str(number)
        image.mkdir()
        cut.image.export(image)
        again = _recovery(recording, cut, image)
        found = enumerate_crashes(again, states(again, honest(again), every=4, names=False))
        tally.add(found)
    print(f"recovery of {name}: {tally.line}")
    assert tally.findings == []
    assert tally.states.total() > 100 * RECOVERIES_CUT


def _recovery(recording: Recording, cut: State, image: Path) -> Recording:
    """The first start after a crash, as a life of its own with the promises of the one before."""
    promises, moment = Promises.until(recording, cut.at), moment_at(recording, cut.at)

    def story(life: Life, begin: object) -> None:
        life.take_over(moment, "c0" * 16)
        life.device.random = Random(f"{cut.at}")
        life.use(life.device.means.prepare)
        with life.device.start() as store:
            upkeep = Upkeep(store)
            while upkeep.run().salvaging:
                pass
            life.append(store, 1)
            assert life.ship(store, upkeep)

    with (
        mounted(image=image) as disk,
        tempfile.TemporaryDirectory(prefix="thermal-life-", dir=memory_directory()) as root,
    ):
        again = record(disk, Life(Path(root), disk.mount), story)
    again.stored[:0] = [stored.before() for stored in promises.stored]
    again.moments = [moment_ for moment_ in again.moments if moment_.samples >= moment.samples]
    return again


def test_the_verdict_knows_a_lost_row_from_a_told_one() -> None:
    """The judge alone: a promise that nothing keeps is a finding, an empty past is none."""
    recording = recorded("groups")
    last = recording.records[-1].end
    cut = next(states(recording, honest(recording), names=False))
    outcome = recover(cut.image, moment_at(recording, cut.at))
    assert judge_honest(outcome, Promises.until(recording, cut.at)) == []
    findings = judge_honest(outcome, Promises.until(recording, last))
    assert len([found for found in findings if "is lost" in found]) >= 50
