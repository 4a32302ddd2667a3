"""Prints and adopts what was set aside: ``thermal-shipper adopt``."""

import json
import threading
from pathlib import Path

from common.clock import SystemClock
from common.config import load
from common.errors import SpoolError, UsageError
from common.redaction import SECRETS
from common.spool.reader import SpoolReader
from shipper.backfill.adopt import begin, go, inspect, source_of
from shipper.backfill.aside import Aside, list_aside
from shipper.backfill.courier import Ending
from shipper.cli_progress import EXIT_REFUSED, Teller, say, unfinished
from shipper.operate import desk, route
from shipper.text import grouped


def list_adoptable(config: Path, *, as_json: bool) -> int:
    """Say what lies aside; disturbs neither service."""
    directory = load(config).spool.directory
    try:
        with SpoolReader(directory) as spool:
            live: str | None = spool.install().install_id
    except SpoolError:
        live = None
    found = list(list_aside(directory, live))
    if as_json:
        print(SECRETS.clean(json.dumps([one.shown() for one in found])))
        return 0
    for one in found:
        print(SECRETS.clean(text(one)))
    if not found:
        print("nothing was set aside")
    return 0


def adopt(
    config: Path, stop: threading.Event, name: str | None, *, again: bool, as_json: bool
) -> int:
    """Send the rows of one directory that are not known to have reached the server.

    Raises:
        UsageError: no directory was named, or it is not there, or it went already.
    """
    if name is None:
        raise UsageError("adopt: no DIRECTORY", hint="thermal-shipper adopt --list")
    clock = SystemClock(stop)
    with desk(load(config), clock) as at:
        found, job = inspect(at, name, again=again)
        with route(at) as way:
            if job is None:
                job = begin(at, found)
            else:
                say(f"going on with unfinished job {job.n}")
            with source_of(at, job) as source:
                teller = Teller(clock, found.unacknowledged)
                result = go(at, job, source, way, teller.progress)
    if result.ending is not Ending.DONE:
        again_by = f"thermal-shipper adopt {found.name}"
        return unfinished(result.ending, teller.progress, again_by)
    sent = teller.progress.committed_rows
    told = {"sent": sent, "refused": result.stays, "unreadable": result.unreadable}
    if as_json:
        print(json.dumps(told))
    else:
        print(
            f"{grouped(sent)} rows sent and committed, {grouped(result.stays)} refused (they are "
            f"dead letters now), at most {grouped(result.unreadable)} not readable (they stay)"
        )
    return EXIT_REFUSED if result.stays else 0


def text(one: Aside) -> str:
    """One directory for a person."""
    if not one.has_spool:
        return f"{one.name}\n    {one.reason or 'unknown reason'}; no spool in it, nothing to adopt"
    facts = [
        f"install {one.install_id or 'unknown'}", f"{_number(one.rows)} rows",
        f"{_number(one.epochs)} epochs", f"{_number(one.unacknowledged)} unacknowledged",
    ]
    lines = [one.name, f"    {one.reason or 'unknown reason'}, {one.at or 'undated'}",
             f"    {', '.join(facts)}"]
    if one.carried_over:
        lines.append("    the collector carried its readable rows over: it needs no adopting")
    if one.adopted:
        lines.append(f"    adopted {one.adopted}")
    if one.problem:
        lines.append(f"    {one.problem}")
    return "\n".join(lines)


def _number(found: int | None) -> str:
    return "unknown" if found is None else grouped(found)
