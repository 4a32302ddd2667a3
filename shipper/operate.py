"""What an operator's commands stand on: the shipper's file and lock, and the way to the server.

``ship.db`` has one writer, the shipper. A command that changes it takes the shipper's place, by its
lock; one that only looks reads the file beside the running shipper.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from common.clock import Clock
from common.database import SpoolAbsent, open_reader, refuse_newer, translate
from common.errors import ExitCode, LockHeld, ThermalError
from common.hardware import read_hardware
from common.identity import Install
from common.lock import FileLock, holder
from common.redaction import SECRETS
from common.settings import Settings
from common.ship_state import SHIP_FILE, SHIP_VERSION
from common.spool.reader import SpoolReader
from common.spool.schema import SHIPPER_LOCK
from shipper.backfill.courier import STRIKES_MAX, Route
from shipper.backoff import delays
from shipper.dead_letters import DeadLetters
from shipper.endpoint import find_credential, find_endpoint, make_transport
from shipper.ledger import Ledger
from shipper.permission import waiting_for_collector
from shipper.protocol.limits import Limits
from shipper.protocol.requests import Operation

_WINDOW_BYTES: Final = 4 << 20
"""Most that is sent and not settled: behind a row error all of it is held in memory once."""


class NotYet(ThermalError):
    """Something must happen first; the message says what."""

    exit_code = ExitCode.TEMPFAIL


@dataclass(frozen=True, slots=True)
class Desk:
    """The place of the shipper, taken by a command.

    Attributes:
        settings: of the service.
        ledger: its file.
        spool: the collector's.
        install: whose both are.
        clock: the machine's.
    """

    settings: Settings
    ledger: Ledger
    spool: SpoolReader
    install: Install
    clock: Clock


@contextlib.contextmanager
def desk(settings: Settings, clock: Clock) -> Iterator[Desk]:
    """Take the shipper's place.

    Raises:
        LockHeld: the shipper runs, or another command does.
        SpoolAbsent: it has never run.
        NotYet: the collector has not settled this machine's identity.
        SpoolError: a file cannot be read.
    """
    directory = settings.spool.directory
    _must_exist(directory)
    with contextlib.ExitStack() as stack:
        _lock(stack, directory / SHIPPER_LOCK)
        ledger = stack.enter_context(Ledger(directory))
        spool = stack.enter_context(SpoolReader(directory))
        install = spool.install()
        known = ledger.install()
        if known is None or known.install_id != install.install_id:
            raise NotYet(
                f"{directory / SHIP_FILE} is not of install {install.install_id}",
                hint="start thermal-shipper once: it sets a foreign file aside",
            )
        yield Desk(settings, ledger, spool, install, clock)


@contextlib.contextmanager
def route(at: Desk) -> Iterator[Route]:
    """The way to the server, for channels of the install's own; makes no connection yet.

    Raises:
        ConfigError, PermissionRefused: configuration or credential is no good.
        NotYet: nothing may leave before the collector has settled this machine's identity.
    """
    hardware = read_hardware(at.settings.device)
    why = waiting_for_collector(at.install, at.spool.lineage(), hardware, at.clock.boot_id())
    if why is not None:
        raise NotYet(f"nothing may be sent yet: {why}", hint="systemctl start thermal-collector")
    endpoint = find_endpoint(at.settings, SECRETS.hide)
    credential, tools = find_credential(endpoint, at.clock, SECRETS.hide)
    transport = make_transport(endpoint, credential, tools, _nobody)
    shipper = endpoint.settings.shipper
    limits = Limits(
        batch_rows=shipper.batch_size, interval_s=0.0, batch_bytes_max=shipper.batch_bytes_max,
        window_bytes=_WINDOW_BYTES, strikes_max=STRIKES_MAX,
    )
    try:
        yield Route(
            endpoint.target, f"{at.install.install_id}_BACKFILL_{{n}}", transport,
            at.clock, hardware, limits, delays(limits), lambda: str(uuid4()),
        )
    finally:
        transport.close()


@contextlib.contextmanager
def letters_beside(directory: Path) -> Iterator[DeadLetters]:
    """The dead letters, read beside a running shipper.

    Raises:
        SpoolAbsent: the shipper has never run.
        SpoolError: the file cannot be read.
    """
    path = directory / SHIP_FILE
    _must_exist(directory)
    try:
        with contextlib.closing(open_reader(path)) as connection:
            refuse_newer(connection, SHIP_VERSION, path)

            @contextlib.contextmanager
            def reading(op: str) -> Iterator[sqlite3.Connection]:
                yield connection

            yield DeadLetters(reading)
    except sqlite3.Error as error:
        raise translate(error, "read", path) from error


def _must_exist(directory: Path) -> None:
    path = directory / SHIP_FILE
    if not path.exists() or path.stat().st_size == 0:
        raise SpoolAbsent(
            f"{path}: is not there: the shipper has not run yet",
            op="open",
            path=str(path),
            hint="systemctl start thermal-shipper",
        )


def _lock(stack: contextlib.ExitStack, path: Path) -> None:
    lock = FileLock(path)
    if not lock.try_acquire():
        raise LockHeld(
            f"thermal-shipper is running ({holder(path)}), and only one process may change "
            f"{path.with_name(SHIP_FILE)}; sampling goes on while the shipper is stopped",
            hint="systemctl stop thermal-shipper",
        )
    stack.callback(lock.release)


def _nobody(operation: Operation, code: str, seconds: float) -> None:
    """An ``Observe`` for a process without metrics."""
