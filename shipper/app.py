"""The service: makes the real parts, connects them, and steps until told to stop.

It is ready when configuration, credential, spool directory and ledger are in order, never only
after the network: a Pi without uplink is a healthy one. Once running it does not end for the
network, the server or a refused sign-in, because then metrics and status would be silent.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

from common import __version__
from common.clock import SystemClock
from common.config import load, override
from common.database import SpoolCorrupt
from common.errors import Unavailable
from common.hardware import read_hardware
from common.lock import FileLock
from common.logs import Log
from common.metrics import MetricsServer, new_registry
from common.notify import Notifier
from common.settings import Settings
from common.ship_state import EXPOSURE_LOCK
from common.spool.reader import SpoolReader
from common.spool.row import row_crc
from common.spool.schema import SHIPPER_LOCK
from shipper.backoff import delays
from shipper.drain import Drain, Setup
from shipper.endpoint import Endpoint, find_credential, find_endpoint, make_transport
from shipper.ledger import Ledger
from shipper.metrics import ShipperMetrics
from shipper.ports import Present, World
from shipper.protocol.limits import Limits
from shipper.watch import Watch, Watched

SLICE_S: Final = 5.0
"""A planned wait is slept in pieces of this length, so that the status line keeps up."""
_WINDOW_SHARE: Final = 8
"""What is sent and not acknowledged is at most this part of the spool's cap (rule 13)."""


@dataclass(frozen=True, slots=True)
class _Service:
    """The running parts."""

    drain: Drain
    watch: Watch
    watched: Watched
    clock: SystemClock
    notifier: Notifier


def run(
    config: Path, stop: threading.Event, *, batch_size: int | None = None,
    interval_s: float | None = None, verbose: bool = False,
) -> int:
    """Ship until told to stop.

    Args:
        config: the configuration file.
        stop: set when the service is to end.
        batch_size: rows that make a batch; ``None``: as configured.
        interval_s: longest wait of a row for its batch, seconds; ``None``: as configured.
        verbose: log details too.

    Returns:
        0, when it was told to stop.

    Raises:
        ConfigError, PermissionRefused: configuration, key, token or a directory is no good.
        LockHeld: another shipper works on this spool.
        SpoolError: the ledger cannot be made or read.
    """
    clock = SystemClock(stop)
    log = Log("thermal-shipper", verbose)
    settings = override(load(config), batch_size=batch_size, interval_s=interval_s)
    endpoint = find_endpoint(settings, log.hide)
    for note in endpoint.notes:
        log.warning("profile", note)
    with _service(endpoint, clock, log) as service:
        service.notifier.ready()
        _loop(service)
        service.notifier.stopping()
        log.info("stopping", "asked to stop; what is not acknowledged is sent again later")
    return 0


def _loop(service: _Service) -> None:
    """Step for ever; the watchdog hears of each step that ended and each wait that goes on."""
    clock = service.clock
    while not clock.stopping:
        wait_s = service.drain.step()
        until_s = clock.monotonic_s() + wait_s
        while True:
            service.watch.look(service.watched)
            service.notifier.watchdog()
            left_s = until_s - clock.monotonic_s()
            if left_s <= 0 or clock.sleep(min(left_s, SLICE_S)):
                break


@contextlib.contextmanager
def _service(endpoint: Endpoint, clock: SystemClock, log: Log) -> Iterator[_Service]:
    """Everything that runs, taken down again in the right order."""
    settings = endpoint.settings
    directory = settings.spool.directory
    notifier = Notifier(clock)
    with contextlib.ExitStack() as stack:
        ledger = Ledger(directory)
        stack.enter_context(FileLock(directory / SHIPPER_LOCK))
        stack.callback(ledger.close)
        with contextlib.suppress(SpoolCorrupt):
            # A damaged one is set aside when the install is known; see ``shipper.gate``.
            ledger.progress()
        registry = new_registry(__version__, settings.device.site)
        metrics = ShipperMetrics(registry, clock)
        credential, tools = find_credential(endpoint, clock, log.hide)
        metrics.modified(credential.kind, _modified_s(settings))
        transport = make_transport(endpoint, credential, tools, metrics.took)
        stack.callback(transport.close)
        watch = Watch(metrics, log, notifier, clock)
        spool = stack.enter_context(SpoolReader(directory))
        exposure = FileLock(directory / EXPOSURE_LOCK)
        world = World(spool, ledger, transport, clock, watch, exposure)
        drain = Drain(world, _setup(endpoint))
        server = MetricsServer(
            registry, settings.shipper.metrics_address, settings.shipper.metrics_port,
            ready=lambda: not drain.reason,
        )
        _serve(server, log, stack)
        _tell_start(endpoint, log)
        yield _Service(drain, watch, Watched(spool, ledger, transport), clock, notifier)


def _setup(endpoint: Endpoint) -> Setup:
    """What the drain is told, from the settings."""
    settings = endpoint.settings
    shipper = settings.shipper
    limits = Limits(
        batch_rows=shipper.batch_size, interval_s=shipper.interval_s,
        batch_bytes_max=shipper.batch_bytes_max,
        window_bytes=settings.spool.cap_bytes // _WINDOW_SHARE,
    )
    present = Present(str(endpoint.target), read_hardware(settings.device))
    return Setup(
        endpoint.target, present, limits, delays(limits), shipper.clock_wait_s,
        lambda: str(uuid4()), row_crc,
    )


def _serve(server: MetricsServer, log: Log, stack: contextlib.ExitStack) -> None:
    """Begin to answer scrapes; without a port the service goes on unseen."""
    try:
        server.start()
    except Unavailable as error:
        log.warning("no_metrics", str(error))
        return
    stack.callback(server.stop)
    if server.port:
        log.info("metrics", port=server.port)


def _tell_start(endpoint: Endpoint, log: Log) -> None:
    shipper = endpoint.settings.shipper
    log.info(
        "started", "Using ONLY Snowpipe Streaming v2 REST API", version=__version__,
        pipe=endpoint.target, account_form=endpoint.account.form, batch_size=shipper.batch_size,
        interval_s=shipper.interval_s,
    )


def _modified_s(settings: Settings) -> float:
    """When the file of the credential was written, seconds since 1970; 0: cannot be told.

    systemd's copy of it has the time of the start, so only the file that the settings name counts.
    """
    path = settings.snowflake.private_key_file or settings.snowflake.pat_file
    try:
        return 0.0 if path is None else path.stat().st_mtime
    except OSError:
        return 0.0
