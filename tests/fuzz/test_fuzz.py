"""Coverage-guided fuzzing of every parser that reads what others wrote; a short run of each."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import pytest

from tests.fuzz import answers, bus, files, planted
from tests.fuzz.cursor import pieces

SECONDS: Final = 6
TARGETS: Final = {**answers.SEEDS, **bus.SEEDS, **files.SEEDS}
DEEP: Final = b"[" * 200_000
"""Too long to be found by chance: the decoder's recursion ends before its memory."""

needs_atheris = pytest.mark.skipif(
    find_spec("atheris") is None, reason="atheris has no wheel for this Python or machine"
)


def fuzz(target: str, keep: Path) -> tuple[int, str]:
    """A short run; its exit status and output."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", target, "--seconds", str(SECONDS), "--keep", keep],
        capture_output=True, text=True, timeout=SECONDS + 60, check=False,
    )
    return done.returncode, done.stdout + done.stderr


def survives(target: answers.Target, data: bytes) -> bool:
    """Whether a target finds nothing in an input; what it raises is the finding."""
    target(data)
    return True


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_seeds_pass(target: answers.Target) -> None:
    """Every seed of the corpus, and JSON that is nested too deeply wherever JSON is read."""
    deep = (b"", DEEP, b'{"a":' + DEEP, b"\0\0\0\0" + pieces(b"", b"", DEEP))
    assert all(survives(target, data) for data in (*TARGETS[target], *deep))


@needs_atheris
@pytest.mark.heavy
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.__name__)
def test_nothing_is_found(target: answers.Target, tmp_path: Path) -> None:
    """Only the declared errors come out, whatever goes in; and coverage did guide the run."""
    status, said = fuzz(target.__name__, tmp_path)
    assert status == 0, said[-3000:]
    (covered,) = re.findall(r"DONE\s+cov: (\d+)", said)
    assert int(covered) > 10, said[-1000:]


@needs_atheris
def test_a_planted_mistake_is_found(tmp_path: Path) -> None:
    """Negative control: a token parser that is too kind is found out within seconds."""
    status, said = fuzz(planted.lenient_token.__name__, tmp_path)
    assert status != 0
    assert "is read as" in said
    assert list(tmp_path.glob("crash-*"))
