"""``thermal-shipper audit`` as a process, against the emulator over TLS."""

import copy
import json
import math
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pytest

from shipper.audit.run import Ended, audit
from shipper.cli import main
from tests.emulators.clock import ManualClock
from tests.emulators.ingest.channel import Channel
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.server import IngestServer, ServerOptions
from tests.faults.audit.history import History
from tests.unit.shipper.test_check import configure

LIMIT_S: Final = 60

Plant = Callable[[Channel], None]
"""A mistake in the server's record of the channel."""


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> History:
    """A device that shipped 90 rows and has 30 more; a row was refused on the way."""
    life = History(tmp_path_factory.mktemp("lived"), retain_rows=1000)
    life.take(40)
    life.poisoned()
    life.take_rejected()
    life.take(49)
    life.ship()
    life.take(30)
    life.stop()
    return life


class Place:
    """The device's files, the server with what the device had sent there, and the settings."""

    def __init__(self, lived: History, root: Path, server: IngestServer) -> None:
        self.server = server
        self.spool = root / "spool"
        shutil.copytree(lived.device.directory, self.spool)
        with server.lock:
            server.model.channels.clear()
            found = copy.deepcopy(lived.model.channels[lived.channel])
            server.model.channels[lived.channel] = found
        self.name = lived.channel
        self.config = configure(
            root, server, account="a", database="DB", schema="SCHEMA", pipe="PIPE",
        )

    @property
    def channel(self) -> Channel:
        """The server's own record of it."""
        return self.server.model.channels[self.name]

    def audit(self, *words: str) -> tuple[int, str, str]:
        """Exit status, output and errors of a process."""
        done = subprocess.run(
            [sys.executable, "-m", "shipper", "audit", "--config", str(self.config), *words],
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )
        return done.returncode, done.stdout, done.stderr

    def report(self, *words: str) -> tuple[int, dict[str, Any]]:
        """Exit status and JSON, in this process: quicker."""
        out = self.config.parent / "report.json"
        status = main(["audit", "--json", "--output", str(out), "--config", str(self.config),
                       *words])
        found: dict[str, Any] = json.loads(out.read_text())
        return status, found


@pytest.fixture
def place(lived: History, tmp_path: Path) -> Iterator[Place]:
    """A fresh copy of all of it; the channel does not expire between its clock and ours."""
    knobs = Knobs(idle_expiry_s=math.inf)
    with IngestServer(ServerOptions(knobs=knobs)) as server:
        yield Place(lived, tmp_path, server)


def unexplained(report: dict[str, Any]) -> list[str]:
    """Codes of what somebody must look at."""
    return [f["code"] for f in report["findings"] if f["level"] == "unexplained"]


def test_a_process_reports_both_ends_and_disturbs_nothing(place: Place) -> None:
    """Status 0, the case and the counters on screen; no channel was opened, no file changed."""
    before = {path.name: path.read_bytes() for path in place.spool.glob("*.db")}
    status, out, errors = place.audit()
    assert (status, errors) == (0, "")
    lines = out.splitlines()
    assert any(line.startswith("ok           R1: ") for line in lines)
    assert "since the acknowledgement 0, should be 0" in out
    assert lines[-1].startswith("nothing unexplained (")
    assert "30 have not left" in out
    assert place.server.model.tally.opens == 0
    assert {path.name: path.read_bytes() for path in place.spool.glob("*.db")} == before


def test_it_works_beside_a_running_collector(place: Place, lived: History) -> None:
    """It takes no lock, and says who runs."""
    device = lived.device.copy(place.config.parent / "running")
    shutil.rmtree(place.spool)
    shutil.copytree(device.directory, place.spool)
    device.directory = place.spool
    with device.start() as store:
        status, report = place.report()
        store.append([])
    assert status == 0
    assert report["verdict"].startswith("nothing unexplained")


def inserted(rows: int) -> Plant:
    """The server counts so many more rows."""

    def plant(channel: Channel) -> None:
        channel.totals.rows_inserted += rows

    return plant


def token(text: str | None) -> Plant:
    """The server has another token."""
    return lambda channel: setattr(channel, "committed_token", text)


def born(later_ms: int) -> Plant:
    """The channel was made anew."""
    return lambda channel: setattr(channel, "created_on_ms", channel.created_on_ms + later_ms)


@pytest.mark.parametrize(
    ("plant", "codes"),
    [
        (inserted(3), ["server.counters"]),
        (inserted(-3), ["server.counters"]),
        (born(1), ["server.recreated"]),
        (token("v1|ffffffffffffffff||00000000000000000007"), ["server.place"]),
        (token("7"), ["server.place"]),
        (token(None), ["server.place"]),
    ],
    ids=["more rows", "fewer rows", "recreated", "foreign token", "unreadable token", "forgotten"],
)
def test_what_the_server_says_wrongly_is_named(
    place: Place, plant: Plant, codes: list[str]
) -> None:
    """Planted in the server's record of the channel: status 1, and the line that says it."""
    with place.server.lock:
        plant(place.channel)
    status, report = place.report()
    assert (status, unexplained(report)) == (1, codes)


def test_a_lost_channel_is_named(place: Place) -> None:
    """The server knows no such channel though rows were acknowledged."""
    with place.server.lock:
        place.server.model.lose(place.name)
    status, report = place.report()
    assert (status, unexplained(report)) == (1, ["server.no_channel"])


def test_a_hole_in_the_spool_is_named_also_offline(place: Place) -> None:
    """Rows that never left are gone: status 1, their numbers on screen."""
    with closing(sqlite3.connect(place.spool / "spool.db")) as connection:
        connection.execute("DELETE FROM readings WHERE seq BETWEEN 100 AND 104")
        connection.commit()
    status, out, _ = place.audit("--offline")
    assert status == 1
    assert "unexplained  not acknowledged, no row, no gap row: 5 (seq 100 … 104)" in out
    assert out.splitlines()[-1] == "1 UNEXPLAINED"


def test_a_server_that_cannot_be_asked_ends_with_the_status_of_the_check(place: Place) -> None:
    """The files are reported all the same, and why the server was not asked."""
    place.server.faults.add("forbidden:endpoint=token,times=0")
    status, report = place.report()
    assert status == 77
    assert report["server"] is None
    assert "sign-in.refused" in report["server_not_asked"]
    assert report["epochs"]
    status, report = place.report("--offline")
    assert (status, report["server"]) == (0, None)


def test_files_and_words_that_are_wrong_have_their_own_status(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """No spool yet, and a report that cannot be written."""
    config = str(place.config)
    assert main(["audit", "--offline", "--config", config, "--output", "/nonexistent/x"]) == 73
    assert "name a file that can be written" in capsys.readouterr().err
    shutil.rmtree(place.spool)
    assert main(["audit", "--offline", "--config", config]) == 74
    assert "start thermal-collector" in capsys.readouterr().err


class SlowClock(ManualClock):
    """Every look at it finds that three seconds have passed."""

    def monotonic_s(self) -> float:
        """See ``Clock``."""
        self.advance(3.0)
        return super().monotonic_s()


def test_a_long_reading_says_how_far_it_is_and_can_be_stopped(place: Place) -> None:
    """Progress goes to whoever waits; a stop ends it with 75, and no half report."""
    said: list[str] = []
    found, status = audit(place.config, SlowClock(), said.append, offline=True)
    assert (status, said) == (0, ["121 rows read"])
    assert found.facts.spool.rows == 121
    clock = SlowClock()
    clock.stop()
    with pytest.raises(Ended) as caught:
        audit(place.config, clock, said.append, offline=True)
    assert caught.value.exit_code == 75
