"""What the tests of this folder share: a recorded story, and why there may be none."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from common.database import Opener
from tests.emulators.disk.disk import memory_directory, mounted, why_no_disk
from tests.faults.card.life import Life, record
from tests.faults.card.recording import Recording
from tests.faults.card.stories import STORIES

NO_DISK: Final = why_no_disk()
"""Why a damageable disk cannot be mounted here; ``None``: it can."""

needs_disk = pytest.mark.skipif(NO_DISK is not None, reason=f"no disk in user space: {NO_DISK}")


def recorded(name: str, writer: Opener | None = None) -> Recording:
    """One story, lived once on a damageable disk.

    Args:
        name: of the story.
        writer: opens the files for their writers; ``None``: as the product does.
    """
    story = STORIES[name]
    with (
        mounted() as disk,
        tempfile.TemporaryDirectory(prefix="thermal-life-", dir=memory_directory()) as root,
    ):
        return record(disk, Life(Path(root), disk.mount, story.limits, writer), story.happens)


def told(line: str) -> Callable[[], str]:
    """A message for an assertion, printed too: the figures of a run are worth seeing."""
    print(line)
    return lambda: line
