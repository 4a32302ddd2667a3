"""The position of the last commit, kept where a restored spool cannot take it along.

The file lies in the runtime directory, on tmpfs: it ends with the boot. A spool that was restored
from a copy within the same boot has the right boot id but not this position, and gets a new epoch.
"""

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from common.strict_json import read_json

POSITION_FILE: Final = "spool-position.json"


@dataclass(frozen=True, slots=True)
class PositionRecord:
    """Where the last commit left the spool.

    Attributes:
        boot_id: the boot it was written in.
        device: st_dev of ``spool.db``.
        inode: st_ino of ``spool.db``.
        install_id: install of the spool.
        epoch: newest epoch.
        last_seq: greatest seq stored.
    """

    boot_id: str
    device: int
    inode: int
    install_id: str
    epoch: str
    last_seq: int


def read_record(runtime_directory: Path | None) -> PositionRecord | None:
    """The record of this boot's last commit; ``None``: there is none that can be read."""
    if runtime_directory is None:
        return None
    try:
        told = read_json((runtime_directory / POSITION_FILE).read_bytes())
        return PositionRecord(**told)
    except (OSError, ValueError, TypeError):
        return None


def write_record(runtime_directory: Path | None, record: PositionRecord) -> None:
    """Replace the record; a failure removes it, which at the next start means a new epoch."""
    if runtime_directory is None:
        return
    path = runtime_directory / POSITION_FILE
    fresh = path.with_suffix(".new")
    try:
        fresh.write_text(json.dumps(asdict(record)))
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
