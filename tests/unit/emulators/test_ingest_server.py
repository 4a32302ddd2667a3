"""The server around the rules: TLS, cuts of the network, restarts, the admin path, the process."""

import http.client
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
from pathlib import Path

import pytest

from tests.emulators.ingest.__main__ import arguments
from tests.emulators.ingest.admin import AdminClient
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.menu import MENU
from tests.emulators.ingest.server import IngestServer, ServerOptions
from tests.unit.emulators.ingest_client import CHANNEL_PATH, ROWS_PATH, Client

NO_ANSWER = (ConnectionError, http.client.HTTPException, ssl.SSLError)
ROOT = Path(__file__).resolve().parents[3]


def on_disk(directory: Path, **knobs: float) -> IngestServer:
    """A server that keeps its state in a directory."""
    known = {"commit_delay_s": 0.0} | knobs
    return IngestServer(ServerOptions(directory=directory, knobs=Knobs(**known)))  # type: ignore[arg-type]


def test_the_certificate_holds_for_the_names_that_clients_use(ingest: IngestServer) -> None:
    """Strict X.509 checks, TLS 1.2 and 1.3, loopback and *.snowflake.localhost; no other name."""
    context = ssl.create_default_context(cafile=str(ingest.ca_file))
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("127.0.0.1", "::1", "localhost", "acme.snowflake.localhost"):
        raw = socket.create_connection(("127.0.0.1", ingest.port), timeout=5)
        with context.wrap_socket(raw, server_hostname=name) as secured:
            assert secured.version() == "TLSv1.3"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    raw = socket.create_connection(("127.0.0.1", ingest.port), timeout=5)
    with context.wrap_socket(raw, server_hostname="localhost") as secured:
        assert secured.version() == "TLSv1.2"
    raw = socket.create_connection(("127.0.0.1", ingest.port), timeout=5)
    with pytest.raises(ssl.SSLCertVerificationError):
        context.wrap_socket(raw, server_hostname="example.com")
    raw.close()


def test_connections_are_kept_alive(client: Client, ingest: IngestServer) -> None:
    """Two requests on one connection, as HTTP/1.1 has it."""
    client.open()
    first = client._connection.sock
    client.append("0_1", 1)
    assert client._connection.sock is first


def test_a_cut_network_refuses_and_comes_back_on_the_same_port(
    client: Client, ingest: IngestServer
) -> None:
    """Open connections end, new ones are refused, and after resume all is as before."""
    client.open()
    port = ingest.port
    ingest.stop_accepting()
    with pytest.raises(NO_ANSWER):
        client.append("0_1", 1)
    with pytest.raises(ConnectionRefusedError):
        client.append("0_1", 1)
    ingest.resume()
    assert ingest.port == port
    assert client.append("0_1", 1).json["next_continuation_token"] == "0_2"


def test_the_admin_path_answers_while_the_network_is_cut(
    client: Client, ingest: IngestServer
) -> None:
    """TLS is reset before its handshake; plain HTTP to /admin/ still works, and mends it."""
    admin = AdminClient(ingest.port)
    client.open()
    admin.network(up=False)
    for _ in range(2):
        with pytest.raises(NO_ANSWER):
            client.append("0_1", 1)
    assert admin.state()["tally"]["appends"] == 0
    admin.network(up=True)
    assert client.append("0_1", 1).status == 200
    assert admin.state()["channels"][0]["last_committed_offset_token"] == "1"


def test_the_admin_path_adds_faults_and_heals(client: Client, ingest: IngestServer) -> None:
    """A bad fault is a 400 with the reason; healing also mends the network."""
    admin = AdminClient(ingest.port)
    admin.add_faults("unavailable:times=0")
    assert client.open().status == 503
    admin.network(up=False)
    with pytest.raises(NO_ANSWER):
        client.open()
    admin.heal()
    assert client.open().status == 200
    assert admin.state()["fault_hits"] == {"unavailable": 1}
    with pytest.raises(urllib.error.HTTPError) as caught:
        admin.add_faults("drop_repyl")
    assert b"drop_reply" in caught.value.read()
    caught.value.close()


def test_plain_http_reaches_nothing_but_the_admin_path(ingest: IngestServer) -> None:
    """A client that forgot the s in https is told so and changes nothing."""
    connection = http.client.HTTPConnection("127.0.0.1", ingest.port, timeout=5)
    connection.request("PUT", "/v2/streaming/hostname")
    assert connection.getresponse().status == 426
    connection.close()


def test_half_a_request_is_no_request(client: Client, ingest: IngestServer) -> None:
    """A client that dies while sending has sent nothing, though each line of it is whole."""
    client.open()
    context = ssl.create_default_context(cafile=str(ingest.ca_file))
    raw = socket.create_connection(("127.0.0.1", ingest.port), timeout=5)
    with context.wrap_socket(raw, server_hostname="localhost") as secured:
        head = f"POST {ROWS_PATH}?continuationToken=0_1 HTTP/1.1\r\nHost: localhost\r\n"
        signed_in = "Accept: */*\r\nAuthorization: Bearer made-up\r\nContent-Length: 20\r\n\r\n"
        secured.sendall((head + signed_in).encode() + b'{"seq":1}\n')
    assert client.append("0_1", 1).json["next_continuation_token"] == "0_2"
    assert ingest.rows()[0].offset_token == "1"
    assert ingest.model.tally.appends == 1


def test_appends_that_overlap_are_counted(ingest: IngestServer) -> None:
    """One request in flight per channel is the client's duty; the emulator watches it."""
    with Client(ingest) as first, Client(ingest) as second:
        first.open()
        ingest.faults.add("delay:s=0.3,endpoint=append")
        thread = threading.Thread(target=first.append, args=("0_1", 1))
        thread.start()
        deadline = time.monotonic() + 5
        while not ingest.faults.hits and time.monotonic() < deadline:
            time.sleep(0.01)
        second.append("0_1", 1)
        thread.join()
    assert ingest.faults.overlapping == 1
    assert len(ingest.rows()) == 1


def test_everything_survives_a_restart(tmp_path: Path) -> None:
    """Tokens, counters, accepted rows and the memory of consumed tokens; the CA too."""
    with on_disk(tmp_path, commit_delay_s=0.0) as server, Client(server) as client:
        client.open()
        client.append("0_1", 1)
        server.faults.add("commits_stuck")
        client.append("0_2", 2)
        before, ca = client.channel_status(), server.ca_file.read_bytes()
    with on_disk(tmp_path) as server, Client(server) as client:
        assert client.append("0_2", 2).json["next_continuation_token"] == "0_3"
        assert client.append("0_3", 3).json["next_continuation_token"] == "0_4"
        after = client.channel_status()
        assert server.model.tally.noops_identical == 1
        assert server.ca_file.read_bytes() == ca
    assert (before["last_committed_offset_token"], before["rows_inserted"]) == ("1", 1)
    assert (after["last_committed_offset_token"], after["rows_inserted"]) == ("3", 3)
    assert after["created_on_ms"] == before["created_on_ms"]


def test_a_reopen_or_drop_is_not_undone_by_a_restart(tmp_path: Path) -> None:
    """What a reopen discarded stays discarded, what a drop deleted stays deleted."""
    with on_disk(tmp_path, commit_delay_s=60.0) as server, Client(server) as client:
        client.open()
        client.append("0_1", 1)
        client.open()
        client.append("1_1", 1)
        server.faults.add("invalidate")
    with on_disk(tmp_path) as server, Client(server) as client:
        assert client.channel_status()["channel_status_code"] == "ERR_CHANNEL_MUST_BE_REOPENED"
        assert client.open().json["next_continuation_token"] == "2_1"
        assert server.rows() == []
        client.ask("DELETE", CHANNEL_PATH)
    with on_disk(tmp_path) as server, Client(server) as client:
        assert client.channel_status() is None


def test_a_person_can_query_the_rows(tmp_path: Path) -> None:
    """Table rows: channel, offset_token, row, committed_at; table error_rows beside it."""
    with on_disk(tmp_path) as server, Client(server) as client:
        client.open()
        client.append("0_1", 2, b'{"seq":1}\nnot json\n{"seq":2}\n')
        database = sqlite3.connect(f"file:{tmp_path}/rows.db?mode=ro", uri=True)
        found = database.execute("SELECT channel, offset_token, row, committed_at FROM rows")
        rows = found.fetchall()
        errors = database.execute("SELECT row, message FROM error_rows").fetchall()
        database.close()
        assert [row.row for row in server.rows()] == ['{"seq":1}', '{"seq":2}']
    assert [row[:3] for row in rows] == [("TH_01", "2", '{"seq":1}'), ("TH_01", "2", '{"seq":2}')]
    assert rows[0][3].endswith("+00:00")
    assert errors == [("not json", "Error parsing JSON")]


def test_the_help_names_every_fault_and_admin_path() -> None:
    """``--help`` is enough to use it."""
    text = arguments().format_help()
    assert [name for name in MENU if f"  {name} " not in text] == []
    for path in ("state", "faults", "heal", "network/down"):
        assert f"/admin/{path}" in text


def start(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    """The emulator as a process, on a free port."""
    command = [sys.executable, "-m", "tests.emulators.ingest", "--port", "0", "--state"]
    return subprocess.Popen(
        [*command, str(directory), *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_process_says_one_line_and_ends_at_sigterm(tmp_path: Path) -> None:
    """``listening URL ca=FILE``, faults of the command line are on, exit status 0."""
    process = start(tmp_path, "--commit-delay", "0", "--faults", "unavailable:times=0")
    assert process.stdout is not None
    line = process.stdout.readline()
    port = int(line.split()[1].rpartition(":")[2])
    assert line == f"listening https://127.0.0.1:{port} ca={tmp_path}/ca.pem\n"
    assert AdminClient(port).state()["faults"] == [
        {"spec": "unavailable:times=0", "left": None, "hits": 0}
    ]
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 0


def test_the_process_refuses_faults_that_are_not_understood(tmp_path: Path) -> None:
    """Exit status 64 with the reason, no traceback."""
    process = start(tmp_path, "--faults", "drop_repyl")
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (64, "")
    assert err == "Error: fault 'drop_repyl' is not on the menu; did you mean drop_reply?\n"


def test_the_process_says_when_its_port_is_taken(tmp_path: Path, ingest: IngestServer) -> None:
    """Exit status 69 and the address, no traceback."""
    process = start(tmp_path, "--port", str(ingest.port))
    _, err = process.communicate(timeout=20)
    assert process.returncode == 69
    assert err.startswith(f"Error: cannot listen on 127.0.0.1:{ingest.port}: ")


def test_a_killed_process_keeps_what_it_had_accepted(tmp_path: Path) -> None:
    """SIGKILL between answer and commit: the rows commit after the restart."""
    process = start(tmp_path, "--commit-delay", "60")
    assert process.stdout is not None
    port = int(process.stdout.readline().split()[1].rpartition(":")[2])
    with Client(_Address(port, tmp_path / "ca.pem")) as client:
        client.open()
        assert client.append("0_1", 1).status == 200
    process.kill()
    process.communicate(timeout=20)
    with on_disk(tmp_path) as server:
        server.faults.add("commit_now")
        assert [row.row for row in server.rows()] == ['{"seq":1}']


class _Address:
    """Where a process listens."""

    def __init__(self, port: int, ca_file: Path) -> None:
        """Take what ``Client`` wants to know."""
        self.port = port
        self.ca_file = ca_file
