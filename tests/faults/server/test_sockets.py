"""What only sockets show: the whole shipper over real TLS and real time, against a bad network."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from common.clock import SystemClock
from common.lock import FileLock
from common.logs import Log
from common.settings import SnowflakeSettings
from common.ship_state import EXPOSURE_LOCK
from shipper import exchange
from shipper.protocol.limits import Limits
from shipper.protocol.requests import Operation
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.server import IngestServer, ServerOptions
from tests.emulators.ingest.store import MemoryStore
from tests.faults.server.shipper import CLOCK_WAIT_S, Shipper, Surroundings
from tests.model.simulation_books import Books
from tests.model.simulation_verdict import Auditor, judge
from tests.tools.spools import Device, drain, samples

QUICK = Limits(batch_rows=5, interval_s=0.1, batch_bytes_max=4096, poll_s=0.2)
LIMIT_S = 60.0
FAULTS = (
    "drip:endpoint=append,bytes_per_s=5", "drip:endpoint=status,bytes_per_s=5",
    "truncate:endpoint=append,times=2", "drop_reply:endpoint=append,times=2",
    "drop_request:endpoint=append", "gzip_rubbish:endpoint=append", "redirect:endpoint=append",
    "captive_portal:endpoint=status", "oversize:endpoint=append", "duplicate:endpoint=append",
    "unavailable:endpoint=append", "revoke_tokens:endpoint=append",
)


class Sockets:
    """In place of a ``Line``: the wire keeps the sockets that it has."""

    def plug_into(self, _wire: object) -> None:
        """Leave it as it is."""


def shipper_of(device: Device, server: IngestServer, pat_file: Path) -> Shipper:
    """A life of the shipper on the machine's own clock."""
    device.clock = cast("Any", SystemClock())
    table = SnowflakeSettings(
        account="myorg-acc1", user="pi", database="DB", schema="S", pipe="P", url=server.url,
        ca_file=server.ca_file, pat_file=pat_file,
    )
    around = Surroundings(device, cast("Any", Sockets()), table, Log("thermal-shipper"), QUICK)
    return Shipper(around, FileLock(device.directory / EXPOSURE_LOCK))


def step_until(shipper: Shipper, done: Callable[[], bool]) -> bool:
    """Step in real time until something is so; whether it was in time."""
    end_s = time.monotonic() + LIMIT_S
    while not done() and time.monotonic() < end_s:
        time.sleep(min(shipper.step(), 1.0))
    return done()


@pytest.mark.heavy
def test_a_bad_network_costs_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drips, cuts, resets, rubbish, portals and a cut line: every row is there once, unflagged."""
    monkeypatch.setattr(exchange, "DEADLINES_S", dict.fromkeys(Operation, 1.0))
    pat_file = tmp_path / "pat"
    pat_file.write_text("pat-of-the-test")
    pat_file.chmod(0o600)
    device, books = Device(tmp_path), Books()
    with IngestServer(ServerOptions(knobs=Knobs(commit_delay_s=0.3))) as server:
        device.clock = cast("Any", SystemClock())
        with device.start() as spool:
            shipper = shipper_of(device, server, pat_file)
            for round_, fault in enumerate(FAULTS):
                server.faults.add(fault)
                spool.append(samples(round_ * 5, 5))
                assert step_until(shipper, lambda: shipper.acknowledged() == spool.last_seq), fault
            server.stop_accepting()
            spool.append(samples(900, 5))
            for _ in range(5):
                shipper.step()
            server.resume()
            assert step_until(shipper, lambda: shipper.acknowledged() == spool.last_seq)
            hits, tally = server.faults.hits, server.model.tally
            shipper.close()
        books.store(drain(device.reader()))
        assert isinstance(server.store, MemoryStore)
        auditor = Auditor(server.store, books, CLOCK_WAIT_S)
        judge(books, auditor, ())
        assert auditor.totals()["flagged"] == tally.client_bugs == 0
        assert hits.keys() >= {fault.partition(":")[0] for fault in FAULTS}
