"""A running server emulator that commits at once, and a client of it."""

from collections.abc import Iterator

import pytest

from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.server import IngestServer, ServerOptions
from tests.unit.emulators.ingest_client import Client


@pytest.fixture
def ingest() -> Iterator[IngestServer]:
    """A server in memory."""
    with IngestServer(ServerOptions(knobs=Knobs(commit_delay_s=0.0))) as server:
        yield server


@pytest.fixture
def client(ingest: IngestServer) -> Iterator[Client]:
    """A client of it."""
    with Client(ingest) as connected:
        yield connected
