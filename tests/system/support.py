"""What the tests with real processes share: waiting with a limit, and one command with a limit."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import pytest

from tests.demo.bus import VENV_BIN, why_no_file

COLLECTOR: Final = VENV_BIN / "thermal-collector"
SHIPPER: Final = VENV_BIN / "thermal-shipper"

NO_FILE_BUS: Final = why_no_file()
"""Why the installed collector cannot be given an emulated bus here; ``None``: it can."""

needs_file_bus = pytest.mark.skipif(
    NO_FILE_BUS is not None, reason=f"no bus that is a file: {NO_FILE_BUS}"
)

T = TypeVar("T")


def until(look: Callable[[], T], limit_s: float = 15.0, pause_s: float = 0.05) -> T:
    """Look again and again until something true is seen, and return it.

    Raises:
        TimeoutError: it was not seen within the limit; the message has what was seen last.
    """
    end_s = time.monotonic() + limit_s
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > end_s:
            raise TimeoutError(f"after {limit_s:g} s: {seen!r}")
        time.sleep(pause_s)


def run(
    *words: str | Path, limit_s: float = 30.0, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """One command to its end, with what it printed."""
    return subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=limit_s,
        check=False, stdin=subprocess.DEVNULL, env={**os.environ, **(environment or {})},
    )


def python(*words: str | Path, limit_s: float = 30.0) -> subprocess.CompletedProcess[str]:
    """One module or script of ours to its end."""
    return run(sys.executable, *words, limit_s=limit_s)
