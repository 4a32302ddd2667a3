"""What is known of the shipping from its files and its metrics; for ``thermal-shipper status``."""

import http.client
import sqlite3
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from common import __version__
from common.database import open_reader
from common.errors import SpoolError
from common.lock import holder
from common.settings import Settings
from common.ship_state import SHIP_FILE, read_ship_state
from common.spool.reader import SpoolReader
from common.spool.schema import SHIPPER_LOCK

_SCRAPE_TIMEOUT_S: Final = 2.0
_SCRAPE_BYTES_MAX: Final = 1 << 20


@dataclass(slots=True)
class Status:
    """One look at the shipper. ``None`` means that it could not be told.

    Attributes:
        version: of this program.
        running: whether a shipper holds the lock of the spool.
        state: of the running shipper, by its metrics.
        install_id: whose spool it is.
        channel: where its rows go.
        backlog_rows: rows behind the acknowledged one.
        oldest_taken_at: when the oldest of them was taken, UTC.
        stored: epoch and seq of the newest stored row.
        acknowledged: epoch and seq of the newest row that is surely in the table.
        exposed: epoch and seq of the newest row that may have left the device.
        last_commit: when the running shipper last saw rows committed, UTC.
        dead_letters: rows and ranges that the server refused.
        last_error: the newest dead letter's reason and message.
        events: what is to be told to the table, by kind.
        problems: what could not be read, for a person.
    """

    version: str = __version__
    running: bool = False
    state: str | None = None
    install_id: str | None = None
    channel: str | None = None
    backlog_rows: int | None = None
    oldest_taken_at: str | None = None
    stored: str | None = None
    acknowledged: str | None = None
    exposed: str | None = None
    last_commit: str | None = None
    dead_letters: int | None = None
    last_error: str | None = None
    events: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)


def look(settings: Settings) -> Status:
    """Read everything once; disturbs neither service."""
    status = Status()
    directory = settings.spool.directory
    status.running = holder(directory / SHIPPER_LOCK).startswith("process ")
    acknowledged = _read_ledger(status, directory)
    _read_spool(status, directory, acknowledged)
    if status.running:
        _read_metrics(status, settings)
    return status


def _read_ledger(status: Status, directory: Path) -> tuple[str, int] | None:
    """What ``ship.db`` tells; returns epoch and seq of the acknowledged row."""
    try:
        state = read_ship_state(directory)
        if state is None:
            status.problems.append("the shipper has not run yet")
            return None
        _read_letters(status, directory / SHIP_FILE)
    except (SpoolError, sqlite3.Error) as error:
        status.problems.append(str(error))
        return None
    for event in state.events:
        status.events[event.kind] = status.events.get(event.kind, 0) + event.count
    if state.exposed is not None:
        status.exposed = f"{state.exposed.epoch}/{state.exposed.seq}"
    if state.acknowledged is None:
        return None
    status.acknowledged = f"{state.acknowledged.epoch}/{state.acknowledged.seq}"
    return state.acknowledged.epoch, state.acknowledged.seq


def _read_letters(status: Status, path: Path) -> None:
    connection = open_reader(path)
    try:
        status.dead_letters = connection.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
        row = connection.execute(
            "SELECT reason, message FROM dead_letters ORDER BY id DESC LIMIT 1"
        ).fetchone()
    finally:
        connection.close()
    if row is not None:
        status.last_error = f"{row[0]}: {row[1]}"


def _read_spool(status: Status, directory: Path, acknowledged: tuple[str, int] | None) -> None:
    try:
        with SpoolReader(directory) as spool:
            install = spool.install()
            status.install_id, status.channel = install.install_id, install.channel
            lineage = spool.lineage()
            newest = spool.newest()
            if newest is not None:
                status.stored = f"{lineage.at(newest.order).epoch}/{newest.seq}"
            done = None if acknowledged is None else lineage.position(*acknowledged)
            backlog = spool.backlog(done)
    except (SpoolError, LookupError) as error:
        status.problems.append(str(error))
        return
    status.backlog_rows = backlog.rows
    if backlog.oldest_taken_at is not None:
        status.oldest_taken_at = _time(backlog.oldest_taken_at / 1e6)


def _read_metrics(status: Status, settings: Settings) -> None:
    """State and last commit, as the running shipper tells a scraper."""
    shipper = settings.shipper
    if shipper.metrics_port == 0:
        return
    try:
        series = scrape(shipper.metrics_address, shipper.metrics_port)
    except (OSError, http.client.HTTPException) as error:
        status.problems.append(f"metrics of the running shipper: {error}")
        return
    name = 'thermal_shipper_state{state="'
    status.state = next(
        (key.removeprefix(name).rstrip('"}') for key, value in series.items()
         if key.startswith(name) and value == 1), None,
    )
    committed_s = series.get("thermal_shipper_last_commit_timestamp_seconds", 0.0)
    if committed_s > 0:
        status.last_commit = _time(committed_s)


def scrape(address: str, port: int) -> dict[str, float]:
    """Series and values of a metrics page of this machine.

    Raises:
        OSError, http.client.HTTPException: there is none.
    """
    # A service that listens on all addresses is asked on the loopback one.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104
    connection = http.client.HTTPConnection(host, port, timeout=_SCRAPE_TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read(_SCRAPE_BYTES_MAX).decode("utf-8", "replace")
    finally:
        connection.close()
    series: dict[str, float] = {}
    for line in text.splitlines():
        name, _, value = line.rpartition(" ")
        if name and not line.startswith("#"):
            try:
                series[name] = float(value)
            except ValueError:
                continue
    return series


def _time(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
