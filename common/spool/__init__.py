"""The spool: the durable rows between the two services.

Constraints
    One process writes (the collector), the other reads. A row is stored whole and never changed.
    ``seq`` grows by one over all epochs of an install and is never used twice; holes are explained
    by gap rows. A row leaves only after it was committed by the server, or in the same transaction
    that stores the gap row telling so. With WAL and ``synchronous=FULL``, what the reader can see
    is on the card.

On disk
    ``spool.db``: install, epochs, origins, boots, readings, trimmed, events, state; see
    ``common.spool.migrate``. An epoch's record never changes either: where it ends is written into
    the record of the next one.

After a crash
    A transaction is there or not. Which rows the server has is asked at the next open; nothing in
    the spool depends on how far a send had come.
"""

from common.database import (
    SpoolAbsent,
    SpoolCorrupt,
    SpoolFull,
    SpoolNewer,
    SpoolReplaced,
)
from common.errors import SpoolError

__all__ = [
    "SpoolAbsent",
    "SpoolCorrupt",
    "SpoolError",
    "SpoolFull",
    "SpoolNewer",
    "SpoolReplaced",
]
