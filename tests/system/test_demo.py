"""``make demo`` itself: it comes up, it is short on words, it judges, it cleans up."""

import re
from pathlib import Path

import pytest

from tests.system.support import needs_file_bus, python

LINE = re.compile(
    r"taken \d+ · stored (\d+) · committed (\d+) · lost 0 · duplicated 0 · "
    r"unstored ticks \d+, all in gap rows"
)


def _demo(*words: str | Path) -> str:
    done = python("-m", "tests.demo", *words, limit_s=90)
    assert done.returncode == 0, done.stdout + done.stderr
    found = LINE.search(done.stdout)
    assert found is not None, done.stdout
    assert found[1] == found[2] != "0"
    return done.stdout


@needs_file_bus
def test_the_demo_keeps_the_promise(tmp_path: Path) -> None:
    """A short run with kills of both on the bus that is a file; its files stay where asked."""
    said = _demo("--seconds", "7", "--kills", "2", "--seed", "1", "--keep", tmp_path / "kept")
    assert "I2C bus: a file" in said
    assert (tmp_path / "kept" / "spool" / "spool.db").exists()
    assert (tmp_path / "kept" / "server" / "rows.db").exists()
    assert str(tmp_path) not in Path("/proc/mounts").read_text()


@pytest.mark.heavy
def test_the_demo_runs_without_fuse() -> None:
    """Where a bus cannot be a file the demo says so aloud, and proves the same."""
    assert "NOT a file" in _demo("--seconds", "8", "--kills", "2", "--seed", "2", "--no-file-bus")


@pytest.mark.parametrize("words", [("--kills", "-1"), ("--seconds", "1"), ("--interval", "0.01")])
def test_wrong_words_are_refused(words: tuple[str, str]) -> None:
    """A number out of its bounds is refused with the bound."""
    done = python("-m", "tests.demo", *words)
    assert done.returncode == 2
    assert "expected" in done.stderr


def test_help_teaches() -> None:
    """--help says what happens, what stays, and what the exit status means."""
    said = python("-m", "tests.demo", "--help").stdout
    for word in ("SIGKILL", "examples:", "--keep DIR", "exit status: 0"):
        assert word in said
