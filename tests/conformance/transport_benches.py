"""The two transports of the conformance suite, over the emulator's model, and to be disturbed."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from common.clock import SystemClock
from common.settings import Settings, SnowflakeSettings
from shipper.endpoint import find_credential, find_endpoint, make_transport
from shipper.ports import Transport
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import HttpRequest, Operation
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.server import IngestServer, ServerOptions
from tests.emulators.ingest.store import MemoryStore
from tests.model.simulation_server import SimTransport
from tests.model.simulation_spool import Mortality

ACCESS_TOKEN = "pat-of-the-suite"


@dataclass
class Bench:
    """One transport under test.

    Attributes:
        transport: as the drain sees it.
        model: what the server has; only looked at between calls.
        lose_reply: the next reply is lost after the request was applied.
        cut: connections are refused from now on.
        mend: and accepted again.
        throttle: the next request is answered 429.
    """

    transport: Transport
    model: IngestModel
    lose_reply: Callable[[], None]
    cut: Callable[[], None]
    mend: Callable[[], None]
    throttle: Callable[[], None]

    @property
    def rows(self) -> int:
        """Rows in the table."""
        assert isinstance(self.model.store, MemoryStore)
        return len(self.model.store.rows)


@contextlib.contextmanager
def https_bench(directory: Path) -> Iterator[Bench]:
    """The real transport, TLS and all, against the emulator on a socket."""
    token_file = directory / "pat"
    token_file.write_text(ACCESS_TOKEN)
    token_file.chmod(0o600)
    with IngestServer(ServerOptions(knobs=Knobs(commit_delay_s=0))) as server:
        table = SnowflakeSettings(
            account="myorg-acc1", user="u", database="DB", schema="S", pipe="P", url=server.url,
            ca_file=server.ca_file, pat_file=token_file,
        )
        endpoint = find_endpoint(Settings(directory / "t.toml", snowflake=table), _hide)
        credential = find_credential(endpoint, SystemClock(), _hide)
        transport = make_transport(endpoint, *credential, _observe)
        yield Bench(
            transport, server.model,
            lambda: _add(server, "drop_reply"), server.stop_accepting, server.resume,
            lambda: _add(server, "throttle"),
        )
        transport.close()


@contextlib.contextmanager
def simulated_bench(directory: Path) -> Iterator[Bench]:
    """The double that the seeded simulation uses, over the same model, without a socket."""
    model = IngestModel(MemoryStore(), Knobs(commit_delay_s=0), 1)
    clock = SystemClock()
    transport = SimTransport(model, Random(1), Mortality(), clock.monotonic_s)
    once = _Once(transport)
    yield Bench(
        once, model, lambda: once.next("lost_reply"),
        lambda: setattr(transport.line, "refused", 1.0),
        lambda: setattr(transport.line, "refused", 0.0), lambda: once.next("throttled"),
    )


BENCHES: dict[str, Callable[[Path], contextlib.AbstractContextManager[Bench]]] = {
    "https": https_bench, "simulated": simulated_bench,
}


def _add(server: IngestServer, fault: str) -> None:
    """A fault that waits for the next request."""
    server.faults.add(fault)


class _Once:
    """Lets the next request meet a mishap for sure, and only that one."""

    def __init__(self, inner: SimTransport) -> None:
        self._inner = inner
        self._mishap = ""

    def renew(self) -> None:
        """See ``Transport``."""
        self._inner.renew()

    def rediscover(self) -> None:
        """See ``Transport``."""
        self._inner.rediscover()

    def next(self, mishap: str) -> None:
        """Choose it."""
        self._mishap = mishap

    def send(self, request: HttpRequest, deadline_s: float) -> HttpReply:
        """See ``Transport``."""
        mishap, self._mishap = self._mishap, ""
        if mishap:
            setattr(self._inner.line, mishap, 1.0)
        try:
            return self._inner.send(request, deadline_s)
        finally:
            if mishap:
                setattr(self._inner.line, mishap, 0.0)


def _hide(secret: str, /, *, slot: str = "") -> None:
    """No log."""


def _observe(operation: Operation, code: str, seconds: float) -> None:
    """No metrics."""
