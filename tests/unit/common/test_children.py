"""A child does rare, heavy work and gives its memory back."""

import sys
from pathlib import Path

import pytest

import common
from common import children
from common.children import ChildFailed, run_module
from common.errors import ExitCode
from common.redaction import SECRETS


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module named ``planted`` that the child finds; the test writes its text."""
    monkeypatch.setattr(children, "_ROOT", str(tmp_path))
    return tmp_path / "planted.py"


def test_stdin_and_arguments_go_in_and_stdout_comes_back(module: Path) -> None:
    """A child is a function of its input."""
    module.write_text("import sys\nprint(sys.argv[1:], sys.stdin.read()[::-1], end='')\n")
    assert run_module("planted", b"abc", args=("x", "y z")) == b"['x', 'y z'] cba"


def test_the_products_own_modules_are_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child imports this very ``common``, whatever the working directory holds."""
    (tmp_path / "common.py").write_text("raise SystemExit('the wrong one')\n")
    (tmp_path / "json.py").write_text("raise SystemExit('the wrong one')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert run_module("common.errors") == b""
    assert run_module("json.tool", b"[1]").split() == [b"[", b"1", b"]"]
    assert Path(common.__file__).parent.name == "common"


def test_systemds_sockets_stay_with_the_parent(
    module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child must not say READY for its parent; the directory of credentials it may see."""
    module.write_text("import os\nprint(sorted(os.environ))\n")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/x")
    monkeypatch.setenv("LISTEN_FDS", "1")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    names = run_module("planted").decode()
    assert "NOTIFY_SOCKET" not in names
    assert "LISTEN_FDS" not in names
    assert "CREDENTIALS_DIRECTORY" in names


def test_a_failure_brings_the_childs_last_line(module: Path) -> None:
    """The reason is not lost in another process."""
    module.write_text("raise RuntimeError('no such table')\n")
    with pytest.raises(ChildFailed) as caught:
        run_module("planted")
    assert str(caught.value) == "planted ended with status 1: RuntimeError: no such table"
    assert caught.value.exit_code == ExitCode.SOFTWARE


def test_a_childs_own_error_keeps_status_and_remedy(module: Path) -> None:
    """What the child found wrong ends the service as if the service had found it."""
    module.write_text(
        "import sys\nprint('Error: /x: is not yours\\nTry: chown /x', file=sys.stderr)\n"
        "sys.exit(77)\n"
    )
    with pytest.raises(ChildFailed, match=r"ended with status 77: /x: is not yours$") as caught:
        run_module("planted")
    assert caught.value.exit_code == ExitCode.NOPERM
    assert caught.value.hint == "chown /x"


def test_a_hanging_or_killed_child_ends(module: Path) -> None:
    """A child is waited for with a limit, and a signal is named."""
    module.write_text("import threading\nthreading.Event().wait()\n")
    with pytest.raises(ChildFailed, match=r"did not end within 0\.5 s and was killed") as caught:
        run_module("planted", timeout_s=0.5)
    assert caught.value.exit_code == ExitCode.TEMPFAIL
    module.write_text("import os\nos.kill(os.getpid(), 9)\n")
    with pytest.raises(ChildFailed, match="killed by signal 9: no message"):
        run_module("planted")


def test_a_secret_in_the_childs_message_is_hidden(module: Path) -> None:
    """A signing child must not bring the key out in its error."""
    SECRETS.hide("planted-passphrase")
    module.write_text("import sys\nraise ValueError('bad ' + sys.stdin.read())\n")
    with pytest.raises(ChildFailed) as caught:
        run_module("planted", b"planted-passphrase")
    assert "planted-passphrase" not in str(caught.value)
    assert "bad ***" in str(caught.value)


def test_the_child_is_our_own_interpreter(module: Path) -> None:
    """No other Python of the machine is asked."""
    module.write_text("import sys\nprint(sys.executable, sys.flags.isolated, end='')\n")
    assert run_module("planted").decode() == f"{sys.executable} 1"
