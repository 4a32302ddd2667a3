"""Nothing that lets somebody sign in ever leaves the two programs, whether all is well or not."""

import http.client
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.demo import material
from tests.demo.bench import Options, World, world
from tests.system import secret_scan
from tests.system.support import needs_file_bus, run, until

PASSPHRASE = "correct-horse-battery-staple-4711"
ACCESS_TOKEN = "pat-9f1c77aa2be04c5d8e61f0a3b4c5d6e7f8"

pytestmark = needs_file_bus


def encrypt_key(bench: World) -> None:
    """A fresh key with a passphrase, which the server knows."""
    material.make_key(bench.places.key, bench.places.public_key, PASSPHRASE.encode())
    _passphrase(bench, PASSPHRASE)


def foreign_key(bench: World) -> None:
    """A key that the server does not know."""
    other = bench.places.root / "other.pub"
    material.make_key(bench.places.key, other, PASSPHRASE.encode())
    _passphrase(bench, PASSPHRASE)


def wrong_passphrase(bench: World) -> None:
    """A passphrase that does not open the key."""
    material.make_key(bench.places.key, bench.places.public_key, b"another-passphrase-0815")
    _passphrase(bench, PASSPHRASE)


def refused_token(bench: World) -> None:
    """An access token in place of the key; the server answers every request 401."""
    file = bench.places.root / "pat"
    file.touch(mode=0o600)
    file.write_text(ACCESS_TOKEN + "\n")
    bench.change("snowflake", "private_key_file", None)
    bench.change("snowflake", "pat_file", str(file))


def rubbish_key(bench: World) -> None:
    """A key file whose end is missing: parsers like to show what they choked on."""
    text = bench.places.key.read_text()
    bench.places.key.write_text(text[: len(text) // 2])


def untrusted_server(bench: World) -> None:
    """A server whose certificate is from an authority that nobody knows."""
    bench.change("snowflake", "ca_file", None)


def _passphrase(bench: World, text: str) -> None:
    file = bench.places.root / "passphrase"
    file.touch(mode=0o600)
    file.write_text(text + "\n")
    bench.change("snowflake", "private_key_passphrase_file", str(file))


def _everything(bench: World) -> str:
    """All that the two programs said by any way that they have."""
    parts = [bench.collector.program.tail(100_000), bench.shipper.program.tail(100_000)]
    parts += [_page(service.metrics_port) for service in (bench.collector, bench.shipper)]
    for words in (["status", "--json"], ["status"], ["check", "--json"], ["check"]):
        done = run(*bench.shipper_command(), *words, "--config", bench.places.config, limit_s=60)
        parts += [done.stdout, done.stderr]
    return "\n".join(parts)


def _page(port: int) -> str:
    """The metrics page, or nothing when nobody serves it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode()
    except OSError:
        return ""
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("plant", "works"),
    [
        (encrypt_key, True), (foreign_key, False), (wrong_passphrase, False),
        (refused_token, False), (rubbish_key, False), (untrusted_server, False),
    ],
)
def test_no_secret_leaves_the_programs(plant: Callable[[World], None], works: bool) -> None:
    """Logs, metrics, status and check of a run that works, and of runs that fail in each way."""
    with world(Options(interval_s=0.2, commit_s=0.2)) as bench:
        original = bench.places.public_key.read_bytes()
        plant(bench)
        if bench.places.public_key.read_bytes() != original:
            bench.server.end()
            bench.server.start()
        if plant is refused_token:
            bench.server.fault("unauthorized:times=0")
        secrets = [bench.places.key.read_text(), PASSPHRASE, ACCESS_TOKEN]
        bench.write_settings()
        bench.start(verbose=True)
        if works:
            until(lambda: bench.server.committed_count() >= 5)
        else:
            until(lambda: bench.shipper.program.pid is None or _complained(bench), limit_s=20)
            assert bench.server.committed_count() == 0
        said = _everything(bench)
    assert works or "[FAIL]" in said or "Error:" in said
    assert secret_scan.found(said, secrets) == []


def _complained(bench: World) -> bool:
    """Whether the running shipper said that something is wrong."""
    log = bench.shipper.program.tail(1000).lower()
    return any(word in log for word in ("error", "warning", "refused", "failed", "not_sent"))


def test_the_scanner_finds_what_is_planted(tmp_path: Path) -> None:
    """Negative control: each kind of secret, whole, quoted, in base64 or in part, is found."""
    private, public = tmp_path / "key", tmp_path / "pub"
    material.make_key(private, public)
    pem = private.read_text()
    line = pem.splitlines()[3]
    leaks = {
        "line": f"cannot parse {line!r}",
        "json": json.dumps({"key": pem}),
        "part": f"unexpected token near {line[:30]}",
        "passphrase": f"passphrase {PASSPHRASE} is wrong",
        "token": f"Authorization: Bearer {ACCESS_TOKEN}",
        "jwt": "Bearer eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJBQ0NUIn0.c2lnbmF0dXJlc2ln",
    }
    for name, text in leaks.items():
        assert secret_scan.found(text, [pem, PASSPHRASE, ACCESS_TOKEN]), name
    assert secret_scan.found(public.read_text(), [pem]) == []
