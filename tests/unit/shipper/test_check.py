"""``thermal-shipper check``: a line a stage, the first failure with its remedy and exit status."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shipper import check_rows
from shipper.cli import main
from tests.emulators.certificates import Authority
from tests.emulators.ingest.auth import Policy
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.rows import RowRule
from tests.emulators.ingest.server import IngestServer, ServerOptions

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PEM = KEY.private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
)
PUBLIC_PEM = KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)
REFUSED = "answer:endpoint=status,shape=error_code"
STAGES = ["config", "key", "clock", "dns", "tls", "sign-in", "pipe", "channel", "commit"]


@pytest.fixture
def server() -> Iterator[IngestServer]:
    """An emulator that accepts only our key, and commits at once."""
    policy = Policy(public_key_pem=PUBLIC_PEM, access_token="pat-right", max_skew_s=60)
    with IngestServer(ServerOptions(policy=policy, knobs=Knobs(commit_delay_s=0.2))) as running:
        yield running


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poll faster, and give up sooner, than with a real server."""
    monkeypatch.setattr(check_rows, "POLL_S", 0.05)
    monkeypatch.setattr(check_rows, "COMMIT_WAIT_S", 2.0)


def configure(tmp_path: Path, server: IngestServer, **changes: str | None) -> Path:
    """A configuration file for the emulator; a change to ``None`` leaves the key out."""
    key = tmp_path / "key.p8"
    key.write_bytes(PEM)
    key.chmod(0o600)
    keys: dict[str, str | None] = {
        "account": "myorg-acc1", "user": "shipper", "database": "DB", "schema": "PUBLIC",
        "pipe": "THERMAL-STREAMING", "url": server.url, "ca_file": str(server.ca_file),
        "private_key_file": str(key), **changes,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in keys.items() if value is not None]
    path = tmp_path / "thermal.toml"
    spool = tmp_path / "spool"
    path.write_text(
        f'[spool]\ndirectory = "{spool}"\n[snowflake]\n' + "\n".join(lines) + "\n"
    )
    return path


def report(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, dict[str, Any]]:
    """Exit status and JSON of a check."""
    status = main(["check", "--json", "--config", *map(str, words)])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return status, found


def test_a_good_setup_passes_every_stage(
    tmp_path: Path, server: IngestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """With test rows: all stages in order, and exactly the rows that were asked for arrive."""
    status, found = report(capsys, configure(tmp_path, server), "--send-test", "3")
    assert (status, found["ok"]) == (0, True)
    assert [stage["stage"] for stage in found["stages"]] == STAGES
    assert "3/3 rows are committed" in found["stages"][-1]["message"]
    with server.lock:
        rows = [json.loads(row.row) for row in server.store.rows]  # type: ignore[union-attr]
    assert [row["seq"] for row in rows] == [1, 2, 3]
    assert {row["kind"] for row in rows} == {"event"}
    assert server.model.tally.client_bugs == 0


def test_without_test_rows_nothing_is_opened_or_written(
    tmp_path: Path, server: IngestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check beside a running shipper disturbs nothing: no channel is opened, no row sent."""
    assert main(["check", "--config", str(configure(tmp_path, server))]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == [f"[OK]   {stage}" for stage in STAGES[:7]]
    assert server.model.tally.opens == 0
    assert not (tmp_path / "spool").exists()


def test_two_checks_with_rows_never_share_a_key(
    tmp_path: Path, server: IngestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each check has an epoch of its own, so no key is ever in the table twice."""
    path = configure(tmp_path, server)
    for _ in range(2):
        assert report(capsys, path, "--send-test", "2")[0] == 0
    with server.lock:
        rows = [json.loads(row.row) for row in server.store.rows]  # type: ignore[union-attr]
    assert len({(row["install_id"], row["epoch"], row["seq"]) for row in rows}) == 4


@pytest.mark.parametrize(
    ("changes", "stage", "code", "status", "remedy"),
    [
        ({"pipe": None}, "config", "config.invalid", 78, "docs/settings.md"),
        ({"account": "a.b"}, "config", "config.invalid", 78, "write a-b"),
        ({"private_key_file": "/nonexistent"}, "key", "key.invalid", 78, "check the path"),
        ({"url": "https://no-such-host.invalid"}, "dns", "dns.failed", 69, "check the network"),
        ({"url": "https://127.0.0.1:9"}, "tls", "tls.refused", 69, "nobody listens"),
        ({"ca_file": "foreign"}, "tls", "tls.tls", 76, "ca_file"),
    ],
)
def test_each_stage_fails_with_its_own_code_and_status(
    tmp_path: Path, server: IngestServer, capsys: pytest.CaptureFixture[str],
    changes: dict[str, str | None], stage: str, code: str, status: int, remedy: str,
) -> None:
    """The stages before it passed, those after it were not tried."""
    if "ca_file" in changes:
        changes = {"ca_file": str(Authority.make(tmp_path, "another").ca_file)}
    got, found = report(capsys, configure(tmp_path, server, **changes))
    last = found["stages"][-1]
    assert (got, last["stage"], last["code"]) == (status, stage, code)
    assert remedy in last["remedy"]
    assert [entry["stage"] for entry in found["stages"]] == STAGES[: STAGES.index(stage) + 1]
    assert all(entry["ok"] for entry in found["stages"][:-1])


@pytest.mark.parametrize(
    ("fault", "stage", "code", "status", "remedy"),
    [
        ("redirect:endpoint=hostname", "tls", "tls.redirect", 76, "captive portal"),
        ("forbidden:endpoint=token,times=0", "sign-in", "sign-in.refused", 77, "pubkey"),
        ("unavailable:endpoint=token,times=0", "sign-in", "sign-in.failed", 77, "try again"),
        ("captive_portal:endpoint=token", "sign-in", "sign-in.failed", 77, "try again"),
        (f"{REFUSED},status=404,code=ERR_PIPE_DOES_NOT_EXIST_OR_NOT_AUTHORIZED", "pipe",
         "pipe.err_pipe_does_not_exist_or_not_authorized", 76, "GRANT OPERATE"),
        (f"{REFUSED},status=409,code=ERR_PIPE_IN_INVALID_STATE",
         "pipe", "pipe.err_pipe_in_invalid_state", 76, "DESC PIPE"),
        ("captive_portal:endpoint=status", "pipe", "pipe.unfit", 76, "captive portal"),
        ("drop_reply:endpoint=status", "pipe", "pipe.reset", 76, "try again"),
    ],
)
def test_what_the_server_refuses_is_explained(
    tmp_path: Path, server: IngestServer, capsys: pytest.CaptureFixture[str],
    fault: str, stage: str, code: str, status: int, remedy: str,
) -> None:
    """Each refusal names its SQL or its next step."""
    server.faults.add(fault)
    got, found = report(capsys, configure(tmp_path, server))
    last = found["stages"][-1]
    assert (got, last["stage"], last["code"]) == (status, stage, code)
    assert remedy in last["remedy"]


def test_a_key_that_is_not_registered_is_refused_at_the_sign_in(
    tmp_path: Path, server: IngestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The remedy is the statement that registers it, and where the reason is written."""
    path = configure(tmp_path, server)
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (tmp_path / "key.p8").write_bytes(other.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ))
    got, found = report(capsys, path)
    assert (got, found["stages"][-1]["stage"]) == (77, "sign-in")
    assert "SYSTEM$GET_LOGIN_FAILURE_DETAILS" in found["stages"][-1]["remedy"]


def refuse(row: Any) -> str | None:
    """A table that does not like the second row."""
    return "Failed to cast variant value to NUMBER" if row["seq"] == 2 else None


def test_a_row_that_the_table_refuses_fails_the_check(
    tmp_path: Path, server: IngestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """200 and a moved token are not enough: 2 of 3 committed is a failure, status 1."""
    rule: RowRule = refuse
    server.model.knobs.row_rules = (rule,)
    got, found = report(capsys, configure(tmp_path, server), "--send-test", "3")
    assert (got, found["stages"][-1]["code"]) == (1, "commit.refused")
    assert "1 of 3" in found["stages"][-1]["message"]


def test_rows_that_are_never_committed_fail_the_check(
    tmp_path: Path, server: IngestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Accepted is not committed."""
    server.model.knobs.commits_stuck = True
    got, found = report(capsys, configure(tmp_path, server), "--send-test", "3")
    assert (got, found["stages"][-1]["code"]) == (1, "commit.late")
    assert "0/3" in found["stages"][-1]["message"]


def test_a_lost_answer_does_not_double_the_rows(
    tmp_path: Path, server: IngestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same bytes go under the same token again."""
    server.faults.add("drop_reply:endpoint=append")
    got, _ = report(capsys, configure(tmp_path, server), "--send-test", "3")
    assert got == 0
    with server.lock:
        assert len(server.store.rows) == 3  # type: ignore[union-attr]
        assert server.model.tally.noops_identical == 1


@pytest.mark.parametrize("count", ["-1", "101"])
def test_the_number_of_test_rows_is_bounded(
    tmp_path: Path, server: IngestServer, count: str
) -> None:
    """A check is no load test."""
    assert main(["check", "--config", str(configure(tmp_path, server)), "--send-test", count]) == 64


def test_a_file_that_others_read_is_named_with_its_remedy(
    tmp_path: Path, server: IngestServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """On a screen: the failure, and below it what to type."""
    path = configure(tmp_path, server)
    (tmp_path / "key.p8").chmod(0o644)
    assert main(["check", "--config", str(path)]) == 77
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2].startswith("[FAIL] key: ")
    assert lines[-1] == f"       Try: chmod 600 {tmp_path}/key.p8"
