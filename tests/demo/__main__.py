"""``make demo``: both services, killed again and again, and the proof that nothing was lost."""

import argparse
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.demo import bench
from tests.demo.bus import BusFailed, why_no_file
from tests.demo.chaos import Deed, schedule
from tests.demo.process import Service
from tests.demo.progress import Progress
from tests.demo.reconcile import Verdict, reconcile
from tests.demo.server import ServerFailed

DESCRIPTION: Final = """\
Run thermal from chip to table on this machine, without hardware, account or root.

Three emulated chips sit on an emulated I2C bus in a recorded office, twenty times faster than
real ones. The installed thermal-collector samples them into its spool; the installed
thermal-shipper carries the rows to an emulated Snowpipe Streaming server over TLS. On the way
both are killed with SIGKILL, the network is cut, and answers get lost. At the end three
sources that know nothing of each other are compared: the ticks the collector counted, the rows
in the spool, and the rows the server committed."""

EPILOG: Final = """\
examples:
  python -m tests.demo                             one minute, six kills
  python -m tests.demo --kills 20 --seconds 120    the same with more of both
  python -m tests.demo --seed 7 --keep /tmp/seen   a plan that can be repeated; its files stay

what stays with --keep DIR:
  spool/spool.db   the rows as stored          collector.log, shipper.log   what the services said
  server/          the rows as committed       thermal.toml                 their settings

exit status: 0 nothing lost and nothing doubled, 1 otherwise (the difference is printed),
2 wrong arguments, 69 the world did not come up, 130 Ctrl-C."""

FRAME_S: Final = 0.2
"""Pause between two looks at the world."""

DRAIN_LIMIT_S: Final = 120.0
"""Longest wait for the backlog after the last kill."""

FINDINGS_SHOWN: Final = 20
NEXT_STEPS: Final = """\
Next: `make demo KILLS=20 SECONDS=120`, or `python -m tests.demo --keep DIR` and look at the files;
`thermal-collector probe` and `thermal-shipper check` on a Raspberry Pi of your own."""


def main(arguments: list[str] | None = None) -> int:
    """Run the demo; its exit status."""
    options = _parser().parse_args(arguments)
    seed = options.seed if options.seed is not None else int(time.time()) % 100_000
    progress = Progress(sys.stdout, shutil.get_terminal_size((160, 24)).columns)
    reason = why_no_file() if not options.no_file_bus else "--no-file-bus"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        made = bench.Options(interval_s=options.interval, file_bus=reason is None)
        with bench.world(made, options.keep) as world:
            _introduce(progress, world, options, seed, reason)
            return _run(progress, world, options, seed)
    except KeyboardInterrupt:
        progress.say("Stopped; everything that was started has been ended.")
        return 130
    except (BusFailed, ServerFailed, FileExistsError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return os.EX_UNAVAILABLE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.demo",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--seconds", type=_within(5, 86_400), default=60.0, metavar="S",
        help="how long it runs before it drains (default 60)",
    )
    parser.add_argument(
        "--kills", type=lambda text: int(_within(0, 10_000)(text)), default=6, metavar="N",
        help="SIGKILLs over both services (default 6)",
    )
    parser.add_argument(
        "--interval", type=_within(0.1, 60), default=0.25, metavar="S",
        help="time between two rows (default 0.25, least 0.1)",
    )
    parser.add_argument(
        "--seed", type=int, metavar="N", help="plan of what goes wrong (default: a new one)"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="new directory for all files, which then stay"
    )
    parser.add_argument(
        "--no-file-bus", action="store_true",
        help="give the emulated bus to the collector in its process, as where FUSE is missing",
    )
    return parser


def _within(low: float, high: float) -> Callable[[str], float]:
    """A number that argparse accepts between two bounds."""

    def number(text: str) -> float:
        value = float(text)
        if not low <= value <= high:
            raise argparse.ArgumentTypeError(f"{text}, expected {low:g} to {high:g}")
        return value

    return number


def _introduce(
    progress: Progress, world: bench.World, options: argparse.Namespace, seed: int,
    reason: str | None,
) -> None:
    """Say what is about to happen, and what is not as on a Pi."""
    rows = round(options.seconds / options.interval)
    progress.say(
        f"{options.seconds:g} s at {options.interval:g} s a row: some {rows} rows, "
        f"{options.kills} kills, seed {seed}"
    )
    if reason is None:
        progress.say(f"I2C bus: a file, {world.places.bus}, opened by the installed collector")
    else:
        progress.say(
            "I2C bus: NOT a file; a test launcher gives the emulated bus to the collector's code "
            f"in its own process ({reason})"
        )
    progress.say(f"server:  {world.server.url}, commits {world.options.commit_s:g} s after 200")
    progress.say("")


def _run(
    progress: Progress, world: bench.World, options: argparse.Namespace, seed: int
) -> int:
    """The run, the drain and the verdict."""
    plan = list(schedule(seed, options.seconds, options.kills))
    world.start()
    started_s = time.monotonic()
    while (elapsed_s := time.monotonic() - started_s) < options.seconds:
        while plan and plan[0].at_s <= elapsed_s:
            act = plan.pop(0)
            world.act(act)
            count = f" {act.count} times" if act.deed is Deed.LOSE_REPLIES else ""
            progress.say(f"{elapsed_s:5.1f} s  {act.deed}{count}")
        world.tend()
        progress.show(world.look())
        time.sleep(FRAME_S)
    statuses = [_stopped(world.collector)]
    _drain(progress, world)
    statuses.append(_stopped(world.shipper))
    verdict = reconcile(*world.evidence(), round(options.interval * 1e9))
    troubles = [f"{finding.sort}: {finding.text}" for finding in verdict.findings]
    for service, status in zip((world.collector, world.shipper), statuses, strict=True):
        name, last = service.program.name, service.program.tail(2)
        if status != 0:
            troubles.append(f"{name} gave status {status} after SIGTERM, expected 0: {last}")
        if service.surprises:
            troubles.append(f"{name} ended by itself, status {service.surprises[:3]}: {last}")
    if not verdict.samples:
        troubles.append("nothing was measured")
    _report(progress, world, verdict, troubles)
    return 1 if troubles else 0


def _stopped(service: Service) -> int | None:
    """Let a service that was just killed come back, then end it; its exit status."""
    service.stand_up()
    return service.stop()


def _drain(progress: Progress, world: bench.World) -> None:
    """Let the shipper send what is left, within a limit."""
    start_s = time.monotonic()
    while not world.drained() and time.monotonic() < start_s + DRAIN_LIMIT_S:
        world.shipper.tend()
        progress.show(world.look("draining"))
        time.sleep(FRAME_S)
    took = f"{time.monotonic() - start_s:.1f} s after the collector stopped"
    progress.say(f"everything is committed, {took}" if world.drained() else f"NOT drained, {took}")


def _report(
    progress: Progress, world: bench.World, verdict: Verdict, troubles: list[str]
) -> None:
    """The table, the differences and the line."""
    tally = world.server.tally()
    others = verdict.stored - verdict.samples - verdict.gaps
    table = (
        ("kills", f"{world.collector.kills} collector, {world.shipper.kills} shipper"),
        ("rows stored", f"{verdict.samples} samples, {verdict.gaps} gap rows, {others} others"),
        ("replays absorbed", f"{tally['noops_identical']} requests reached the server twice"),
        ("rows sent anew", f"{tally['rows_discarded']} were accepted and never committed"),
        ("channel opened", f"{tally['opens']} times"),
        ("flagged in doubt", f"{verdict.in_doubt} rows"),
    )
    progress.say("")
    for name, value in table:
        progress.say(f"  {name:<17} {value}")
    progress.say("")
    for trouble in troubles[:FINDINGS_SHOWN]:
        progress.say(f"  {trouble}")
    if len(troubles) > FINDINGS_SHOWN:
        progress.say(f"  … and {len(troubles) - FINDINGS_SHOWN} more")
    progress.say(verdict.line)
    if not troubles:
        progress.say("")
        progress.say(NEXT_STEPS)


if __name__ == "__main__":
    sys.exit(main())
