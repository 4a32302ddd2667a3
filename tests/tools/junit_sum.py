"""Adds up the JUnit reports of all suites and prints ``N passed, N failed, N skipped``.

Runs under any Python 3, without packages: it must also tell that the environment could not be made.
"""

import sys
import xml.etree.ElementTree as ET
from pathlib import Path


def add_up(directory: Path, failed_steps: int) -> tuple[int, int, int]:
    """Passed, failed and skipped over all reports; an error is a failure.

    Args:
        directory: where the reports are.
        failed_steps: steps that failed. One without a failed test in a report (style, types, the
            demo, a crash) counts as one failure, or the sum would lie.
    """
    passed = failed = skipped = 0
    for report in directory.glob("*.xml"):
        before = failed
        for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 - likewise
            counts = {key: int(suite.get(key, 0)) for key in ("errors", "failures", "skipped")}
            broken = counts["errors"] + counts["failures"]
            failed += broken
            skipped += counts["skipped"]
            passed += int(suite.get("tests", 0)) - broken - counts["skipped"]
        failed_steps -= failed > before
    return passed, failed + max(0, failed_steps), skipped


def main(arguments: list[str]) -> int:
    """Print the sum; the status is 1 when a test or a step failed, or when nothing ran at all.

    Args:
        arguments: directory of the reports, number of steps that failed.
    """
    passed, failed, skipped = add_up(Path(arguments[0]), int(arguments[1]))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
