"""From facts to findings: what device and server say together, and what nobody explains.

Pure: no file, no network, no clock. A line is explained, waits for what will happen by itself, is
left to ``audit.sql`` (the device has trimmed what would prove it), or is unexplained.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from shipper.audit.channel import channel
from shipper.audit.device import device
from shipper.audit.facts import EpochCount, Facts
from shipper.audit.finding import Finding, Level


@dataclass(frozen=True, slots=True)
class Audit:
    """The whole answer.

    Attributes:
        facts: what it rests on.
        findings: one line each.
        unasked: why the server was not asked; "": it was.
    """

    facts: Facts
    findings: tuple[Finding, ...]
    unasked: str = ""

    @property
    def unexplained(self) -> int:
        """How many lines somebody must look at."""
        return sum(finding.level is Level.UNEXPLAINED for finding in self.findings)

    @property
    def verdict(self) -> str:
        """The one line that a person waits for."""
        if self.unexplained:
            return f"{self.unexplained} UNEXPLAINED"
        left = ", ".join(
            f"{count} {level.value}" for level, count in self._levels().items()
            if level is not Level.OK
        )
        asked = "" if self.facts.server is not None else "; the server was not asked"
        return f"nothing unexplained{f' ({left})' if left else ''}{asked}"

    def _levels(self) -> dict[Level, int]:
        counts = Counter(finding.level for finding in self.findings)
        return {level: counts[level] for level in Level if counts[level]}

    @property
    def shown(self) -> dict[str, Any]:
        """For ``--json``."""
        spool, server = self.facts.spool, self.facts.server
        status = None if server is None else server.status
        return {
            "ok": not self.unexplained,
            "verdict": self.verdict,
            "install_id": spool.install.install_id,
            "channel": spool.install.channel,
            "epochs": [_epoch(epoch, self.facts) for epoch in spool.epochs],
            "between_epochs": dict(spool.between),
            "server": None if server is None else {
                "target": server.target,
                "token": status and status.committed,
                "created_on_ms": status and status.created_on_ms,
                "rows_inserted": status and status.rows_inserted,
                "rows_parsed": server.rows_parsed,
                "rows_error": status and status.rows_error,
                "rows_sent_since_acknowledged": server.sent_since,
            },
            "server_not_asked": self.unasked or None,
            "findings": [finding.shown for finding in self.findings],
        }


def judge(facts: Facts, unasked: str = "") -> Audit:
    """Hold everything against everything.

    Args:
        facts: as they were read.
        unasked: why there are no facts of the server.
    """
    findings = list(device(facts))
    if facts.server is not None:
        findings += channel(facts, facts.server)
    return Audit(facts, tuple(findings), unasked)


def _epoch(count: EpochCount, facts: Facts) -> dict[str, Any]:
    return {
        "epoch": count.epoch,
        "first_seq": count.given.first,
        "last_seq": count.given.last if count.given.size > 0 else None,
        "trimmed": count.trimmed,
        "acknowledged": count.acknowledged,
        "exposed": count.exposed,
        "waiting": count.waiting,
        "told": dict(count.told),
        "missing": count.missing,
        "dead_letters": {form: facts.letters_of(count.epoch, form) for form in ("row", "range")},
    }
