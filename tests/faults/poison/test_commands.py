"""The commands as an operator types them: real processes, real files, a server over TLS."""

import json
import stat
from pathlib import Path

import pytest

from tests.emulators.ingest.answers import ChannelName
from tests.emulators.ingest.rows import Poison
from tests.faults.poison.operator import BAD, Bench, bench, unflagged_doubles
from tests.faults.poison.verdict import Broken, Key, judge
from tests.unit.shipper.service import shipper

GOOD, LATE = "VALID", "LATE"
KILLS = 12


def refused(at: Bench) -> None:
    """A table that dislikes some rows, at the door and afterwards, and a stream that met it."""
    with at.server.lock:
        at.server.model.knobs.refuse_rules = (Poison("quality", BAD),)
        at.server.model.knobs.row_rules = (Poison("quality", LATE),)
    at.take(*[GOOD] * 12, BAD, *[GOOD] * 5, LATE, *[GOOD] * 5)
    at.ship()


def stored(at: Bench) -> dict[Key, int]:
    """Boottimes of all rows that the collector stored, those of this room's making."""
    return {Key(at.spool.epoch, seq): boottime for seq, boottime in at.taken.items()}


def verdict(at: Bench) -> None:
    """Judge table and letters.

    Raises:
        Broken: see ``verdict.judge``.
    """
    ours = [row for row in at.rows() if row["kind"] != "event"]
    judge(stored(at), ours, at.letters())


def test_letters_are_listed_shown_and_exported_beside_the_running_shipper(tmp_path: Path) -> None:
    """Reading needs no lock; changing is refused with the pid and the remedy, status 75."""
    with bench(tmp_path) as at:
        assert "shipper has not run yet" in at.run("dead-letters", "list").stderr
        refused(at)
        with shipper(at.place) as running:
            assert running.ready()
            listed = at.run("dead-letters", "list")
            as_json = at.run("dead-letters", "list", "--json")
            shown = at.run("dead-letters", "show", "1")
            file = tmp_path / "letters.ndjson"
            exported = at.run("dead-letters", "export", "--output", str(file))
            again = at.run("dead-letters", "export", "--output", str(file))
            locked = at.run("dead-letters", "requeue", "--all")
            dropped = at.run("dead-letters", "drop", "1")
            settled = at.run("settle")
            running.stop()
        assert listed.returncode == 0
        assert "Value of quality is not accepted" in listed.stdout
        assert listed.stdout.splitlines()[-1].startswith("2 dead letters, ")
        found = [json.loads(line) for line in as_json.stdout.splitlines()]
        assert (found[0]["form"], found[0]["first_seq"]) == ("row", 13)
        assert found[1]["form"] == "range"
        assert f'"quality": "{BAD}"' in shown.stdout
        assert exported.returncode == 0
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        seqs = [json.loads(line)["seq"] for line in file.read_text().splitlines()]
        assert 13 in seqs
        assert 19 in seqs
        assert (again.returncode, "is there already" in again.stderr) == (64, True)
        for refused_ in (locked, dropped, settled):
            assert refused_.returncode == 75
            assert f"process {running.process.pid}" in refused_.stderr
            assert "Try: systemctl stop thermal-shipper" in refused_.stderr
            assert "sampling goes on" in refused_.stderr
        assert len(at.letters()) == 2


def test_requeue_sends_each_row_once_and_a_restarted_service_goes_on(tmp_path: Path) -> None:
    """Mended, requeued, restarted: nothing lost, nothing twice without the flag."""
    with bench(tmp_path) as at:
        refused(at)
        still = at.run("dead-letters", "requeue", "--all", "--json")
        assert still.returncode == 1
        assert json.loads(still.stdout)["refused"] >= 2
        verdict(at)
        at.heal()
        done = at.run("dead-letters", "requeue", "--all")
        assert done.returncode == 0, done.stderr
        assert "0 rows stay dead letters" in done.stdout
        assert at.letters() == []
        assert "no dead letters" in at.run("dead-letters", "list").stdout
        at.take(*[GOOD] * 5)
        at.ship()
        verdict(at)
        assert unflagged_doubles(at.rows()) == []
        channels = {row.name.channel.partition("_BACKFILL_")[2] for row in at.server.rows()}
        assert {"", "1", "2"} >= channels > {""}
        assert at.server.model.tally.client_bugs == 0


@pytest.mark.heavy
@pytest.mark.timeout(300)
def test_requeue_survives_kill_9_and_lost_answers(tmp_path: Path) -> None:
    """Killed at another moment each time, with answers lost: the same command ends the same job."""
    with bench(tmp_path) as at:
        refused(at)
        at.heal()
        with at.server.lock:
            at.server.model.knobs.commit_delay_s = 0.5
        died = 0
        for number in range(KILLS):
            at.server.faults.add("drop_reply:endpoint=append,times=1")
            words = ("--all",) if number == 0 else ()
            if not at.letters():
                break
            # Beyond the start of Python, at another moment each time.
            died += at.kill_after(0.5 + 0.13 * (number % 12), "dead-letters", "requeue", *words) < 0
        at.server.faults.heal()
        done = at.run("dead-letters", "requeue", "--all")
        assert done.returncode == 0, done.stderr
        assert died > 0
        assert at.letters() == []
        verdict(at)
        assert unflagged_doubles(at.rows()) == []
        assert at.server.model.tally.client_bugs == 0


def test_the_verdict_sees_a_dropped_letter(tmp_path: Path) -> None:
    """The negative control: ``drop`` really loses the rows, and the verdict says so."""
    with bench(tmp_path) as at:
        refused(at)
        verdict(at)
        dropped = at.run("dead-letters", "drop", "1")
        assert (dropped.returncode, "nowhere else" in dropped.stdout) == (0, True)
        with pytest.raises(Broken, match="lost"):
            verdict(at)
        assert at.run("dead-letters", "show", "1").returncode == 64


def test_a_lasting_imbalance_is_shown_accepted_and_over(tmp_path: Path) -> None:
    """Rows that vanished at the server: kept by ``settle --accept``; then the stream goes on."""
    with bench(tmp_path) as at:
        at.take(*[GOOD] * 4)
        at.ship()
        name = next(iter(at.server.model.channels))
        assert isinstance(name, ChannelName)
        at.take(*[GOOD] * 4)
        with shipper(at.place) as running:
            assert running.ready()
            at.until(lambda: len(at.rows()) == 8)
            running.process.kill()
            running.process.wait()
        with at.server.lock:
            at.server.model.channels[name].totals.rows_inserted -= 2
            del at.server.store.rows[-2:]  # type: ignore[union-attr]
        if at.acknowledged() == 8:
            pytest.skip("the shipper acknowledged before the rows could vanish")
        opens = at.server.model.tally.opens
        shown = at.run("settle")
        assert shown.returncode == 1, shown.stderr
        assert "settle --accept" in shown.stdout
        accepted = at.run("settle", "--accept", "--json")
        told = json.loads(accepted.stdout)
        assert (accepted.returncode, told["accepted"]) == (0, True)
        assert told["sent"] - told["inserted"] == 2
        assert at.server.model.tally.opens == opens
        verdict(at)
        (letter,) = at.letters()
        assert (letter.form, letter.reason) == ("range", "imbalance")
        at.take(*[GOOD] * 4)
        at.ship()
        verdict(at)


def test_adopt_as_a_command(tmp_path: Path) -> None:
    """Listed, sent once, listed as adopted, refused a second time."""
    with bench(tmp_path) as at:
        at.take(*[GOOD] * 6)
        at.ship()
        at.take(*[GOOD] * 6)
        old = stored(at)
        nothing = at.run("adopt", "--list")
        assert (nothing.returncode, nothing.stdout) == (0, "nothing was set aside\n")
        at.another_card()
        at.take(GOOD)
        at.ship()
        (found,) = [x for x in json.loads(at.run("adopt", "--list", "--json").stdout)
                    if x["has_spool"]]
        assert (found["rows"], found["unacknowledged"]) == (12, 6)
        killed = at.kill_after(0.9, "adopt", found["name"])
        done = at.run("adopt", found["name"])
        assert done.returncode == (0 if killed < 0 else 64), done.stderr
        assert at.run("adopt", found["name"]).returncode == 64
        assert "adopted 2" in at.run("adopt", "--list").stdout
        mine = [row for row in at.rows() if Key(row["epoch"], row["seq"]) in old]
        late = [row for row in mine if row["in_doubt"]]
        assert sorted(row["seq"] for row in late) == list(range(7, 13))
        judge(old, mine, at.letters())
