"""The installed collector with one planted mistake: commits that do not wait for the card.

    python -m tests.faults.power.relaxed_collector run --config FILE

For negative controls; the product has no such switch.
"""

import sys

import common.database
from tests.faults.power.relaxed import open_relaxed

common.database.open_writer = open_relaxed

from collector.cli import main  # noqa: E402 - what is imported now finds the mistake

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
