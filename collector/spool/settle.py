"""The start of the spool: whose it is, which epoch runs, what was lost.

The order matters. The lock comes first, then the check of the file, then one decision from all
facts (``decide``), then one transaction that makes it true. A start that is cut short anywhere is
repeated by the next one with the same result.
"""

import contextlib
import json
import sqlite3
from dataclasses import dataclass, field, replace
from pathlib import Path

from collector.gaps import gap_row
from collector.spool import decide as deciding
from collector.spool import facts as fact_finding
from collector.spool import licence, quarantine
from collector.spool.decide import Found, LastRow, Plan, SpoolFacts
from collector.spool.options import Means, SpoolOptions
from collector.spool.position import read_record
from collector.spool.records import Records
from collector.stamp import read_stamp
from common.clock import Clock
from common.database import SpoolCorrupt, translate
from common.errors import SpoolError
from common.hardware import match
from common.identity import Install
from common.ship_state import ShipState, ShipStateUnreadable, read_ship_state
from common.spool import tables
from common.spool.prepare import version_of
from common.spool.readable import UNREADABLE
from common.spool.schema import CLEAN_STOP_KEY, SALVAGE_KEY, SPOOL_FILE, SPOOL_VERSION


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that the start, or the care of the spool, has to tell the log.

    Attributes:
        name: event name, such as ``new_epoch``.
        fields: numbers and texts that go with it.
        alarm: somebody should look.
    """

    name: str
    fields: dict[str, str | int] = field(default_factory=dict)
    alarm: bool = False


@dataclass(frozen=True, slots=True)
class Settled:
    """An open spool with its identity.

    Attributes:
        connection: for its one writer.
        install: whose it is.
        epoch: the epoch that rows go into.
        epoch_order: its place in the lineage.
        origin: number of the origin that rows name.
        last_seq: the greatest seq given.
        last_row: the newest tick before this start; see ``LastRow``.
        happenings: what the log should tell.
    """

    connection: sqlite3.Connection
    install: Install
    epoch: str
    epoch_order: int
    origin: int
    last_seq: int
    last_row: LastRow | None
    happenings: tuple[Happening, ...]


def settle(options: SpoolOptions, clock: Clock, means: Means, *, suspect: bool = False) -> Settled:
    """Open the spool and settle install, epoch and seq; the caller holds the collector's lock.

    Args:
        options: see ``SpoolOptions``.
        clock: for boot id and the time of gap rows.
        means: how files are opened and ids are made.
        suspect: an error was seen in the file: check it whole.

    Raises:
        SpoolNewer: the file is of a newer version; it was not touched.
        SpoolError: the disk does not work; nothing was set aside.
    """
    try:
        try:
            return _settle(options, clock, means, suspect=suspect)
        except SpoolCorrupt:
            # A clean stop is no proof: the card had time since then.
            if suspect:
                raise
            return _settle(options, clock, means, suspect=True)
    except OSError as error:
        path = options.directory / SPOOL_FILE
        raise SpoolError(
            f"{path}: {error.strerror}",
            op="settle",
            path=str(path),
            hint="look at the kernel log for errors of the card or the file system",
        ) from error


def _settle(options: SpoolOptions, clock: Clock, means: Means, *, suspect: bool) -> Settled:
    """See ``settle``; errors of the operating system are its caller's."""
    path = options.directory / SPOOL_FILE
    happenings: list[Happening] = []
    aside = quarantine.unfinished(path)
    if aside is not None and _is_settled(path, means):
        quarantine.finish(path)
        aside = None
    if aside is not None:
        facts = fact_finding.read_damaged(aside.path, means.open_reader)
        facts = replace(facts, damaged=aside.salvage)
    else:
        facts = _facts(path, means, suspect=suspect)
    found = Found(
        facts,
        _ship_state(options.directory, means, happenings),
        read_record(options.runtime_directory),
        clock.boot_id(),
        options.hardware,
    )
    plan = deciding.decide(found)
    if aside is not None and not aside.salvage:
        plan = deciding.new_install(found, None)
    if plan.aside is not None and aside is None:
        aside = quarantine.set_aside(path, plan.aside, clock.realtime_ns())
    means.prepare(path, "spool", SPOOL_VERSION)
    settled = _apply(options, clock, means, found, plan, aside.path if aside else None)
    if aside is not None:
        try:
            quarantine.finish(path)
        except BaseException:
            settled.connection.close()
            raise
    happenings += _told(found, plan, settled, aside.path if aside else None)
    return replace(settled, happenings=tuple(happenings))


def _facts(path: Path, means: Means, *, suspect: bool) -> SpoolFacts:
    """The facts of the file at its place, sound, damaged or missing."""
    with contextlib.suppress(SpoolCorrupt):
        if version_of(path, SPOOL_VERSION) == 0 and not quarantine.is_damaged(
            path, means.open_writer, suspect=True
        ):
            return SpoolFacts()
    if quarantine.is_damaged(path, means.open_writer, suspect=suspect):
        return fact_finding.read_damaged(path, means.open_reader)
    means.prepare(path, "spool", SPOOL_VERSION)
    try:
        with contextlib.closing(means.open_reader(path)) as connection:
            return fact_finding.read_facts(connection, path)
    except UNREADABLE as error:
        if not suspect:
            return _facts(path, means, suspect=True)
        if not isinstance(error, sqlite3.Error):
            raise
        raise translate(error, "open", path) from error


def _is_settled(path: Path, means: Means) -> bool:
    """Whether the new spool was settled before the note about the old one was removed."""
    try:
        with contextlib.closing(means.open_reader(path)) as connection:
            return tables.read_install(connection) is not None
    except sqlite3.Error:
        return False


def _ship_state(directory: Path, means: Means, told: list[Happening]) -> ShipState | None:
    """The shipper's state; one that cannot be read says nothing, and an alarm is raised."""
    try:
        return read_ship_state(directory, means.open_reader)
    except ShipStateUnreadable as error:
        told.append(Happening("ship_state_unreadable", {"error": str(error)}, alarm=True))
        return None


def _apply(
    options: SpoolOptions, clock: Clock, means: Means, found: Found, plan: Plan, aside: Path | None
) -> Settled:
    """Make the plan true in one transaction."""
    path = options.directory / SPOOL_FILE
    try:
        connection = means.open_writer(path)
    except sqlite3.Error as error:
        raise translate(error, "open", path) from error
    try:
        connection.execute("BEGIN IMMEDIATE")
        records = Records(connection, read_stamp(clock), means.random_bytes)
        settled = _write(records, options, found, plan, aside)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        connection.close()
        raise translate(error, "settle", path) from error
    except BaseException:
        connection.close()
        raise
    return settled


def _write(
    records: Records, options: SpoolOptions, found: Found, plan: Plan, aside: Path | None
) -> Settled:
    connection = records.connection
    install = records.install(plan.install, options.hardware)
    if plan.salvage and aside is not None:
        told = {
            "file": str(aside.relative_to(options.directory)),
            "next": _committed_through(found) + 1,
            "last": plan.stored_before,
            "older": found.spool.pending,
        }
        tables.write_state(connection, SALVAGE_KEY, json.dumps(told))
    if aside is not None and plan.install is not None:
        records.carry_over(aside, lineage=bool(found.spool.lineage.epochs))
    records.seed(plan.seeds)
    epoch = found.spool.lineage.newest
    if plan.epoch_reason is not None:
        lineage = found.spool.lineage if plan.install is not None else None
        epoch = records.epoch(lineage, plan, found.boot_id)
    assert epoch is not None
    origin = records.origin(epoch.order, options.names)
    last = plan.next_seq - 1
    for gap in plan.gaps:
        last += 1
        records.row(epoch.epoch, last, origin, gap_row(gap, records.now))
    tables.write_state(connection, CLEAN_STOP_KEY, "0")
    return Settled(
        connection, install, epoch.epoch, epoch.order, origin, last, found.spool.last_row, ()
    )


def _committed_through(found: Found) -> int:
    """Rows up to this seq are on the server, so they need no salvage."""
    ship = found.ship if found.spool.install else None
    if ship is not None and found.spool.install is not None:
        ship = licence.usable(found.spool.install, ship)
    acknowledged = ship.acknowledged if ship else None
    return licence.licence(found.spool.lineage, acknowledged, found.spool.trimmed).through


def _told(found: Found, plan: Plan, settled: Settled, aside: Path | None) -> list[Happening]:
    """What the start did, for the log."""
    told: list[Happening] = []
    if aside is not None:
        reason = plan.aside or "interrupted"
        told.append(
            Happening("spool_set_aside", {"path": str(aside), "reason": reason}, alarm=True)
        )
    if plan.install is None:
        told.append(Happening("new_install", {"install_id": settled.install.install_id}))
    elif found.spool.install is not None:
        matched = match(found.spool.install.hardware, found.hardware)
        if matched.value != "same":
            told.append(Happening("board_changed", {"board": found.hardware.board_serial}))
    if plan.epoch_reason is not None:
        fields: dict[str, str | int] = {"epoch": settled.epoch, "reason": plan.epoch_reason}
        alarm = plan.epoch_reason == "spool_lost"
        told.append(Happening("new_epoch", fields | {"next_seq": plan.next_seq}, alarm=alarm))
    for gap in plan.gaps:
        alarm = gap.reason.value in ("lost_by_cut", "inherited", "quarantine")
        counted = {"reason": gap.reason.value, "count": gap.count or 0}
        told.append(Happening("gap", counted, alarm=alarm))
    return told
