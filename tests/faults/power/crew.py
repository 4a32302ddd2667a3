"""Starts storms and sweeps as processes of their own, side by side, and gathers what they say."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from typing import Any, Final

from tests.demo.bus import REPOSITORY
from tests.demo.process import _end_with_parent
from tests.faults.power.disk import INSIDE

LIMIT_S: Final = 280.0


def gather(*commands: Sequence[str], cuts: bool = False) -> list[dict[str, Any]]:
    """Run modules of this folder at once; their JSON objects, in order.

    Args:
        commands: a module's name and its words, for each.
        cuts: whether they cut power: then each gets a mount namespace of its own.

    Raises:
        AssertionError: one failed, or was not ready in time; the message is its own.
    """
    crew = [_start(words, INSIDE if cuts else ()) for words in commands]
    try:
        return [_result(process) for process in crew]
    finally:
        for process in crew:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _start(words: Sequence[str], prefix: Sequence[str]) -> "subprocess.Popen[str]":
    module, *rest = words
    return subprocess.Popen(
        [*prefix, sys.executable, "-m", f"tests.faults.power.{module}", *rest],
        cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=_end_with_parent,  # noqa: PLW1509 - makes one system call, no more
    )


def _result(process: "subprocess.Popen[str]") -> dict[str, Any]:
    output, errors = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, errors[-3000:]
    said: dict[str, Any] = json.loads(output.splitlines()[-1])
    return said
