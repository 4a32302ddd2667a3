"""The seeded simulation: the real drain and protocol against the server's model.

Through every kind of weather.

One number decides a whole history: when rows are stored, what the line does to each request, when
processes die and cards lie. Then everything heals, and the drain must bring the last row home
within a bounded number of steps. ``python -m tests.model.simulation --seeds N`` runs many, ``--seed
K`` shows one.
"""

import argparse
import functools
import multiprocessing
import sys
import time
from collections import Counter

from tests.model.simulation_climates import CLIMATES
from tests.model.simulation_history import Simulation


def attempt(seed: int, climate: str | None = None) -> tuple[int, str, Counter[str]]:
    """Run one seed; returns it with what broke (empty: nothing) and what happened.

    Args:
        seed: decides everything.
        climate: a certain weather; ``None``: it is drawn.
    """
    simulation = Simulation(seed, climate=climate)
    try:
        return seed, "", simulation.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this seed's finding
        return seed, f"{type(error).__name__}: {error}", simulation.counts


def run_many(
    numbers: range, processes: int, climate: str | None = None
) -> tuple[list[tuple[int, str]], Counter[str]]:
    """Run many seeds; returns those that broke and the sum of what happened."""
    broken: list[tuple[int, str]] = []
    total: Counter[str] = Counter()
    one = functools.partial(attempt, climate=climate)
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for seed, why, counts in pool.imap_unordered(one, numbers, chunksize=20):
            total.update(counts)
            if why:
                broken.append((seed, why))
    return broken, total


def main(arguments: list[str]) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Seeded simulation of the shipper.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one, told step by step")
    parser.add_argument("--climate", choices=CLIMATES, help="only this weather")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return _show(options.seed, options.climate)
    start = time.monotonic()
    numbers = range(options.first, options.first + options.seeds)
    broken, total = run_many(numbers, options.processes, options.climate)
    took = time.monotonic() - start
    for name, count in sorted(total.items()):
        print(f"{name:28} {count}")
    print(f"{options.seeds} seeds in {took:.1f} s, {len(broken)} broken")
    for seed, why in sorted(broken)[:20]:
        print(f"seed {seed}: {why}")
    return 1 if broken else 0


def _show(seed: int, climate: str | None) -> int:
    """Tell one history step by step, and at the end what broke, if anything did."""
    simulation = Simulation(seed, trace=print, climate=climate)
    print(f"weather: {simulation.weather}")
    try:
        print(sorted(simulation.run().items()))
    except AssertionError as error:
        print(f"BROKEN: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
