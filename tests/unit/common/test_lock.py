"""A lock file keeps a second process out, and is free when its holder ended, however it did."""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.errors import ExitCode, LockHeld, PermissionRefused, SpoolError
from common.lock import FileLock, holder

_HOLD = """\
import sys
from pathlib import Path
from common.lock import FileLock
lock = FileLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the lock file lies."""
    return tmp_path / "collector.lock"


@pytest.fixture
def other(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that holds the lock."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_second_process_is_told_who_holds_the_lock(
    path: Path, other: "subprocess.Popen[str]"
) -> None:
    """The message names the holder, and the status makes systemd try again."""
    with pytest.raises(LockHeld, match=f"locked by process {other.pid}$") as caught:
        FileLock(path).acquire()
    assert caught.value.exit_code == ExitCode.TEMPFAIL
    assert caught.value.hint


def test_a_killed_holder_leaves_nothing_behind(path: Path, other: "subprocess.Popen[str]") -> None:
    """After kill -9 the lock is free, the file is still there."""
    assert not FileLock(path).try_acquire()
    other.send_signal(signal.SIGKILL)
    other.wait()
    with FileLock(path, timeout_s=5) as lock:
        assert lock.held
    assert path.exists()
    assert not lock.held


def test_two_objects_of_one_process_exclude_each_other(path: Path) -> None:
    """The lock belongs to the object; release frees it, and twice is no error."""
    first, second = FileLock(path), FileLock(path)
    assert first.try_acquire()
    assert not second.try_acquire()
    first.release()
    first.release()
    assert second.try_acquire()
    second.release()


def test_the_same_object_cannot_take_it_twice(path: Path) -> None:
    """Nested use of one lock is a mistake in our code, not a state to wait for."""
    lock = FileLock(path)
    lock.acquire()
    with pytest.raises(RuntimeError, match="already held"):
        lock.try_acquire()
    lock.release()


def test_waiting_ends_at_the_deadline(path: Path) -> None:
    """A wait for a lock is bounded."""
    with FileLock(path), pytest.raises(LockHeld, match=f"process {os.getpid()}"):
        FileLock(path).acquire(timeout_s=0.05)


def test_children_do_not_inherit_the_lock(path: Path) -> None:
    """A child that outlives the service must not keep the spool locked."""
    lock = FileLock(path)
    lock.acquire()
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"],
                          stdin=subprocess.PIPE, close_fds=False) as child:
        lock.release()
        assert FileLock(path).try_acquire()
        child.kill()


def test_release_does_not_wait_for_a_copy_of_the_descriptor(path: Path) -> None:
    """Between fork and exec a child has one; closing ours alone would leave the lock held."""
    lock, other = FileLock(path), FileLock(path)
    lock.acquire()
    copy = os.dup(lock._fd or -1)
    lock.release()
    assert other.try_acquire()
    os.close(copy)
    held = os.dup(other._fd or -1)
    os.close(other._fd or -1)
    assert not FileLock(path).try_acquire(), "control: after close alone the copy holds the lock"
    os.close(held)


def test_a_replaced_file_is_not_taken_for_the_lock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody who deletes the file between open and flock does not make two holders."""
    lock = FileLock(path)
    real = os.open

    def open_and_lose(*args: object, **kwargs: object) -> int:
        fd = real(*args, **kwargs)  # type: ignore[arg-type] # as it came
        path.unlink()
        return fd

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_and_lose)
        assert not lock.try_acquire()
    assert lock.try_acquire()
    lock.release()


def test_a_lock_that_cannot_be_made_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing directory and a refused permission have different remedies and statuses."""
    with pytest.raises(SpoolError, match="cannot be locked: No such file") as caught:
        FileLock(tmp_path / "no" / "lock").acquire()
    assert caught.value.exit_code == ExitCode.IOERR

    def refuse(*_args: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(PermissionRefused, match="may not be opened"):
        FileLock(tmp_path / "lock").acquire()


def test_a_file_system_without_locks_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems refuse flock; that is not "held by another process"."""

    def refuse(*_args: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(SpoolError, match="cannot be locked: No locks available") as caught:
        FileLock(path).acquire()
    assert "local file system" in str(caught.value.hint)


def test_an_unknown_holder_is_not_guessed(tmp_path: Path) -> None:
    """Without an entry in /proc/locks the message stays vague."""
    (tmp_path / "free.lock").touch()
    assert holder(tmp_path / "free.lock") == "another process"
    assert holder(tmp_path / "absent.lock") == "another process"
