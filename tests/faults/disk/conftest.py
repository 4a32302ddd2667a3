"""The scene that every trial of damaged files begins with, and a place where fsync is cheap."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.disk.scene import Scene, build
from tests.tools.spools import close_opened


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A directory in memory, where the machine has one: what is tested here is not the card."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh directory in it is made
    usable = memory.is_dir() and os.access(memory, os.W_OK)
    root = Path(tempfile.mkdtemp(prefix="disk-", dir=memory if usable else None))
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def scene(fast: Path) -> Iterator[Scene]:
    """About six hundred rows of two boots, two thirds of them on the server."""
    yield build(fast / "scene")
    close_opened()
