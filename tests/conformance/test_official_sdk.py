"""The official SDK against the server emulator: the independent judge of its wire.

The SDK (``snowpipe-streaming`` on PyPI) knows nothing of this project. It runs in a process of
its own, because a hang of its native threads must not hang the tests, and trusts the emulator's CA
through ``SSL_CERT_FILE`` (SDK 1.7.0 and newer). Its URL needs a host of three labels or more;
127.0.0.1 has four.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.emulators.ingest.auth import Policy
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.server import IngestServer, ServerOptions

pytest.importorskip(
    "snowflake.ingest.streaming",
    reason="the official SDK has no wheel for this Python or platform",
)

SCRIPT = Path(__file__).with_name("official_sdk_cycle.py")
TIME_LIMIT_S = 60.0
ACCESS_TOKEN = "made-up-access-token"


@pytest.fixture(scope="module")
def private_key() -> rsa.RSAPrivateKey:
    """The user's key pair."""
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture
def server(private_key: rsa.RSAPrivateKey) -> Iterator[IngestServer]:
    """An emulator that lets in this key pair and this access token, and nobody else."""
    public_pem = private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    options = ServerOptions(
        knobs=Knobs(commit_delay_s=0.5),
        policy=Policy(public_key_pem=public_pem, access_token=ACCESS_TOKEN, max_skew_s=60.0),
    )
    with IngestServer(options) as running:
        yield running


def by_key_pair(private_key: rsa.RSAPrivateKey) -> dict[str, str]:
    """The profile's keys for key-pair sign-in."""
    pem = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {"authorization_type": "JWT", "private_key": pem.decode()}


def by_access_token() -> dict[str, str]:
    """The profile's keys for sign-in with a programmatic access token."""
    return {"authorization_type": "PAT", "personal_access_token": ACCESS_TOKEN}


def run_sdk(server: IngestServer, sign_in: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the cycle of ``official_sdk_cycle.py`` in a process of its own."""
    profile = {
        "url": server.url,
        "account": "ORG-ACCOUNT",
        "user": "SENSOR",
        "role": "SENSOR_ROLE",
        "auth_refresh_buffer_duration_seconds": "1",
    } | sign_in
    environment = os.environ | {"SSL_CERT_FILE": str(server.ca_file), "SS_LOG_LEVEL": "error"}
    return subprocess.run(
        [sys.executable, str(SCRIPT)],
        input=json.dumps(profile),
        env=environment,
        capture_output=True,
        text=True,
        timeout=TIME_LIMIT_S,
        check=False,
    )


def report(ran: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What the cycle found: the last line of its output."""
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


def seqs(server: IngestServer) -> list[int]:
    """``seq`` of each committed row, in the order of the commits."""
    return [json.loads(row.row)["SEQ"] for row in server.rows()]


@pytest.mark.parametrize("kind", ["key pair", "access token"])
def test_the_whole_cycle_passes(
    server: IngestServer, private_key: rsa.RSAPrivateKey, kind: str
) -> None:
    """Open, append, commit, status, close, reopen with its token, append, drop, open afresh."""
    sign_in = by_key_pair(private_key) if kind == "key pair" else by_access_token()
    found = report(run_sdk(server, sign_in))
    assert found["first_token"] is None
    assert found["committed"] == "100"
    assert found["status"] == ["SUCCESS", 100, 0]
    assert found["reopened_token"] == "100"
    assert found["committed_after_reopen"] == "120"
    assert found["fresh_token"] is None
    assert seqs(server) == list(range(1, 121))
    assert server.model.tally.client_bugs == 0
    assert server.service.sessions_missing == 0
    assert server.faults.overlapping == 0


@pytest.mark.parametrize(
    "faults",
    [
        "drop_reply:endpoint=append,times=2",
        "drop_request:endpoint=append;unavailable:endpoint=append,applied=1,skip=1",
        "revoke_tokens:endpoint=append;throttle:endpoint=append,skip=1",
        "unknown_keys:times=0;duplicate:endpoint=append,times=0;open_in_progress",
    ],
)
def test_the_sdk_comes_through_faults_exactly_once(
    server: IngestServer, private_key: rsa.RSAPrivateKey, faults: str
) -> None:
    """Lost requests and answers, throttling, expiry: same rows, once, by the same-token rule."""
    server.faults.add(faults)
    found = report(run_sdk(server, by_key_pair(private_key)))
    assert found["committed_after_reopen"] == "120"
    assert seqs(server) == list(range(1, 121))
    assert server.model.tally.client_bugs == 0
    assert server.faults.hits


def test_a_server_that_takes_replays_would_be_noticed(
    server: IngestServer, private_key: rsa.RSAPrivateKey
) -> None:
    """Negative control: without the same-token rule a lost answer doubles rows."""
    server.model.knobs.absorbs_replays = False
    server.faults.add("drop_reply:endpoint=append")
    report(run_sdk(server, by_key_pair(private_key)))
    assert len(seqs(server)) > len(set(seqs(server)))


def test_another_key_is_not_let_in(server: IngestServer) -> None:
    """Negative control for sign-in: the SDK fails with a key that the server does not know."""
    ran = run_sdk(server, by_key_pair(rsa.generate_private_key(65537, 2048)))
    assert ran.returncode != 0
    assert server.service.gate.failures
    assert server.rows() == []
