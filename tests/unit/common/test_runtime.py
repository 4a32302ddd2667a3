"""How a process ends: signals, errors for people, bugs, dead threads, closed pipes."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from common.errors import ConfigError, ExitCode
from common.redaction import SECRETS
from common.runtime import run_service

_WAIT_S = 10


def run(text: str) -> "subprocess.Popen[str]":
    """Start a process whose ``main(stop)`` has this body."""
    body = "\n".join("    " + line for line in text.splitlines())
    code = (
        "import os, signal, sys, threading\nfrom common.errors import *\n"
        "from common.redaction import SECRETS\nfrom common.runtime import run_service\n"
        f"def main(stop):\n{body}\nsys.exit(run_service(main))\n"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_sets_the_event_and_main_ends_in_its_own_time(number: signal.Signals) -> None:
    """SIGTERM and Ctrl-C ask; the batch is finished and the status is 0."""
    with run("print('up', flush=True)\nstop.wait()\nprint('finished')\nreturn 0") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(number)
        out, err = process.communicate(timeout=_WAIT_S)
    assert (out, err, process.returncode) == ("finished\n", "", 0)


def test_a_second_interrupt_ends_at_once() -> None:
    """A person who presses Ctrl-C twice does not want to wait; SIGTERM twice waits."""
    text = "print('up', flush=True)\nwhile True:\n    stop.wait()\n    threading.Event().wait(0.01)"
    with run(text) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=0.5)
        for _ in range(_WAIT_S):
            # Two that come before the first was handled are one; a busy machine is slow to it.
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=1.0)
                break
        process.kill()
    assert process.returncode == 130


_HELD = """\
with stop._cond:
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000): pass
return 0 if stop.wait(5) else 1"""

_NAIVE = "signal.signal(signal.SIGTERM, lambda *_: stop.set())\n"


def test_a_signal_in_the_middle_of_a_wait_does_not_deadlock() -> None:
    """It may arrive while the main thread holds the event's own lock; the naive handler hangs."""
    with run(_HELD) as process:
        process.communicate(timeout=_WAIT_S)
    assert process.returncode == 0
    with run(_NAIVE + _HELD) as control:
        with pytest.raises(subprocess.TimeoutExpired):
            control.wait(timeout=2)
        control.kill()
        control.communicate()


def test_an_error_for_people_has_remedy_and_status(capsys: pytest.CaptureFixture[str]) -> None:
    """``Error:`` says what, ``Try:`` says what to do, the status is the error's own."""

    def main(_stop: threading.Event) -> int:
        raise ConfigError("x.toml: preset: wrong", hint="edit x.toml")

    assert run_service(main) == ExitCode.CONFIG
    assert capsys.readouterr().err == "Error: x.toml: preset: wrong\nTry: edit x.toml\n"


def test_a_bug_gives_a_traceback_and_70(capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody foresaw is shown whole, but without secrets."""
    SECRETS.hide("planted-in-exception")

    def main(_stop: threading.Event) -> int:
        raise KeyError("planted-in-exception")

    assert run_service(main) == ExitCode.SOFTWARE
    shown = capsys.readouterr().err
    assert "Traceback" in shown
    assert "KeyError: '***'" in shown
    assert "planted-in-exception" not in shown.replace('raise KeyError("planted', "")


def test_a_secret_in_a_chained_exception_is_hidden(capsys: pytest.CaptureFixture[str]) -> None:
    """Causes and contexts are printed too; a text that is no secret is the control."""
    secret = "".join(["planted", "-", "chain"])
    SECRETS.hide(secret)

    def main(_stop: threading.Event) -> int:
        try:
            raise ValueError(f"inner {secret} visible-control")
        except ValueError as error:
            raise RuntimeError("outer") from error

    assert run_service(main) == ExitCode.SOFTWARE
    shown = capsys.readouterr().err
    assert secret not in shown
    assert "visible-control" in shown


def test_a_thread_that_dies_ends_the_process(capsys: pytest.CaptureFixture[str]) -> None:
    """A service without one of its threads would look alive; systemd starts a whole one."""
    secret = "".join(["planted", "-", "thread"])
    SECRETS.hide(secret)

    def die() -> None:
        raise RuntimeError(f"writer broke on {secret}")

    def main(stop: threading.Event) -> int:
        thread = threading.Thread(target=die)
        thread.start()
        thread.join()
        return 0 if stop.wait(_WAIT_S) else 1

    assert run_service(main) == ExitCode.SOFTWARE
    shown = capsys.readouterr().err
    assert "writer broke on ***" in shown


def test_a_thread_may_exit_on_purpose() -> None:
    """SystemExit in a thread is no crash."""

    def main(_stop: threading.Event) -> int:
        thread = threading.Thread(target=sys.exit)
        thread.start()
        thread.join()
        return 0

    assert run_service(main) == 0


def test_a_closed_pipe_is_no_bug() -> None:
    """``thermal-shipper status | head -1`` ends without a traceback."""
    with run("for n in range(100000): print('line', n)\nreturn 0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        process.wait(timeout=_WAIT_S)
    assert (process.returncode, err) == (141, "")


def test_the_former_handlers_come_back() -> None:
    """Only while it runs are signals and threads watched."""
    before = (signal.getsignal(signal.SIGTERM), threading.excepthook)
    assert run_service(lambda _stop: 3) == 3
    assert (signal.getsignal(signal.SIGTERM), threading.excepthook) == before


def test_it_runs_in_any_thread() -> None:
    """Signals can be handled only by the main thread; another one runs without them."""
    found: list[int] = []
    thread = threading.Thread(target=lambda: found.append(run_service(lambda _stop: 4)))
    thread.start()
    thread.join()
    assert found == [4]


def test_error_lines_have_a_priority_in_the_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """journalctl -p err finds the reason of the end."""
    path = tmp_path / "journal"
    with path.open("w") as stream:
        stat = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
        monkeypatch.setattr(sys, "stderr", stream)

        def main(_stop: threading.Event) -> int:
            raise ConfigError("a\nb", hint="c")

        assert run_service(main) == ExitCode.CONFIG
    assert path.read_text() == "<3>Error: a\n<3>b\n<3>Try: c\n"
