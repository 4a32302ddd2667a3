"""The service as a process: ready without network, silent without collector, ended by no server."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.identity import Hardware
from shipper.cli import main
from tests.emulators.ingest.auth import Policy
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.server import IngestServer, ServerOptions
from tests.emulators.scripted import wait_until
from tests.tools.spools import samples
from tests.unit.shipper.service import ROOT, Place, shipper


@pytest.fixture
def server() -> Iterator[IngestServer]:
    """An emulator that commits quickly."""
    policy = Policy(access_token="pat-planted-0123456789")
    with IngestServer(ServerOptions(policy=policy, knobs=Knobs(commit_delay_s=0.2))) as running:
        yield running


@pytest.fixture
def place(tmp_path: Path, server: IngestServer) -> Place:
    """A device whose rows go to the emulator."""
    return Place(tmp_path, server)


def committed(server: IngestServer) -> list[int]:
    """Seqs in the table, in order."""
    with server.lock:
        return [json.loads(row.row)["seq"] for row in server.store.rows]  # type: ignore[union-attr]


def requests(server: IngestServer) -> int:
    """How many requests came."""
    return len(server.faults.requests)


def test_rows_are_drained_and_a_stop_is_clean(place: Place, server: IngestServer) -> None:
    """Every stored row arrives once, the log and the status line say so, SIGTERM gives 0."""
    with place.collector() as store, shipper(place, "--verbose") as running:
        store.append(samples(0, 57))
        assert running.ready()
        assert wait_until(lambda: len(committed(server)) >= 57, 20)
        store.append(samples(57, 3))
        assert wait_until(lambda: len(committed(server)) >= 60, 20)
        assert wait_until(lambda: "draining: backlog 0 rows, last commit" in running.status, 20)
        assert running.stop() == 0
    assert committed(server) == list(range(1, 61))
    assert server.model.tally.client_bugs == 0
    assert "started Using ONLY Snowpipe Streaming v2 REST API" in running.log.replace('"', "")
    assert running.log.count("first_commit") == 1
    assert "STOPPING=1" in running.notices


def test_it_is_ready_without_network_and_goes_on_when_it_comes(
    place: Place, server: IngestServer
) -> None:
    """READY comes after the files, the status line tells what is missing, and nothing is lost."""
    server.stop_accepting()
    with place.collector() as store, shipper(place) as running:
        store.append(samples(0, 5))
        assert running.ready()
        assert wait_until(lambda: "connection refused" in running.status, 20), running.status
        assert running.process.poll() is None
        server.resume()
        assert wait_until(lambda: len(committed(server)) == 5, 60)
        assert running.stop() == 0


def test_it_says_nothing_to_the_network_before_the_collector_has_run(
    place: Place, server: IngestServer
) -> None:
    """Rule 2: no spool, then a spool; the first request comes only after the second."""
    with shipper(place) as running:
        assert running.ready()
        assert wait_until(lambda: "waiting for the collector" in running.status, 10)
        assert requests(server) == 0
        with place.collector() as store:
            store.append(samples(0, 1))
            assert wait_until(lambda: committed(server) == [1], 20)
        assert running.stop() == 0


@pytest.mark.parametrize(
    "stored", [Hardware("board-1", "card-2"), Hardware("board-2", "card-1")], ids=["card", "board"]
)
def test_a_clone_says_nothing_to_the_network(
    place: Place, server: IngestServer, stored: Hardware
) -> None:
    """The spool names other serials than the machine has: it would fence the original."""
    with place.collector(hardware=stored) as store:
        store.append(samples(0, 5))
    with shipper(place) as running:
        assert running.ready()
        assert wait_until(lambda: "waiting for the collector" in running.status, 10)
        assert not wait_until(lambda: requests(server) > 0, 2.5)
        assert running.stop() == 0


def test_a_refused_sign_in_never_ends_the_service(place: Place, server: IngestServer) -> None:
    """The status line names the remedy; a token file written anew is found without a restart."""
    with server.lock:
        server.service.gate.policy.access_token = "another-token"
    with place.collector() as store, shipper(place) as running:
        store.append(samples(0, 5))
        assert running.ready()
        assert wait_until(lambda: "PAT_INVALID" in running.status, 20), running.status
        assert "PROGRAMMATIC ACCESS TOKEN" in running.status
        place.token_file.write_text("another-token")
        assert wait_until(lambda: len(committed(server)) == 5, 60)
        assert running.stop() == 0
    assert "another-token" not in running.log


def test_a_second_shipper_is_refused(place: Place) -> None:
    """75, and the message names the process that has the lock."""
    with shipper(place) as first:
        assert first.ready()
        with shipper(place) as second:
            assert second.process.wait(20) == 75
        assert f"process {first.process.pid}" in second.log
        assert first.stop() == 0


@pytest.mark.parametrize(
    ("change", "status", "message"),
    [
        (lambda p: p.token_file.chmod(0o644), 77, "chmod 600"),
        (lambda p: p.token_file.unlink(), 78, "cannot be read"),
        (lambda p: p.token_file.write_text(""), 78, "is empty"),
        (lambda p: p.config.write_text(p.config.read_text().replace("pipe =", "pip =")), 78,
         "did you mean pipe"),
        (lambda p: p.config.unlink(), 78, "there is no such file"),
    ],
)
def test_a_wrong_file_ends_the_start_with_its_own_status(
    place: Place, change: object, status: int, message: str
) -> None:
    """What only an edit can mend is told at once and not tried again by systemd."""
    change(place)  # type: ignore[operator]
    with shipper(place) as running:
        assert running.process.wait(20) == status
    assert message in running.log
    assert "Traceback" not in running.log
    assert running.ready_s is None


MODULES = """
import sys, threading, time
from pathlib import Path
from common.notify import Notifier
import shipper.app
{planted}
stop, seen = threading.Event(), []
Notifier.ready = lambda self: seen.append(set(sys.modules))
def run():
    shipper.app.run(Path(sys.argv[1]), stop)
thread = threading.Thread(target=run); thread.start()
end = time.monotonic() + 20
while not seen and time.monotonic() < end: time.sleep(0.02)
stop.set(); thread.join()
heavy = {{"jwt", "cryptography", "sqlite_utils", "asyncio", "click", "smbus2", "collector"}}
print("HEAVY", sorted(heavy & seen[0]))
"""


@pytest.mark.parametrize(
    ("planted", "found"), [("", "[]"), ("import jwt", "['cryptography', 'jwt']")]
)
def test_the_running_service_holds_nothing_heavy(place: Place, planted: str, found: str) -> None:
    """After start-up jwt, cryptography and sqlite_utils are not loaded; a planted one is seen."""
    done = subprocess.run(
        [sys.executable, "-c", MODULES.format(planted=planted), str(place.config)], cwd=ROOT,
        capture_output=True, text=True, check=True, timeout=60,
    )
    assert f"HEAVY {found}" in done.stdout


def test_it_starts_quickly_and_stays_small(place: Place, server: IngestServer) -> None:
    """READY within 1.5 s, and at most 48 MiB after a drain."""
    with place.collector() as store, shipper(place) as running:
        store.append(samples(0, 2000))
        assert running.ready()
        assert wait_until(lambda: len(committed(server)) == 2000, 30)
        assert running.ready_s is not None
        assert running.ready_s < 1.5
        assert running.resident_mib() <= 48
        assert running.stop() == 0


def test_status_of_a_running_shipper_is_whole(
    place: Place, server: IngestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """State and last commit from its metrics, the rest from the files; nothing is disturbed."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    place.config.write_text(
        place.config.read_text().replace("metrics_port = 0", f"metrics_port = {port}")
    )

    def look() -> dict[str, object]:
        assert main(["status", "--json", "--config", str(place.config)]) == 0
        found: dict[str, object] = json.loads(capsys.readouterr().out)
        return found

    with place.collector() as store, shipper(place) as running:
        store.append(samples(0, 7))
        assert running.ready()
        assert wait_until(lambda: look()["backlog_rows"] == 0, 20)
        found = look()
        assert (found["running"], found["dead_letters"], found["problems"]) == (True, 0, [])
        assert found["channel"] == f"TH_{found['install_id']}"
        assert found["stored"] == found["acknowledged"] == found["exposed"]
        assert str(found["stored"]).endswith("/7")
        assert found["state"] in {"ready", "polling"}
        assert found["last_commit"] is not None
        assert running.stop() == 0
    after = look()
    assert (after["running"], after["state"], after["acknowledged"]) == (
        False, None, found["acknowledged"],
    )
