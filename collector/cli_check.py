"""Prints what ``thermal-collector check`` finds: a line a stage, or one JSON object."""

import json
import threading
from pathlib import Path

from collector.checking import Result, stages
from common import __version__
from common.clock import SystemClock


def check(config: Path, stop: threading.Event, *, as_json: bool) -> int:
    """Run the stages and print them; the status is that of the first failure."""
    results: list[Result] = []
    for result in stages(config, SystemClock(stop)):
        results.append(result)
        if not as_json:
            print(line(result), flush=True)
    failed = next((result for result in results if not result.ok), None)
    if as_json:
        report = {
            "ok": failed is None,
            "version": __version__,
            "stages": [result.shown() for result in results],
        }
        print(json.dumps(report, ensure_ascii=False, indent=2))
    return 0 if failed is None else failed.exit_status


def line(result: Result) -> str:
    """One stage for a person; a remedy stands on a line of its own."""
    if result.ok:
        return f"[OK]   {result.stage}: {result.message}"
    text = f"[FAIL] {result.stage}: {result.message} ({result.code})"
    return f"{text}\n       Try: {result.remedy}" if result.remedy else text
