"""No secret in an error, a traceback, a repr, a log line, a status line or a metric."""

import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import shipper.wire
from common.clock import SystemClock
from common.logs import Log
from common.metrics import new_registry
from common.redaction import Redactor
from common.settings import Settings, SnowflakeSettings
from shipper.auth.credentials import InlineSecrets
from shipper.cli import main
from shipper.endpoint import Endpoint, find_credential, find_endpoint, make_transport
from shipper.metrics import ShipperMetrics
from shipper.protocol.errors import NotSent, OutcomeUnknown
from shipper.protocol.requests import Call, channel_status
from shipper.wire import Outgoing, Wire
from tests.emulators.ingest.auth import Policy
from tests.emulators.ingest.server import IngestServer, ServerOptions
from tests.system.secret_scan import found

PAT = "pat-planted-0123456789abcdef"
FAULTS = (
    "", "redirect", "captive_portal", "unavailable", "forbidden", "drop_reply", "gzip_rubbish",
    "truncate", "no_route", "not_json",
)


@pytest.fixture(scope="module")
def server() -> Iterator[IngestServer]:
    """An emulator that takes the planted token only."""
    with IngestServer(ServerOptions(policy=Policy(access_token=PAT))) as running:
        yield running


def place(tmp_path: Path, server: IngestServer) -> Endpoint:
    """Settings whose token file holds the planted token."""
    (tmp_path / "pat").write_text(PAT)
    (tmp_path / "pat").chmod(0o600)
    table = SnowflakeSettings(
        account="myorg-acc1", user="u", database="DB", schema="S", pipe="P", url=server.url,
        ca_file=server.ca_file, pat_file=tmp_path / "pat",
    )
    return find_endpoint(Settings(tmp_path / "t.toml", snowflake=table), hide)


def hide(secret: str, /, *, slot: str = "") -> None:
    """No log: nothing is blotted out, so every leak is seen."""


@pytest.mark.parametrize("where", ["hostname", "token", "status"])
@pytest.mark.parametrize("fault", FAULTS)
def test_no_failure_repeats_a_secret(
    tmp_path: Path, server: IngestServer, fault: str, where: str
) -> None:
    """Whatever goes wrong at whichever step: error, its causes and the kept problem are clean."""
    endpoint = place(tmp_path, server)
    credential, tools = find_credential(endpoint, SystemClock(), hide)
    registry = new_registry("0")
    metrics = ShipperMetrics(registry, tools.clock)
    transport = make_transport(endpoint, credential, tools, metrics.took)
    server.faults.heal()
    if fault:
        server.faults.add(f"{fault}:endpoint={where},times=0")
    said: list[object] = []
    try:
        said.append(transport.send(channel_status(endpoint.target, "C", Call("i")), 2.0).status)
    except (NotSent, OutcomeUnknown) as error:
        said += [error, repr(error), error.__cause__, error.kind]
    series = [(s.name, s.labels, s.value) for m in registry.collect() for s in m.samples]
    said += [transport.problem, series, tools, credential.bearer(), endpoint, transport.expiries()]
    transport.close()
    assert found(" ".join(map(repr, said)) + " ".join(map(str, said)), [PAT]) == []


def test_the_scan_sees_a_planted_leak() -> None:
    """Negative control: the token in an error text, as base64, and a JWT by its shape."""
    import base64

    assert found(f"HTTP 401 for {PAT}", [PAT])
    assert found(base64.b64encode(PAT.encode()).decode(), [PAT])
    assert found("Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJBIn0abc.c2lnbmF0dXJl", [])


def test_a_request_does_not_show_its_headers() -> None:
    """The one object that must hold a bearer token as text."""
    outgoing = Outgoing("GET", "https://h/", (("Authorization", f"Bearer {PAT}"),), b"row", 1.0)
    assert found(repr(outgoing), [PAT]) == []
    assert PAT in str(dataclasses.astuple(outgoing))


def test_a_bug_is_told_without_the_secret(
    tmp_path: Path, server: IngestServer, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A traceback whose message holds the token, out of the middle of a call: it is blotted out."""
    endpoint = place(tmp_path, server)
    table = endpoint.settings.snowflake
    config = tmp_path / "t.toml"
    keys = {
        "account": table.account, "user": table.user, "database": "DB", "schema": "S", "pipe": "P",
        "url": table.url, "ca_file": str(table.ca_file), "pat_file": str(table.pat_file),
    }
    config.write_text(
        "[snowflake]\n" + "\n".join(f"{k} = {json.dumps(v)}" for k, v in keys.items())
    )
    server.faults.heal()

    def broken(self: Wire, call: Outgoing) -> None:
        raise RuntimeError(f"impossible headers {call.headers} {PAT}")

    monkeypatch.setattr(shipper.wire.Wire, "exchange", broken)
    assert main(["check", "--config", str(config)]) == 70
    shown = capsys.readouterr()
    assert "RuntimeError: impossible headers" in shown.err
    assert found(shown.out + shown.err, [PAT]) == []


def test_the_log_blots_out_what_was_announced(tmp_path: Path, server: IngestServer) -> None:
    """``hide`` reaches the log's redactor: even a careless line is clean."""
    server.faults.heal()
    stream = io.StringIO()
    log = Log("thermal-shipper", True, stream, Redactor())
    endpoint = place(tmp_path, server)
    credential, tools = find_credential(endpoint, SystemClock(), log.hide)
    transport = make_transport(endpoint, credential, tools, lambda *_: None)
    scoped = transport.sign_in().token.reveal()
    transport.close()
    log.info("careless", f"{PAT} and {scoped}", a=PAT, b=scoped)
    assert found(stream.getvalue(), [PAT, scoped]) == []
    assert "careless" in stream.getvalue()


def test_inline_secrets_do_not_show() -> None:
    """Those of a profile neither."""
    from shipper.auth.secret import Secret

    inline = InlineSecrets(Secret(PAT), Secret(PAT), Secret(PAT))
    assert found(f"{inline} {inline!r}", [PAT]) == []
