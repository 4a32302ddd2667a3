"""Runs a module of the product in a child process and waits for it.

For work that is rare and needs heavy imports (making tables, signing): the memory goes back to the
system when the child ends, and the services stay small.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from common.errors import ExitCode, ThermalError
from common.redaction import SECRETS

_ROOT: Final = str(Path(__file__).resolve().parent.parent)

# -I keeps the working directory, PYTHONPATH and the user's site out of sys.path; the product's own
# directory comes last, so that nothing in it can stand in for the standard library.
_RUN: Final = """\
import runpy, sys
root, module, *arguments = sys.argv[1:]
if root not in sys.path:
    sys.path.append(root)
sys.argv = [module, *arguments]
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""

_KEPT: Final = ("PATH", "LANG", "LC_ALL", "TMPDIR", "HOME", "TZ", "CREDENTIALS_DIRECTORY")
"""The child's environment: never the sockets and the watchdog that systemd gave to the parent."""


class ChildFailed(ThermalError):
    """A child ended with an error, by a signal, or not in time.

    Its exit status is the child's own where that is one of ours, so a child that found a permission
    wrong ends the service as if the service had found it.
    """

    def __init__(self, message: str, *, exit_code: ExitCode, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


def run_module(
    module: str, stdin: bytes = b"", timeout_s: float = 60.0, *, args: Sequence[str] = ()
) -> bytes:
    """Run ``python -m module args…`` and return what it wrote to stdout.

    Args:
        module: dotted name; it must have a ``__main__`` part.
        stdin: what the child reads; secrets go this way, never in ``args``.
        timeout_s: after this many seconds the child is killed.
        args: its command line, visible to every user of the machine.

    Raises:
        ChildFailed: with the last line that the child wrote to stderr.
    """
    command = [sys.executable, "-I", "-c", _RUN, _ROOT, module, *args]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and a module named in our code
            command,
            input=stdin,
            capture_output=True,
            timeout=timeout_s,
            check=False,
            env={name: os.environ[name] for name in _KEPT if name in os.environ},
        )
    except subprocess.TimeoutExpired:
        # ``from None``: the exception holds the child's output, which may hold a secret.
        raise ChildFailed(
            f"{module} did not end within {timeout_s:g} s and was killed",
            exit_code=ExitCode.TEMPFAIL,
            hint="the disk or the machine is very slow; the service tries again",
        ) from None
    if done.returncode:
        raise _failure(module, done.returncode, done.stderr)
    return done.stdout


def _failure(module: str, status: int, stderr: bytes) -> ChildFailed:
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    hint = None
    if lines and lines[-1].startswith("Try: "):
        hint = SECRETS.clean(lines.pop().removeprefix("Try: "))
    last = SECRETS.clean(lines[-1].removeprefix("Error: ")) if lines else "no message"
    ended = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    known = status in ExitCode.__members__.values()
    exit_code = ExitCode(status) if known else ExitCode.SOFTWARE
    return ChildFailed(f"{module} {ended}: {last}", exit_code=exit_code, hint=hint)
