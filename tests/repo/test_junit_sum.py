"""The last line of .ci/run tells the truth."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.repo.source import ROOT

_REPORT = '<testsuites><testsuite tests="{}" errors="{}" failures="{}" skipped="{}"/></testsuites>'


@pytest.mark.parametrize(
    ("reports", "failed_steps", "line", "status"),
    [
        ([(10, 0, 0, 2), (5, 0, 0, 0)], 0, "13 passed, 0 failed, 2 skipped", 0),
        ([(10, 1, 2, 0), (5, 0, 0, 0)], 1, "12 passed, 3 failed, 0 skipped", 1),
        ([(10, 0, 0, 0)], 1, "10 passed, 1 failed, 0 skipped", 1),
        ([(10, 1, 0, 0)], 2, "9 passed, 2 failed, 0 skipped", 1),
        ([], 0, "0 passed, 0 failed, 0 skipped", 1),
    ],
)
def test_suites_and_failed_steps_are_added_up(
    tmp_path: Path, reports: list[tuple[int, ...]], failed_steps: int, line: str, status: int
) -> None:
    """Errors are failures, a failed step without a failed test is one, nothing is no pass."""
    for number, counts in enumerate(reports):
        (tmp_path / f"{number}.xml").write_text(_REPORT.format(*counts))
    done = subprocess.run(
        [sys.executable, ROOT / "tests/tools/junit_sum.py", tmp_path, str(failed_steps)],
        capture_output=True, text=True, check=False,
    )
    assert (done.stdout.strip(), done.returncode) == (line, status)
