"""A process that does to a spool what both services do, as fast as it can, until it is killed.

Append, expose, acknowledge, upkeep with its trims, in a loop: all of it the product's own code. The
negative control opens the files with ``synchronous=NORMAL``; the product itself cannot.
"""

import os
from pathlib import Path
from random import Random
from typing import Final

from collector.spool.options import Limits, Means, Names, SpoolOptions
from collector.spool.store import open_and_settle
from collector.spool.upkeep import Upkeep
from common.clock import SystemClock
from common.database import Opener, open_writer
from common.ship_state import Acknowledgement
from shipper.ledger import Ledger
from tests.demo.process import _end_with_parent
from tests.tools.spools import HARDWARE, samples

GROUP_ROWS_MAX: Final = 10
UPKEEP_EVERY: Final = 8
LIMITS: Final = Limits(cap_bytes=8 * 1024 * 1024, retain_rows=100)


def write(directory: Path, runtime: Path, seed: int, opener: Opener = open_writer) -> None:
    """Work on a spool for ever.

    Args:
        directory: the spool's.
        runtime: for the position record.
        seed: of the sizes of groups.
        opener: opens both files for writing.
    """
    options = SpoolOptions(directory, Names("pi", "pi", "0"), HARDWARE, LIMITS, runtime)
    store = open_and_settle(options, SystemClock(), Means(open_writer=opener))
    ledger = Ledger(directory, opener=opener)
    ledger.settle(store.install, store.clock.realtime_ns())
    upkeep, random, turn = Upkeep(store), Random(seed), store.last_seq
    while True:
        stored = store.append(samples(turn, random.randint(1, GROUP_ROWS_MAX)))
        turn += len(stored)
        ledger.expose(store.epoch, stored[-1])
        if turn % UPKEEP_EVERY == 0:
            acknowledged = Acknowledgement(None, store.epoch, stored[0])
            ledger.acknowledge(acknowledged, rows_inserted=0, rows_error=0)
            upkeep.run()


def fork_writer(directory: Path, runtime: Path, seed: int, opener: Opener) -> int:
    """Start it as a child without a new interpreter; returns its process id.

    The caller has no database open: a connection must not be carried over a fork.
    """
    child = os.fork()
    if child == 0:
        status = 70
        try:
            _end_with_parent()
            write(directory, runtime, seed, opener)
        except BaseException:  # noqa: BLE001 - a child of a fork must not return into its parent
            status = 1
        finally:
            os._exit(status)
    return child
