"""What the tests of this folder share: an authority to trust, and a place in memory for benches."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.bench import MEMORY
from tests.emulators.certificates import Authority


@pytest.fixture(scope="session")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file of authorities; the system's takes long to load."""
    return Authority.make(tmp_path_factory.mktemp("authority")).ca_file


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """An empty directory in memory where the machine has one: hours of commits cost no disk."""
    if not (MEMORY.is_dir() and os.access(MEMORY, os.W_OK)):
        yield tmp_path
        return
    root = Path(tempfile.mkdtemp(prefix="thermal-faults-", dir=MEMORY))
    yield root
    shutil.rmtree(root, ignore_errors=True)
