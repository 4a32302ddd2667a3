"""The watermarks, and the one order that they never break."""

from dataclasses import dataclass
from itertools import pairwise

from common.identity import Position
from shipper.protocol.errors import LocalProtocolError


@dataclass(frozen=True, slots=True)
class Marks:
    """Positions (epoch order, seq); all rows up to each are what its name says.

    ``acknowledged ≤ committed ≤ accepted ≤ exposed ≤ stored``; ``trimmed ≤ acknowledged`` is the
    collector's, which checks it in the transaction that trims.

    Raises:
        LocalProtocolError: the order is broken.
    """

    acknowledged: Position
    committed: Position
    accepted: Position
    exposed: Position
    stored: Position

    def __post_init__(self) -> None:
        order = (self.acknowledged, self.committed, self.accepted, self.exposed, self.stored)
        if any(low > high for low, high in pairwise(order)):
            raise LocalProtocolError(f"watermarks out of order: {self}")
