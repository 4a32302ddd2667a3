"""Waits that can be foretold, a batch and an empty window: what tests of the protocol share."""

from dataclasses import replace

from common.identity import Position
from shipper.protocol.batch import Batch
from shipper.protocol.limits import Limits
from shipper.protocol.pacing import Delays, Pacing
from shipper.protocol.window import Counters, Window

LIMITS = Limits(batch_rows=10)
BATCH = Batch("e", Position(1, 1), Position(1, 8), 8, 8, b"", 6000, "t1", "t8", "id")
ROW = replace(BATCH, rows=1, samples=1)


def pacing() -> Pacing:
    """Waits that can be foretold: 2, 4, 8 and so on, and 100, 200, 300."""
    return Pacing(LIMITS, Delays(lambda n: 2.0**n, lambda n: 100.0 * n))


def window() -> Window:
    """An empty one behind row 0."""
    return Window(None, Position(0, 0), "", 0, Counters(0, 0))
