"""Fuzz one parser, guided by the coverage of the product's code (libFuzzer by way of atheris).

    python -m tests.fuzz offset_token --seconds 60

Ends with 0 when nothing was found; what was found is written below ``--keep`` and replayed by
giving the file: ``python -m tests.fuzz offset_token FILE``.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["collector", "common", "shipper"]):
    from tests.fuzz import answers, bus, files, planted

TARGETS: Mapping[answers.Target, tuple[bytes, ...]] = {
    **answers.SEEDS, **bus.SEEDS, **files.SEEDS, **planted.SEEDS,
}


def main() -> None:
    """Command line; libFuzzer ends the process."""
    named = {target.__name__: target for target in TARGETS}
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", choices=sorted(named))
    parser.add_argument("file", nargs="?", type=Path, help="only replay this input")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path.cwd(), help="where findings are written")
    options = parser.parse_args()
    target = named[options.target]
    if options.file is not None:
        target(options.file.read_bytes())
        return
    with tempfile.TemporaryDirectory(prefix="thermal-corpus-") as corpus:
        for number, seed in enumerate(TARGETS[target]):
            (Path(corpus) / str(number)).write_bytes(seed)
        words = [
            sys.argv[0], corpus, f"-max_total_time={options.seconds}", f"-seed={options.seed}",
            f"-artifact_prefix={options.keep}/", "-timeout=20", "-rss_limit_mb=2048",
            "-max_len=4096", "-print_final_stats=1",
        ]
        atheris.Setup(words, target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
