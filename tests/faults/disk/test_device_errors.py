"""A device that fails: sampling goes on in memory, what can be read is read, and it all comes back.

The real thing is an ext4 that the kernel makes read-only; the enumeration fails one statement after
the other of the store's own connection, for a while, and then heals.
"""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from collector.ring import Ring
from tests.demo.bus import REPOSITORY
from tests.faults.disk.full_disk import BEFORE, DURING, RING_ROWS, Side, judge
from tests.faults.disk.mounts import INSIDE
from tests.faults.power.disk import why_no_cut
from tests.tools.spools import Device, samples

POINTS = 60
"""The n-th statement fails, n from 1 on."""

SPELLS = (1, 3, 40)
"""So many statements fail in a row: a hiccup, a bad moment, a device that is gone for a while."""


class Dying(sqlite3.Connection):
    """A connection to a device that fails for a while; what it counts belongs to the class.

    Attributes:
        left: statements until the first failure; ``None``: the device is sound.
        failures: statements that will fail then.
        name: SQLite's name of the error.
    """

    left: int | None = None
    failures = 0
    name = "SQLITE_IOERR_WRITE"

    def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:
        """Like the real one, or an error of the device."""
        if Dying.left is not None and not sql.startswith("ROLLBACK"):
            Dying.left -= 1
            if Dying.left < 0 and Dying.failures > 0:
                Dying.failures -= 1
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorname = Dying.name
                raise error
        return super().execute(sql, *arguments)  # type: ignore[arg-type]


def _opened(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None,
        check_same_thread=False, factory=Dying,
    )  # fmt: skip
    try:
        connection.execute("PRAGMA journal_mode=WAL").fetchall()
        connection.execute("PRAGMA synchronous=FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _trial(root: Path, point: int, spell: int, name: str) -> tuple[list[str], Counter[str]]:
    """One device that fails from the n-th statement on, and heals."""
    device = Device(root)
    device.means = replace(device.means, open_writer=_opened)
    store = device.start()
    store.append(samples(0, BEFORE))
    side = Side(device, store)
    Dying.left, Dying.failures, Dying.name = point, spell, name
    side.tick(DURING)
    Dying.left = None
    side.finish()
    wrong = judge(device, side)
    side.store.close()
    shutil.rmtree(root)
    return wrong, side.failed


@pytest.mark.heavy
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["SQLITE_IOERR_WRITE", "SQLITE_IOERR_FSYNC", "SQLITE_IOERR_READ"])
def test_an_error_at_every_statement(fast: Path, name: str) -> None:
    """Begin, insert, commit, checkpoint, reopen: wherever the device fails, no tick is missing."""
    failed: Counter[str] = Counter()
    for point in range(0, POINTS, 1 if name.endswith("FSYNC") else 3):
        for spell in SPELLS:
            wrong, how = _trial(fast / "dying", point, spell, name)
            assert not wrong, (name, point, spell, wrong)
            failed += how
    assert failed, "no statement failed"


def test_negative_control_a_ring_that_forgets(fast: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was refused is not taken back: the same sum does not come out."""
    monkeypatch.setattr(Ring, "failed", Ring.stored)
    assert _trial(fast / "dying", 3, 3, "SQLITE_IOERR_WRITE")[0]


@pytest.mark.heavy
@pytest.mark.skipif(why_no_cut() is not None, reason=f"no ext4 of our own: {why_no_cut()}")
def test_a_file_system_that_becomes_read_only(tmp_path: Path) -> None:
    """The kernel finds an error: memory takes the rows, the spool can be read, all is told after.

    A hundred ticks, of which the ring holds forty: the others become one gap row.
    """
    done = subprocess.run(
        [*INSIDE, sys.executable, "-m", "tests.faults.disk.emergency", str(tmp_path)],
        capture_output=True, check=False, cwd=REPOSITORY, timeout=100,
    )  # fmt: skip
    if "trigger_fs_error" in done.stderr.decode():
        pytest.skip("this kernel makes up no errors (trigger_fs_error)")
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    found = json.loads(done.stdout)
    assert found["stored_meanwhile"] == 0
    assert found["waiting"] == RING_ROWS
    assert found["dropped"] == 100 - RING_ROWS
    assert found["readable"] == BEFORE + 4
    assert "read" in found["trouble"] or "I/O" in found["trouble"]
    assert found["wrong"] == []
