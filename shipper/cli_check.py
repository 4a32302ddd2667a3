"""Prints what ``thermal-shipper check`` finds: a line a stage, or one JSON object."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from common.cli_check import Result, report
from common.clock import SystemClock
from common.errors import UsageError
from common.redaction import SECRETS
from shipper.check import EXIT_NOT_COMMITTED, Check, run_stage
from shipper.check_rows import TestRows

ROWS_MAX: Final = 100


def check(
    config: Path, stop: threading.Event, rows: int, pipe: str | None, as_json: bool
) -> int:
    """Run the stages and print them.

    Raises:
        UsageError: ``rows`` is out of bounds.
    """
    if not 0 <= rows <= ROWS_MAX:
        raise UsageError(f"--send-test {rows}: expected 1 to {ROWS_MAX}", hint="--send-test 3")
    checked = Check(config, SystemClock(stop), SECRETS.hide, pipe)
    try:
        return report(_all(checked, rows), as_json=as_json)
    finally:
        checked.close()


def _all(checked: Check, rows: int) -> Iterator[Result]:
    """All stages, until one fails."""
    result = None
    for result in checked.stages():
        yield result
    if rows == 0 or result is None or not result.ok:
        return
    test = TestRows(checked, rows)
    result = run_stage("channel", test.open_and_send, EXIT_NOT_COMMITTED)
    yield result
    if result.ok:
        yield run_stage("commit", test.wait, EXIT_NOT_COMMITTED)
