"""An audit for a person: a table of epochs, then a line for each finding, then the verdict."""

import textwrap
from collections.abc import Sequence
from typing import Final

from shipper.audit.facts import EpochCount, Facts, Range
from shipper.audit.finding import Finding, Level
from shipper.audit.judge import Audit
from shipper.text import grouped

EPOCHS_MAX: Final = 12
"""Epochs that are shown one by one; of more, the older ones are summed up."""
_COLUMNS: Final = 100
_LABEL: Final = 13
_HEAD: Final[tuple[str, ...]] = (
    "epoch", "first seq", "last seq", "trimmed", "acked", "exposed", "waiting", "told", "missing",
    "letters",
)


def text(found: Audit) -> str:
    """The report."""
    install = found.facts.spool.install
    lines = [f"{'install':<{_LABEL}}{install.install_id}   channel {install.channel}", ""]
    lines += table(found.facts)
    for reason, count in sorted(found.facts.spool.between.items()):
        lines.append(f"between epochs {grouped(count)} numbers told by gap rows: {reason}")
    lines.append("")
    for finding in found.findings:
        lines += _lines(finding)
    if found.unasked:
        lines += _wrapped(f"{'-':<{_LABEL}}", f"server: {found.unasked}")
    lines += ["", found.verdict]
    return "\n".join(lines)


def table(facts: Facts) -> list[str]:
    """The epochs with their counts, in columns; letters are the numbers that dead letters hold."""
    epochs = facts.spool.epochs
    older, shown = epochs[:-EPOCHS_MAX], epochs[-EPOCHS_MAX:]
    cells = [_HEAD]
    if older:
        first, last = older[0].given.first, older[-1].given.last
        cells.append(_row(f"{len(older)} older", Range(first, last), older, facts))
    cells += [_row(e.epoch, e.given, [e], facts) for e in shown]
    widths = [max(len(row[i]) for row in cells) for i in range(len(_HEAD))]
    lines = []
    for row in cells:
        right = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join([row[0].ljust(widths[0]), *right]))
    return lines


def _row(
    name: str, given: Range, found: Sequence[EpochCount], facts: Facts
) -> tuple[str, ...]:
    sums = (
        sum(c.trimmed for c in found),
        sum(c.acknowledged for c in found),
        sum(c.exposed for c in found),
        sum(c.waiting for c in found),
        sum(sum(c.told.values()) for c in found),
        sum(c.missing for c in found),
        sum(facts.letters_of(c.epoch, form) for c in found for form in ("row", "range")),
    )
    ends = (str(given.first), str(given.last) if given.size > 0 else "-")
    return (name, *ends, *(grouped(n) if n else "-" for n in sums))


def _lines(finding: Finding) -> list[str]:
    """One finding; what to do stands on a line of its own, below those that need it."""
    lines = _wrapped(f"{finding.level.value:<{_LABEL}}", finding.text)
    if finding.remedy and finding.level is not Level.OK:
        lines += _wrapped(" " * _LABEL, f"Try: {finding.remedy}")
    return lines


def _wrapped(label: str, found: str) -> list[str]:
    """A text behind its label, broken at words; long words stay whole."""
    return textwrap.wrap(
        found, _COLUMNS, initial_indent=label, subsequent_indent=" " * _LABEL,
        break_long_words=False, break_on_hyphens=False,
    )
