"""Fill a spool directory with rows that nobody has sent yet, through the product's own code.

``python -m tests.tools.fill_spool DIRECTORY ROWS [--seed N]``: for tests of memory, speed and long
outages. The rows are those of one boot, 5 s apart, with a day's rhythm, noise and some failures.
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

from collector.spool.options import Limits, Names, SpoolOptions
from collector.spool.store import open_and_settle
from common import __version__
from common.clock import SystemClock
from common.columns import Scalar
from common.identity import ABSENT, Hardware
from common.spool.row import NewRow, new_row

GROUP_ROWS = 2000
INTERVAL_S = 5
CAP_BYTES = 1 << 36


def rows(count: int, seed: int, now_us: int, boottime_ns: int) -> Iterator[NewRow]:
    """Realistic samples that end now.

    Args:
        count: how many.
        seed: same seed, same rows.
        now_us: wall clock of the last of them, UTC, µs.
        boottime_ns: uptime of the last of them; earlier ones are never before the boot.
    """
    random = Random(seed)
    statuses = [json.dumps({"scd4x": s, "icp10125": "ok", "sgp30": "ok"}) for s in ("ok", "nack")]
    for i in range(count):
        back = count - 1 - i
        taken_at = now_us - back * INTERVAL_S * 1_000_000
        day = math.sin(taken_at / 86_400e6 * math.tau)
        silent = random.random() < 0.001
        values: dict[str, Scalar] = {
            "taken_at": taken_at,
            "clock_synced": 1,
            "boottime_ns": max(0, boottime_ns - back * INTERVAL_S * 10**9),
            "scd4x_co2_ppm": None if silent else 600.0 + round(150 * day + random.gauss(0, 12)),
            "scd4x_temperature_c": None if silent else 21.0 + 2 * day + random.gauss(0, 0.05),
            "scd4x_humidity_percent": None if silent else 45.0 - 8 * day + random.gauss(0, 0.3),
            "icp10125_pressure_pa": 101_325.0 + 300 * day + random.gauss(0, 2),
            "icp10125_temperature_c": 21.4 + 2 * day + random.gauss(0, 0.02),
            "sgp30_eco2_ppm": 400.0 + abs(random.gauss(0, 30)) // 1,
            "sgp30_tvoc_ppb": abs(random.gauss(20, 10)) // 1,
            "cpu_temperature_c": 48.0 + 3 * day + random.gauss(0, 0.5),
            "cpu_percent": min(100.0, abs(random.gauss(6, 3))),
            "memory_percent": 31.0 + random.gauss(0, 0.2),
            "disk_free_mb": 21_000.0 - i / 1000,
            "quality": "PARTIAL" if silent else "VALID",
            "sensor_status": statuses[silent],
            "kind": "sample",
        }
        yield new_row(values)


def fill(directory: Path, count: int, seed: int, hardware: Hardware) -> float:
    """Store that many rows; returns the seconds it took.

    The serial numbers must be those that the services will see, or they start a new install.

    Raises:
        SpoolError: they cannot be stored.
    """
    clock = SystemClock()
    options = SpoolOptions(
        directory,
        Names("filled", "localhost", __version__),
        hardware,
        Limits(CAP_BYTES),
    )
    begun_s = time.monotonic()
    with open_and_settle(options, clock) as store:
        stream = rows(count, seed, clock.realtime_ns() // 1000, clock.boottime_ns())
        while group := list(islice(stream, GROUP_ROWS)):
            store.append(group)
    return time.monotonic() - begun_s


def main() -> int:
    """Entry of ``python -m tests.tools.fill_spool``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("rows", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--board-serial", default=ABSENT)
    parser.add_argument("--card-serial", default=ABSENT)
    arguments = parser.parse_args()
    hardware = Hardware(arguments.board_serial, arguments.card_serial)
    took_s = fill(arguments.directory, arguments.rows, arguments.seed, hardware)
    print(f"{arguments.rows} rows in {took_s:.1f} s ({arguments.rows / took_s:.0f} rows/s)")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
