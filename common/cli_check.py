"""What a ``check`` command finds, stage by stage, and how it is shown."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from common import __version__
from common.redaction import SECRETS


@dataclass(frozen=True, slots=True)
class Result:
    """What one stage found.

    Attributes:
        stage: its name.
        ok: whether it passed.
        message: what was found.
        code: ``stage.reason`` of a failure, to look up in the documentation; "" when it passed.
        remedy: what to do, or "".
        exit_status: of the command when this stage failed.
    """

    stage: str
    ok: bool
    message: str
    code: str = ""
    remedy: str = ""
    exit_status: int = 0

    @property
    def line(self) -> str:
        """For a person; a remedy stands on a line of its own."""
        if self.ok:
            return f"[OK]   {self.stage}: {self.message}"
        text = f"[FAIL] {self.stage}: {self.message} ({self.code})"
        return f"{text}\n       Try: {self.remedy}" if self.remedy else text

    @property
    def shown(self) -> dict[str, Any]:
        """For ``--json``."""
        names = ("stage", "ok", "message", "code", "remedy")
        return {name: getattr(self, name) for name in names}


def report(found: Iterable[Result], *, as_json: bool) -> int:
    """Print results as they come, or all of them as one JSON object.

    Returns:
        The exit status of the first stage that failed, or 0.
    """
    results: list[Result] = []
    for result in found:
        results.append(result)
        if not as_json:
            print(SECRETS.clean(result.line), flush=True)
    failed = next((result for result in results if not result.ok), None)
    if as_json:
        told = {
            "ok": failed is None,
            "version": __version__,
            "stages": [result.shown for result in results],
        }
        print(SECRETS.clean(json.dumps(told, ensure_ascii=False, indent=2)))
    return 0 if failed is None else failed.exit_status
