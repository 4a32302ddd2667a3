"""The command line: words in, exit status and clear texts out; keys made and printed."""

import json
import os
import re
import subprocess
import sys
from collections import deque
from pathlib import Path

import pytest

from common import __version__
from common.settings import Settings, ShipperSettings, SpoolSettings
from shipper.cli import command_line, main
from shipper.cli_keys import PublicKey, alter_user
from shipper.cli_status import sparkline, text
from shipper.status import Status, look, scrape
from shipper.text import grouped, span

ROOT = Path(__file__).parents[3]


def test_version_and_help_answer_without_a_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both teach, and end with 0."""
    for words, expected in ((["--version"], __version__), (["--help"], "--send-test 3")):
        with pytest.raises(SystemExit) as caught:
            main(words)
        assert caught.value.code == 0
        assert expected in capsys.readouterr().out


def test_every_command_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has a help of its own that names its flags."""
    for command in (
        "run", "check", "status", "keygen", "pubkey", "fingerprint", "migrate-config",
        "dead-letters", "dead-letters list", "dead-letters show", "dead-letters export",
        "dead-letters requeue", "dead-letters drop", "adopt", "settle",
    ):
        with pytest.raises(SystemExit) as caught:
            main([*command.split(), "--help"])
        assert caught.value.code == 0
        assert "usage: thermal-shipper " + command in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["run", "--simulate"], "--simulate was removed: only real measurements", "--help"),
        (["--simulate"], "--simulate was removed", "--help"),
        (["run", "--channel-name=x"], "--channel-name was removed", "--help"),
        (["--config", "x.toml"], "no command before --config", "run --config x.toml"),
        (["run", "--frobnicate"], "unrecognized arguments: --frobnicate", "--help"),
        (["fly"], "invalid choice: 'fly'", "--help"),
        ([], "required", "--help"),
        (["run", "--batch-size", "many"], "invalid int value", "--help"),
        (["run", "--batch"], "unrecognized arguments", "--help"),
    ],
)
def test_a_wrong_command_line_is_64_with_a_remedy(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str, hint: str
) -> None:
    """What is wrong on one line, what to try on the next."""
    assert main(words) == 64
    error, remedy = capsys.readouterr().err.splitlines()
    assert error.startswith("Error: ")
    assert message in error
    assert remedy.startswith("Try: ")
    assert hint in remedy


@pytest.mark.parametrize("flags", [["--batch-size", "0"], ["--interval", "-1"]])
def test_flags_keep_the_bounds_of_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    """A flag out of bounds is a wrong command line, not a wrong file."""
    config = tmp_path / "thermal.toml"
    config.write_text("")
    assert main(["run", "--config", str(config), *flags]) == 64
    assert flags[0] in capsys.readouterr().err


def test_users_flags_are_all_there() -> None:
    """The four that people have in their scripts."""
    arguments = command_line().parser.parse_args(
        ["run", "--config", "f", "--batch-size", "20", "--interval", "10", "--verbose"]
    )
    assert (arguments.config, arguments.batch_size) == (Path("f"), 20)
    assert (arguments.interval, arguments.verbose) == (10.0, True)


def test_version_is_instant_because_nothing_heavy_is_imported() -> None:
    """--version and the parser need no requests, prometheus or sqlite."""
    script = (
        "import sys, {extra}shipper.cli\nshipper.cli.command_line()\n"
        "heavy = {{'requests', 'urllib3', 'prometheus_client', 'sqlite3', 'jwt', 'cryptography'}}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    seen = [
        subprocess.run(
            [sys.executable, "-c", script.format(extra=extra)], capture_output=True, text=True,
            check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        ).stdout.strip()
        for extra in ("", "sqlite3, ")
    ]
    assert seen == ["[]", "['sqlite3']"]


def test_a_key_is_made_once_and_printed_as_sql(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Mode 0600, never overwritten; keygen, pubkey and fingerprint agree."""
    path = tmp_path / "key.p8"
    assert main(["keygen", str(path), "--user", "SHIPPER"]) == 0
    made = capsys.readouterr().out
    statement = re.search(r"ALTER USER SHIPPER SET RSA_PUBLIC_KEY='([A-Za-z0-9+/=]+)';", made)
    assert statement is not None
    assert path.stat().st_mode & 0o777 == 0o600
    assert f'private_key_file = "{path}"' in made
    content = path.read_bytes()
    assert main(["keygen", str(path)]) == 64
    assert path.read_bytes() == content
    capsys.readouterr()
    assert main(["fingerprint", "--key", str(path)]) == 0
    assert capsys.readouterr().out.strip() in made
    assert main(["pubkey", "--key", str(path), "--slot", "2"]) == 0
    assert f"SET RSA_PUBLIC_KEY_2='{statement[1]}'" in capsys.readouterr().out


def test_an_encrypted_key_is_made_and_read_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The passphrase comes from a file, and is printed nowhere."""
    path, phrase = tmp_path / "key.p8", tmp_path / "phrase"
    phrase.write_text("phrase-planted\n")
    phrase.chmod(0o600)
    assert main(["keygen", str(path), "--passphrase-file", str(phrase)]) == 0
    assert b"ENCRYPTED" in path.read_bytes()
    words = ["fingerprint", "--key", str(path), "--passphrase-file", str(phrase)]
    assert main(words) == 0
    assert main(words[:-2]) == 78
    shown = capsys.readouterr()
    assert "no passphrase is set" in shown.err
    assert "phrase-planted" not in shown.out + shown.err


@pytest.mark.parametrize(
    ("user", "name"), [("SHIPPER", "SHIPPER"), ("", "<USER>"), ('o"dd one', '"o""dd one"')]
)
def test_user_names_are_quoted_when_sql_needs_it(user: str, name: str) -> None:
    """A name is never pasted into SQL as it is."""
    assert alter_user(user, PublicKey("QQ==", "SHA256:x"), 1).startswith(f"ALTER USER {name} SET ")


def test_a_snowflake_config_becomes_toml_and_its_secret_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The printed table loads, and the secret is in no output."""
    import tomllib

    profile, secret = tmp_path / "snowflake_config.json", tmp_path / "pat"
    profile.write_text(json.dumps({
        "account": "MYORG-ACC1", "user": "SHIPPER", "database": "DEMO", "schema": "PUBLIC",
        "pipe": "P", "channel_name": "TH", "url": "", "pat": "pat-planted", "role": 'odd"role',
    }))
    assert main(["migrate-config", str(profile)]) == 64
    assert main(["migrate-config", str(profile), "--secret-file", str(secret)]) == 0
    shown = capsys.readouterr()
    table = tomllib.loads(shown.out)["snowflake"]
    assert table["pat_file"] == str(secret)
    assert table["role"] == 'odd"role'
    assert "private_key_file" not in table
    assert secret.read_text() == "pat-planted\n"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert "planted" not in shown.out + shown.err


def test_status_without_anything_says_so(tmp_path: Path) -> None:
    """No spool, no ledger, no service: no traceback, and nothing is made."""
    settings = Settings(
        tmp_path / "t.toml", spool=SpoolSettings(directory=tmp_path / "none"),
        shipper=ShipperSettings(metrics_port=0),
    )
    found = look(settings)
    assert not found.running
    assert len(found.problems) == 2
    assert "backlog         -" in text(found)
    assert not (tmp_path / "none").exists()


def test_status_as_json_has_every_key(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same keys always, null for what is not known."""
    config = tmp_path / "thermal.toml"
    config.write_text(f'[spool]\ndirectory = "{tmp_path}/none"\n')
    assert main(["status", "--json", "--config", str(config)]) == 0
    assert set(json.loads(capsys.readouterr().out)) == set(Status().shown())


def test_status_reads_as_people_read() -> None:
    """Grouped digits, spans in one unit, a line of bars."""
    assert (grouped(12041), grouped(7)) == ("12 041", "7")
    spans = [span(s) for s in (4, 90, 119, 720, 90_000, 1e6)]
    assert spans == ["4 s", "90 s", "119 s", "12 min", "25 h", "12 d"]
    assert sparkline(deque([0, 4, 8])) == "▁▄█"
    shown = text(Status(running=True, backlog_rows=12041, events={"lost": 2}), deque([1, 2]))
    assert "running         yes" in shown
    assert "backlog         12 041" in shown
    assert "events          lost x2" in shown


def test_a_scrape_of_nothing_is_an_oserror() -> None:
    """A shipper without metrics is still described from its files."""
    with pytest.raises(OSError, match="refused"):
        scrape("127.0.0.1", 9)
