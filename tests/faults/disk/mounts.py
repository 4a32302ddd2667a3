"""A small file system in memory for one child process, in a mount namespace of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.demo.bus import REPOSITORY

INSIDE: Final = ("unshare", "--mount", "--propagation", "private")
LIMIT_S: Final = 300


def why_not() -> str | None:
    """Why nothing can be mounted here; ``None`` when it can."""
    if os.geteuid() != 0:
        return "mounting a file system wants root"
    if shutil.which("unshare") is None or shutil.which("mount") is None:
        return "unshare or mount is not installed"
    tried = subprocess.run(
        [*INSIDE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False
    )
    return None if tried.returncode == 0 else tried.stderr.decode().strip()


def run_inside(root: Path, options: str, *words: str) -> dict[str, Any]:
    """Run ``tests.faults.disk.full_disk`` with a tmpfs of its own; returns what it found.

    Args:
        root: an empty directory: the mount point.
        options: of the mount, such as ``size=4m``.
        words: scenario and arguments.

    Raises:
        AssertionError: it failed; its last lines say why.
    """
    script = f'mount -t tmpfs -o {options} tmpfs "$0" && exec "$@"'
    command = [sys.executable, "-m", "tests.faults.disk.full_disk", str(root), *words]
    done = subprocess.run(
        [*INSIDE, "sh", "-c", script, str(root), *command],
        capture_output=True,
        check=False,
        cwd=REPOSITORY,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found: dict[str, Any] = json.loads(done.stdout.decode().splitlines()[-1])
    return found
