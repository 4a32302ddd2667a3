"""Runs a piece of work under strace, which kills it at, or fails, the N-th system call that writes.

See strace(1), "Tampering": ``inject=SET:signal=KILL:when=N`` delivers the signal when the call is
entered, so the call itself does not take place. It counts each call of each process by itself, so a
point is the name of a call and a number. The work runs in a fork of this process, so that only its
own calls are seen, and none of an interpreter that starts. (With ``--seccomp-bpf`` strace 6.1 does
not count beyond the first: left out.)
"""

import os
import re
import shutil
import subprocess
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WRITING: Final = (
    "pwrite64,write,fsync,fdatasync,ftruncate,fallocate,?rename,?renameat,?renameat2,"
    "?unlink,unlinkat,?link,linkat,?mkdir,mkdirat"
)
"""Calls that change what is on the disk; the ones with a question mark some machines lack."""

UNTRACED: Final = 71
"""Exit status of a child to which strace did not come."""

_MARKER: Final = "getppid"
_CALL: Final = re.compile(r"^(\d+) +(\w+)\(")
_ATTACH_LIMIT_S: Final = 20.0
_LIMIT_S: Final = 60.0
_POLL_S: Final = 0.0005

Work = Callable[[], int]
"""What the child does; returns its exit status. File descriptors 1 and 2 are kept."""


@dataclass(frozen=True, slots=True)
class Call:
    """One system call of the work.

    Attributes:
        process: who made it.
        name: its name.
        number: its place among that process' calls of this name, from 1.
        line: as strace wrote it.
    """

    process: int
    name: str
    number: int
    line: str

    def __str__(self) -> str:
        return f"{self.name} #{self.number}"


@dataclass(frozen=True, slots=True)
class Ended:
    """How the work ended.

    Attributes:
        status: its exit status; negative: the signal that killed it.
        reports: its standard output, a line each.
        errors: its standard error.
        calls: the writing system calls, in order, children's included.
    """

    status: int
    reports: tuple[str, ...]
    errors: str
    calls: tuple[Call, ...]


def why_no_strace() -> str | None:
    """Why system calls cannot be tampered with here; ``None`` when they can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    sleeper = subprocess.Popen(["sleep", "60"])
    tracer = subprocess.Popen(
        ["strace", "-qq", "-p", str(sleeper.pid)], stderr=subprocess.PIPE, text=True
    )
    try:
        end_s, status = time.monotonic() + _ATTACH_LIMIT_S, Path(f"/proc/{sleeper.pid}/status")
        while tracer.poll() is None and time.monotonic() < end_s:
            if "TracerPid:\t0\n" not in status.read_text():
                return None
            time.sleep(_POLL_S)
    finally:
        sleeper.kill()
        sleeper.wait()
        tracer.kill()
        _, trouble = tracer.communicate()
    return f"strace cannot attach: {trouble.strip() or 'not in time'}"


def run(work: Work, at: str = "", what: str = "") -> Ended:
    """Do the work in a child, traced.

    Args:
        work: see ``Work``; this process has no database open, and one thread.
        at: the name of the call that is tampered with; empty: calls are only listed.
        what: strace's words for it, such as ``signal=KILL:when=3``.

    Raises:
        AssertionError: strace did not attach.
    """
    with tempfile.TemporaryDirectory(prefix="thermal-strace-") as place:
        trace, output, errors = (Path(place) / name for name in ("trace", "output", "errors"))
        child = os.fork()
        if child == 0:
            _be_child(work, trace, output, errors)
        tampering = ["-e", f"inject={at}:{what}"] if at else []
        done = subprocess.run(
            ["strace", "-f", "-qq", "-o", trace, "-e", f"trace={_MARKER},{WRITING}",
             "-e", "signal=none", *tampering, "-p", str(child)],
            capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_LIMIT_S, check=False,
        )
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert status != UNTRACED, done.stderr
        reports = tuple(output.read_text().splitlines())
        calls = _calls(trace.read_text().splitlines())
        return Ended(status, reports, errors.read_text() + done.stderr, calls)


def _calls(lines: list[str]) -> tuple[Call, ...]:
    """The calls of a trace; the second half of one that was interrupted is not counted."""
    counted: Counter[tuple[int, str]] = Counter()
    found = []
    for line in lines:
        matched = _CALL.match(line)
        if matched and matched.group(2) != _MARKER:
            key = (int(matched.group(1)), matched.group(2))
            counted[key] += 1
            found.append(Call(*key, counted[key], line))
    return tuple(found)


def say(descriptor: int, text: str) -> None:
    """Write a line by a call that is not among ``WRITING``: it is neither counted nor refused."""
    os.writev(descriptor, [f"{text}\n".encode()])


def _be_child(work: Work, trace: Path, output: Path, errors: Path) -> None:
    """Wait until strace is there, do the work, and end without the interpreter's end.

    Whatever is open stays as it is, as when a service is killed.
    """
    status = 70
    try:
        for number, path in ((1, output), (2, errors)):
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(descriptor, number)
            os.close(descriptor)
        status = work() if _is_traced(trace) else UNTRACED
    except BaseException:  # noqa: BLE001 - a fork must not return into its parent
        say(2, f"not the product's error: {traceback.format_exc()}")
    finally:
        os._exit(status)


def _is_traced(trace: Path) -> bool:
    """Make calls that change nothing until one of them is in the trace; whether that came about."""
    end_s = time.monotonic() + _ATTACH_LIMIT_S
    while not trace.exists() or not trace.stat().st_size:
        if time.monotonic() > end_s:
            return False
        os.getppid()
        time.sleep(_POLL_S)
    return True
