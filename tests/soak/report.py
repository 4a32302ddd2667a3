"""The figures of a soak, as a table between two marks of a document."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.soak.section import Section
from tests.soak.state import Done

BEGIN: Final = "<!-- figures of the soak: begin -->"
END: Final = "<!-- figures of the soak: end -->"
_HEADING: Final = "# Guarantees\n\n## Figures of the last soak\n"


def table(sections: Sequence[Section], done: Mapping[str, Done], heading: str) -> str:
    """The figures for people.

    Args:
        sections: in the order of the table.
        done: by section; one that was not begun is left out.
        heading: when, and on what.
    """
    lines = [heading, "", "| proof | figure | value |", "|---|---|---:|"]
    for section in sections:
        found = done.get(section.name)
        if found is None or not found.pieces:
            continue
        figures = {section.unit: found.counts[section.unit], "violations": len(found.violations)}
        rest = {k: v for k, v in sorted(found.counts.items()) if k not in figures}
        for name, value in (figures | rest).items():
            lines.append(f"| {section.title} | {name} | {value:,} |")
        lines.append(f"| {section.title} | pieces, from number 0 | {found.pieces:,} |")
        lines.append(f"| {section.title} | minutes | {found.seconds / 60:,.1f} |")
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    """Put the table between the marks; the rest of the document stays as it is.

    Raises:
        ValueError: it has one of the marks only, or they are the wrong way round.
    """
    old = path.read_text() if path.exists() else f"{_HEADING}\n{BEGIN}\n{END}\n"
    if BEGIN not in old and END not in old:
        old = f"{old.rstrip()}\n\n## Figures of the last soak\n\n{BEGIN}\n{END}\n"
    before, begin, rest = old.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end or BEGIN in inside + after or END in before + after:
        raise ValueError(f"{path}: expected one {BEGIN} and one {END} behind it")
    path.write_text(f"{before}{BEGIN}\n{text}{END}{after}")
