"""What is wrong with a disk just now: a full one, one that fails, one that is slow."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Faults:
    """Faults that stay until others are set.

    Attributes:
        bytes_max: size of the disk; a write beyond it is ENOSPC.
        errors: error number by the kind of operation, such as ``{"sync": 5}``; it is answered
            instead of doing it. ``read`` is a kind too.
        slow_sync_s: how long each barrier takes.
    """

    bytes_max: int = 1 << 30
    errors: Mapping[str, int] = field(default_factory=dict)
    slow_sync_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Order:
    """What a disk is told by its control file.

    Attributes:
        generation: number of the disk's life; a greater one than before is a power cut.
        image: directory that it holds from then on; empty: nothing.
        log: file that it notes its operations in from then on.
        faults: see ``Faults``.
    """

    generation: int
    image: str
    log: str
    faults: Faults = Faults()

    def text(self) -> str:
        """As it stands in the file."""
        return json.dumps(
            {
                "generation": self.generation,
                "image": self.image,
                "log": self.log,
                "bytes_max": self.faults.bytes_max,
                "errors": dict(self.faults.errors),
                "slow_sync_s": self.faults.slow_sync_s,
            }
        )

    @staticmethod
    def parse(text: str) -> "Order":
        """See ``text``."""
        told: dict[str, Any] = json.loads(text)
        faults = Faults(told["bytes_max"], told["errors"], told["slow_sync_s"])
        return Order(told["generation"], told["image"], told["log"], faults)


def first_number(generation: int) -> int:
    """The first number for files of one life of a disk.

    Each life numbers them anew, so that nothing which the kernel knows of an earlier one is found.
    """
    return generation << 32
