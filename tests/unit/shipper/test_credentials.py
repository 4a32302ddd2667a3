"""Files with secrets: where they may be, and who may read them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import ConfigError, PermissionRefused
from common.settings import SnowflakeSettings
from shipper.auth.account import parse_account
from shipper.auth.credentials import (
    AccessToken,
    InlineSecrets,
    KeyPair,
    Tools,
    check_secret_file,
    make_credential,
    read_secret_file,
)
from shipper.auth.server_time import ServerTime
from tests.emulators.clock import ManualClock

ACCOUNT = parse_account("myorg-acc1")


class Hidden:
    """Notes which secrets were announced."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, secret: str, /, *, slot: str = "") -> None:
        """See ``Hide``."""
        self.texts.append(secret)


def tools(hide: Hidden) -> Tools:
    """Surroundings in which nothing is ever signed."""
    clock = ManualClock()

    def run(module: str, stdin: bytes, timeout_s: float) -> bytes:
        raise AssertionError("nothing is signed here")

    return Tools(ServerTime(clock), clock, run, hide)


def secret_file(path: Path, text: str = "pat-planted\n", mode: int = 0o600) -> Path:
    """A file with a mode."""
    path.write_text(text)
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_that_only_its_owner_reads_is_fine(tmp_path: Path, mode: int) -> None:
    """Whatever the owner may do."""
    assert read_secret_file(secret_file(tmp_path / "pat", mode=mode)).reveal() == "pat-planted"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660, 0o620])
def test_a_file_that_others_can_touch_is_refused(tmp_path: Path, mode: int) -> None:
    """With its mode and the command that mends it."""
    path = secret_file(tmp_path / "pat", mode=mode)
    with pytest.raises(PermissionRefused, match=f"{mode:04o}") as caught:
        check_secret_file(path)
    assert caught.value.hint == f"chmod 600 {path}"


def test_a_systemd_credential_may_have_any_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """systemd gives it mode 0440 in a directory that only the service can enter."""
    path = secret_file(tmp_path / "pat", mode=0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    check_secret_file(path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "elsewhere"))
    with pytest.raises(PermissionRefused):
        check_secret_file(path)


def test_a_systemd_credential_of_the_same_name_wins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings may name a file that the service cannot even see."""
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    secret_file(tmp_path / "snowflake.pat", "from-systemd", mode=0o440)
    hide = Hidden()
    settings = SnowflakeSettings(pat_file=Path("/nonexistent/snowflake.pat"))
    credential = make_credential(settings, InlineSecrets(), ACCOUNT, tools(hide))
    assert credential.bearer().token.reveal() == "from-systemd"
    assert hide.texts == ["from-systemd"]


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda p: None, ConfigError, "cannot be read: No such file"),
        (lambda p: p.mkdir(), ConfigError, "is not a file"),
        (lambda p: secret_file(p, ""), ConfigError, "is empty"),
        (lambda p: secret_file(p, "  \n"), ConfigError, "does not hold a token"),
        (lambda p: secret_file(p, "two planted"), ConfigError, "does not hold a token"),
        (lambda p: secret_file(p, "a\nplanted"), ConfigError, "does not hold a token"),
    ],
)
def test_a_bad_token_file_is_one_clear_error(
    tmp_path: Path, make: object, kind: type[Exception], message: str
) -> None:
    """Each says what is wrong, and none repeats the content."""
    path = tmp_path / "pat"
    make(path)  # type: ignore[operator]
    with pytest.raises(kind, match=message) as caught:
        read_secret_file(path)
    assert "planted" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="root is needed to become somebody else")
def test_a_file_of_another_user_is_a_refused_permission(tmp_path: Path) -> None:
    """Not readable by the service: exit status 77, not 78."""
    path = secret_file(tmp_path / "pat")
    script = (
        "import os, sys; from pathlib import Path\n"
        "from shipper.auth.credentials import check_secret_file\n"
        "os.setegid(65534); os.seteuid(65534)\n"
        "try: check_secret_file(Path(sys.argv[1]))\n"
        "except Exception as error: sys.exit(int(error.exit_code))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], cwd=Path(__file__).parents[3], check=False,
        env={"PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert done.returncode == 77


def test_a_renewed_token_file_is_found_when_the_old_token_is_refused(tmp_path: Path) -> None:
    """Rotation by writing the file anew, without a restart; a half-written file changes nothing."""
    hide = Hidden()
    path = secret_file(tmp_path / "pat", "first")
    settings = SnowflakeSettings(pat_file=path, role="WRITER")
    credential = make_credential(settings, InlineSecrets(), ACCOUNT, tools(hide))
    assert isinstance(credential, AccessToken)
    path.write_text("second")
    assert credential.bearer().token.reveal() == "first"
    credential.forget()
    assert credential.bearer().token.reveal() == "second"
    path.write_text("")
    credential.forget()
    assert credential.bearer().token.reveal() == "second"
    assert hide.texts == ["first", "second"]
    assert ("scope", "h session:role:WRITER") in credential.grant("h")


def test_both_files_of_an_encrypted_key_are_checked(tmp_path: Path) -> None:
    """A passphrase that everybody reads protects nothing."""
    key = secret_file(tmp_path / "key.p8")
    phrase = secret_file(tmp_path / "phrase", mode=0o644)
    settings = SnowflakeSettings(private_key_file=key, private_key_passphrase_file=phrase)
    with pytest.raises(PermissionRefused, match="phrase"):
        make_credential(settings, InlineSecrets(), ACCOUNT, tools(Hidden()))
    phrase.chmod(0o600)
    made = make_credential(settings, InlineSecrets(), ACCOUNT, tools(Hidden()))
    assert isinstance(made, KeyPair)
