"""Prints what ``thermal-collector check`` finds: a line a stage, or one JSON object."""

import threading
from pathlib import Path

from collector.checking import stages
from common.cli_check import report
from common.clock import SystemClock


def check(config: Path, stop: threading.Event, *, as_json: bool) -> int:
    """Run the stages and print them; the status is that of the first failure."""
    return report(stages(config, SystemClock(stop)), as_json=as_json)
