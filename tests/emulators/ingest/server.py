"""The emulator as a server: account and ingest host on one loopback port, over TLS.

::

    with IngestServer(ServerOptions(knobs=Knobs(commit_delay_s=0.2))) as server:
        server.url, server.ca_file          # https://127.0.0.1:PORT, to be trusted
        server.faults.add("drop_reply:endpoint=append,times=2")
        server.stop_accepting()             # connections are refused, open ones reset
        server.resume()
        server.faults.heal()
        with server.lock:                   # the model is shared with the server's threads
            server.model.tally.client_bugs
        server.rows()                       # what was committed
"""

import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from tests.emulators.ingest.admin import PREFIX, AdminDesk
from tests.emulators.ingest.auth import Gate, Policy
from tests.emulators.ingest.clock import ServerClock
from tests.emulators.ingest.exchange import Delivery, Exchange
from tests.emulators.ingest.faults import FaultError
from tests.emulators.ingest.http import serve
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.listener import Listener
from tests.emulators.ingest.model import IngestModel
from tests.emulators.ingest.service import Service
from tests.emulators.ingest.sqlite_store import SqliteStore
from tests.emulators.ingest.store import CommittedRow, MemoryStore
from tests.emulators.ingest.tls import Certificates, certificates, server_context
from tests.emulators.ingest.wire import Request, text_response

TICK_S: Final = 0.05
ROWS_FILE: Final = "rows.db"


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to set a server up.

    Attributes:
        port: 0: any free one.
        host: a loopback address.
        directory: certificates and ``rows.db`` go there and are found there again; ``None``:
            rows stay in memory, certificates in a directory that is removed at the end.
        hostname: what the hostname endpoint answers; ``None``: the name it was asked by.
        seed: of faults and of the jitter of commits.
        faults: to begin with, as text.
        knobs: how the model behaves.
        policy: who may sign in.
    """

    port: int = 0
    host: str = "127.0.0.1"
    directory: Path | None = None
    hostname: str | None = None
    seed: int = 0
    faults: str = ""
    knobs: Knobs = field(default_factory=Knobs)
    policy: Policy = field(default_factory=Policy)


class IngestServer:
    """A running emulator; a context manager.

    Attributes:
        url: of the account, with the port.
        ca_file: to be trusted by clients.
        model: its state; take ``lock`` to look at it.
        store: in memory, or ``SqliteStore``.
        service: sign-in, rates, clock.
        faults: ``add(spec)``, ``heal()``, ``waiting()``, ``hits``, ``requests``.
        admin: what the admin path tells.
    """

    def __init__(self, options: ServerOptions | None = None) -> None:
        """Bind the port and start serving.

        Raises:
            FaultError: ``options.faults`` is not understood.
            OSError: the port is taken.
        """
        self._options = options or ServerOptions()
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        directory = self._directory()
        files = certificates(directory, self._options.hostname)
        self.ca_file = files.ca_file
        self.store = self._store()
        self.model = IngestModel(self.store, self._options.knobs, self._options.seed)
        gate = Gate(self._options.policy)
        self.service = Service(self.model, gate, ServerClock(), self._options.hostname)
        self.faults = Exchange(self.service, self._options.seed)
        self.admin = AdminDesk(self.service, self.faults, self._set_network)
        try:
            self.faults.add(self._options.faults)
            self._listener = self._listen(files)
        except (FaultError, OSError):
            self._release()
            raise
        self._stop = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="ingest-commits", daemon=True)
        self._ticker.start()

    def __enter__(self) -> Self:
        """Nothing: it runs already."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def port(self) -> int:
        """The port that was bound."""
        return self._listener.port

    @property
    def url(self) -> str:
        """The account's URL."""
        host = self._options.host
        return f"https://{f'[{host}]' if ':' in host else host}:{self.port}"

    def rows(self) -> list[CommittedRow]:
        """What was committed so far, in the order of the commits."""
        with self.lock:
            return self.store.committed_rows()

    @property
    def lock(self) -> threading.RLock:
        """Held by the server while it touches the model."""
        return self.faults.lock

    def stop_accepting(self) -> None:
        """Cut the network: connections are refused, open ones are reset."""
        self._listener.stop_accepting()

    def resume(self) -> None:
        """Mend the network, on the same port."""
        self._listener.resume()

    def stop(self) -> None:
        """Stop serving; what was accepted and not committed is kept by a store on disk."""
        self._stop.set()
        self.faults.stop()
        self._listener.close()
        self._ticker.join()
        self._release()

    def _listen(self, files: Certificates) -> Listener:
        shown_s = self.service.clock.shown_s
        return Listener(
            self._options.host,
            self._options.port,
            server_context(files),
            lambda connection: serve(connection, self._handle, shown_s),
            lambda connection: serve(connection, self._handle_plain, shown_s),
        )

    def _release(self) -> None:
        if isinstance(self.store, SqliteStore):
            self.store.close()
        if self._scratch is not None:
            self._scratch.cleanup()

    def _directory(self) -> Path:
        if self._options.directory is not None:
            self._options.directory.mkdir(parents=True, exist_ok=True)
            return self._options.directory
        self._scratch = tempfile.TemporaryDirectory(prefix="ingest-")
        return Path(self._scratch.name)

    def _store(self) -> MemoryStore | SqliteStore:
        directory = self._options.directory
        return MemoryStore() if directory is None else SqliteStore(directory / ROWS_FILE)

    def _set_network(self, up: bool) -> None:
        self._listener.cut = not up
        if not up:
            self._listener.reset_all()

    def _handle(self, request: Request) -> Delivery | None:
        if request.path.startswith(PREFIX):
            return Delivery(self.admin.handle(request))
        return self.faults.handle(request)

    def _handle_plain(self, request: Request) -> Delivery | None:
        if request.path.startswith(PREFIX):
            return Delivery(self.admin.handle(request))
        return Delivery(text_response(426, "Upgrade Required: HTTPS only"))

    def _tick(self) -> None:
        while not self._stop.wait(TICK_S):
            self.faults.tick()
