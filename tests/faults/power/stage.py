"""Directories for scenarios: the state that one finds is made once, and copied for each run."""

import json
import shutil
from pathlib import Path
from typing import Final

from collector.spool.position import POSITION_FILE
from tests.faults.power.scenarios import Scenario

_IGNORED: Final = shutil.ignore_patterns("*-shm")


class Stage:
    """The state that a scenario finds.

    Args:
        scenario: see ``Scenario``.
        root: an existing directory for all copies.
    """

    def __init__(self, scenario: Scenario, root: Path) -> None:
        self._root, self._copies = root, 0
        life = scenario.live(root / "made", lambda _: None)
        try:
            scenario.before(life)
            # Copied while it is open: closing would empty the write-ahead log.
            shutil.copytree(root / "made", root / "before", ignore=_IGNORED)
        finally:
            life.end()

    def copy(self) -> Path:
        """A fresh copy to act on; not for two threads at once."""
        self._copies += 1
        fresh = self._root / f"{self._copies}"
        shutil.copytree(self._root / "before", fresh)
        _follow(fresh)
        return fresh


def _follow(root: Path) -> None:
    """Let the position record name the copied file: a copy is not to look like a restored spool."""
    record, spool = root / "run" / POSITION_FILE, root / "spool" / "spool.db"
    if record.exists() and spool.exists():
        told = json.loads(record.read_text())
        named = spool.stat()
        record.write_text(json.dumps({**told, "device": named.st_dev, "inode": named.st_ino}))
