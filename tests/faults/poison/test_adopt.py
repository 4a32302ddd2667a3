"""Adopting what another life left: each row once, flagged, under its own key."""

import json
from pathlib import Path
from typing import Any

import pytest

from common.errors import UsageError
from shipper.backfill.adopt import Adopted
from shipper.backfill.aside import look_aside
from shipper.backfill.courier import Ending
from shipper.backfill.jobs import Job
from shipper.operate import Desk
from tests.faults.poison.inherited import ACKNOWLEDGED, ROWS, Inherited
from tests.faults.poison.live import AFTERWARDS, AT_THE_DOOR, DOOR, LATE
from tests.faults.poison.verdict import Broken, Tally, judge
from tests.tools.spools import damage, leaf_pages

HISTORIES = 40
CONTROLS = 6
KILLS_MAX = 6


def table(scene: Inherited) -> list[dict[str, Any]]:
    """Every committed row."""
    scene.model.advance(scene.device.clock.monotonic_s())
    return [json.loads(row.row) for row in scene.store.rows]


def verdict(scene: Inherited) -> Tally:
    """Judge what was not acknowledged before; each copy must be flagged, none doubled.

    Raises:
        Broken: see ``verdict.judge``.
    """
    rows = table(scene)
    for row in rows:
        if not row["in_doubt"]:
            raise Broken(f"row {row['seq']} is not flagged")
    stored = {k: v for k, v in scene.stored.items() if k not in scene.acknowledged}
    tally = judge(stored, rows, scene.desk().ledger.dead_letters.list(0, 1000))
    if tally.twice_flagged:
        raise Broken(f"{tally.twice_flagged} rows are there twice")
    return tally


def history(seed: int, root: Path, spoil: Any = None) -> Inherited:
    """Adopt on a bad line, killed now and then.

    Raises:
        Broken: a row is lost, doubled or not flagged.
    """
    scene = Inherited(root, seed, spoil=spoil)
    line = scene.transport.line
    line.lost_request, line.lost_reply = scene.random.choice(((0.0, 0.0), (0.05, 0.1), (0.1, 0.3)))

    def fate() -> None:
        scene.mortality.calls_left = scene.random.randint(5, 160)
        if scene.kills >= KILLS_MAX:
            scene.mortality.calls_left = None
            line.quiet()

    scene.before_start = fate  # type: ignore[method-assign]
    assert scene.run().ending is Ending.DONE
    scene.mortality.calls_left = None
    verdict(scene)
    return scene


def test_the_backlog_is_listed_and_sent_once_without_what_had_arrived(tmp_path: Path) -> None:
    """Counted beforehand; own keys, flagged; the file is byte for byte the same; a note is left."""
    scene = Inherited(tmp_path)
    before = scene.path.read_bytes()
    directory = scene.device.directory
    told = look_aside(directory, scene.name, scene.desk().install.install_id)
    assert (told.rows, told.epochs, told.unacknowledged) == (ROWS, 2, ROWS - ACKNOWLEDGED)
    assert (told.adopted, told.carried_over, told.problem) == ("", False, "")
    assert scene.run().stays == 0
    assert verdict(scene).once == ROWS - ACKNOWLEDGED
    assert {row.name.channel[-11:] for row in scene.store.rows} == {"_BACKFILL_1"}
    assert scene.path.read_bytes() == before
    told = look_aside(directory, scene.name, None)
    assert told.adopted != ""
    with pytest.raises(Adopted, match="adopted already"):
        scene.run()
    assert scene.run(again=True).ending is Ending.DONE
    assert len(table(scene)) == 2 * (ROWS - ACKNOWLEDGED)


@pytest.mark.heavy
def test_kills_and_lost_answers_lose_and_double_nothing(tmp_path: Path) -> None:
    """Whenever the command is killed, the same command goes on where it was."""
    kills = 0
    for seed in range(HISTORIES):
        kills += history(seed, tmp_path / str(seed)).kills
    assert kills > HISTORIES


def test_refused_rows_become_dead_letters_and_the_others_arrive(tmp_path: Path) -> None:
    """At the door alone, afterwards as a range; the reason of the server is kept."""
    scene = Inherited(tmp_path, bad={30: DOOR, 31: DOOR, 45: LATE})
    scene.model.knobs.refuse_rules, scene.model.knobs.row_rules = (AT_THE_DOOR,), (AFTERWARDS,)
    result = scene.run()
    assert result.ending is Ending.DONE
    letters = scene.desk().ledger.dead_letters.list(0, 100)
    assert {x.first_seq for x in letters if x.form == "row"} == {30, 31}
    assert all(x.first_seq <= 45 <= x.last_seq for x in letters if x.form == "range")
    verdict(scene)
    assert result.stays == sum(x.payload.count(b"\n") for x in letters)


def test_a_damaged_file_gives_what_can_be_read(tmp_path: Path) -> None:
    """Unreadable pages are left out and counted; everything else arrives."""
    scene = Inherited(tmp_path)
    (tmp_path / "spool/aside" / scene.name / "spool.db-wal").unlink(missing_ok=True)
    pages = leaf_pages(scene.path)
    damage(scene.path, range(pages[-1], pages[-1] + 1))
    result = scene.run()
    assert result.ending is Ending.DONE
    arrived = {row["seq"] for row in table(scene)}
    assert result.unreadable > 0
    assert arrived
    assert len(arrived) < ROWS - ACKNOWLEDGED
    assert arrived <= set(range(ACKNOWLEDGED + 1, ROWS + 1))


def test_a_wrong_directory_is_a_usage_error(tmp_path: Path) -> None:
    """It says what there is."""
    scene = Inherited(tmp_path)
    scene.name = "no-such"
    with pytest.raises(UsageError, match="no such directory"):
        scene.run()


def begin_anew(at: Desk) -> None:
    """A killed adoption is forgotten and begun again."""
    with at.ledger.jobs._transaction("forget") as connection:
        connection.execute("DELETE FROM backfills WHERE finished_at IS NULL AND exposed_seq > 0")


def skip_ahead(at: Desk) -> None:
    """What was exposed is taken for committed."""
    jobs: Any = at.ledger.jobs
    real = jobs.progress

    def progress(job: Job) -> Any:
        with jobs._transaction("skip") as connection:
            connection.execute(
                "UPDATE backfills SET acknowledged_seq = exposed_seq, acknowledged_token = 'x'"
            )
        return real(job)

    jobs.progress = progress


@pytest.mark.parametrize("spoil", [begin_anew, skip_ahead])
def test_histories_of_adopting_find_each_mistake(tmp_path: Path, spoil: Any) -> None:
    """The negative control: an adoption begun anew, or one that takes sent for committed."""
    found = 0
    for seed in range(CONTROLS):
        try:
            history(seed, tmp_path / str(seed), spoil)
        except Broken:
            found += 1
    assert found > 0
