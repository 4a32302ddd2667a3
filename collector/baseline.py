"""Keeps the SGP30's baseline on the disk: a restart must not cost its twelve hours of learning.

The chip's own rules (whose it is, how old it may be) are the driver's. Here is only the file, and
the question how old its content is: exactly known within one boot; else only if the wall clock was
synchronised both when it was saved and now. An age that nobody knows is too old.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from collector.drivers.sgp30_baseline import Baseline
from collector.stamp import Stamp
from common.strict_json import read_json

FILE: Final = "sgp30-baseline.json"
_FORMAT: Final = 1
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class SavedBaseline:
    """A baseline with all that tells its age.

    Attributes:
        baseline: the words, and whose they are.
        boot_id: boot that saved it.
        boottime_ns: when, in that boot.
        realtime_ns: when, by the wall clock.
        synced: whether that clock was synchronised.
    """

    baseline: Baseline
    boot_id: str
    boottime_ns: int
    realtime_ns: int
    synced: bool

    def age_s(self, now: Stamp, boot_id: str) -> float | None:
        """Seconds since it was saved; ``None`` when no clock can tell."""
        if self.boot_id == boot_id:
            return (now.boottime_ns - self.boottime_ns) / _NS
        if self.synced and now.synced:
            return (now.realtime_ns - self.realtime_ns) / _NS
        return None


class BaselineFile:
    """The file beside the spool.

    Args:
        directory: the spool's directory.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE

    def load(self) -> SavedBaseline | None:
        """What was saved; ``None`` when there is nothing, or nothing that can be understood."""
        try:
            raw = read_json(self.path.read_bytes())
            if raw["format"] != _FORMAT:
                return None
            return SavedBaseline(
                Baseline(**raw["baseline"]),
                str(raw["boot_id"]),
                int(raw["boottime_ns"]),
                int(raw["realtime_ns"]),
                bool(raw["synced"]),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, baseline: Baseline, now: Stamp, boot_id: str) -> SavedBaseline:
        """Replace the file in one step: a power cut leaves the old one or the new one.

        Raises:
            OSError: it could not be written; the old one is untouched.
        """
        saved = SavedBaseline(baseline, boot_id, now.boottime_ns, now.realtime_ns, now.synced)
        content = {"format": _FORMAT, **asdict(saved)}
        new = self.path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump(content, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)
        directory = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return saved
