"""The seeded simulation: the real drain and protocol against the server's model.

Through every kind of weather.

One number decides a whole history: when rows are stored, what the line does to each request, when
processes die and cards lie. Then everything heals, and the drain must bring the last row home
within a bounded number of steps. ``python -m tests.model.simulation --seeds N`` runs many, ``--seed
K`` shows one.
"""

import argparse
import multiprocessing
import sys
import time
from collections import Counter

from tests.model.simulation_history import Simulation


def attempt(seed: int) -> tuple[int, str, Counter[str]]:
    """Run one seed; returns it with what broke (empty: nothing) and what happened."""
    simulation = Simulation(seed)
    try:
        return seed, "", simulation.run()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is this seed's finding
        return seed, f"{type(error).__name__}: {error}", simulation.watcher.counts


def run_many(first: int, seeds: int, processes: int) -> tuple[list[tuple[int, str]], Counter[str]]:
    """Run many seeds; returns those that broke and the sum of what happened."""
    broken: list[tuple[int, str]] = []
    total: Counter[str] = Counter()
    numbers = range(first, first + seeds)
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for seed, why, counts in pool.imap_unordered(attempt, numbers, chunksize=50):
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
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args(arguments)
    if options.seed is not None:
        print(sorted(Simulation(options.seed, trace=print).run().items()))
        return 0
    start = time.monotonic()
    broken, total = run_many(options.first, options.seeds, options.processes)
    took = time.monotonic() - start
    for name, count in sorted(total.items()):
        print(f"{name:28} {count}")
    print(f"{options.seeds} seeds in {took:.1f} s, {len(broken)} broken")
    for seed, why in sorted(broken)[:20]:
        print(f"seed {seed}: {why}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
