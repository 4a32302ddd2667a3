"""Prints ``thermal-shipper status``: lines, one JSON object, or a screen that renews itself."""

import json
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Final

from common.config import load
from common.redaction import SECRETS
from shipper.status import Status, look
from shipper.text import grouped

WATCH_S: Final = 2.0
_BARS: Final = "▁▂▃▄▅▆▇█"
_POINTS: Final = 60
_LABELS: Final = {
    "running": "running", "state": "state", "channel": "channel", "backlog_rows": "backlog",
    "oldest_taken_at": "oldest waiting", "stored": "stored", "acknowledged": "acknowledged",
    "exposed": "exposed", "last_commit": "last commit", "dead_letters": "dead letters",
    "last_error": "last error",
}


def status(config: Path, stop: threading.Event, *, as_json: bool, watch: bool) -> int:
    """Look and print; with ``watch`` again and again until stopped."""
    settings = load(config)
    history: deque[int] = deque(maxlen=_POINTS)
    while True:
        found = look(settings)
        history.append(found.backlog_rows or 0)
        if watch and sys.stdout.isatty() and not as_json:
            sys.stdout.write("\x1b[H\x1b[2J")
        print(SECRETS.clean(_json(found) if as_json else text(found, history)), flush=True)
        if not watch or stop.wait(WATCH_S):
            return 0


def _json(found: Status) -> str:
    return json.dumps(found.shown(), ensure_ascii=False)


def text(found: Status, history: "deque[int] | None" = None) -> str:
    """The status for a person; a line each, what is not known as a dash."""
    lines = [f"{label:<15} {_value(getattr(found, name))}" for name, label in _LABELS.items()]
    if found.events:
        told = ", ".join(f"{kind} x{count}" for kind, count in sorted(found.events.items()))
        lines.append(f"{'events':<15} {told}")
    if history is not None and len(history) > 1:
        lines.append(f"{'backlog':<15} {sparkline(history)}")
    lines += [f"{'problem':<15} {problem}" for problem in found.problems]
    return "\n".join(lines)


def sparkline(values: "deque[int]") -> str:
    """Numbers as a row of bars, the greatest one full."""
    top = max(*values, 1)
    return "".join(_BARS[value * (len(_BARS) - 1) // top] for value in values)


def _value(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return grouped(value) if isinstance(value, int) else str(value)
