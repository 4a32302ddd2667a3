"""What the tests of this room share: one account, closed at the end whatever becomes of a test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.identity.cloud import Cloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    """An account without devices."""
    made = Cloud(tmp_path)
    yield made
    made.close()
