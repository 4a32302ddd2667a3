"""One line of an audit: what was held against what, and whether it is explained."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from shipper.audit.facts import Ranges
from shipper.text import grouped


class Level(StrEnum):
    """How sure a line is."""

    OK = "ok"
    """Both sides say the same."""
    EXPLAINED = "explained"
    """They differ, and it is known why."""
    WAITING = "waiting"
    """It will settle by itself while the services run."""
    TABLE = "audit.sql"
    """Only the table can tell: the device has let go of what would prove it."""
    UNEXPLAINED = "unexplained"
    """Somebody must look."""


@dataclass(frozen=True, slots=True)
class Finding:
    """See the module.

    Attributes:
        code: name for scripts, such as ``spool.missing``.
        text: what was found, with its values.
        remedy: what to do; "" when there is nothing to do.
    """

    level: Level
    code: str
    text: str
    remedy: str = ""

    @property
    def shown(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def named(ranges: Ranges) -> str:
    """The count, and the first ranges by their numbers."""
    shown = ", ".join(
        str(found.first) if found.first == found.last else f"{found.first} … {found.last}"
        for found in ranges.shown[:5]
    )
    named_count = sum(found.size for found in ranges.shown[:5])
    return f"{grouped(ranges.count)} (seq {shown}{', …' if named_count < ranges.count else ''})"
