"""The server of the demo as a process, and the mishaps that are done to it."""

from collections.abc import Iterator

import pytest

from tests.demo import bench
from tests.demo.process import free_port, scrape
from tests.demo.server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    """A running one."""
    with bench.places() as places:
        places.make()
        made = Server(places, commit_s=0.0)
        made.start()
        try:
            yield made
        finally:
            made.end()


def test_it_comes_back_with_its_certificate(server: Server) -> None:
    """It starts empty, and a restart keeps the authority that the settings name."""
    assert server.committed_count() == 0
    assert server.committed_rows() == []
    authority = server.ca_file.read_bytes()
    server.end()
    server.start()
    assert server.ca_file.read_bytes() == authority


def test_faults_wait_for_a_silent_server(server: Server) -> None:
    """A stopped process cannot be asked for anything; what was asked is done when it wakes."""
    server.freeze()
    assert server.trouble == "the server is silent"
    server.fault("drop_reply:endpoint=append")
    server.thaw()
    assert server.trouble == ""
    assert server.tally()["opens"] == 0
    server.cut()
    assert server.trouble == "the network is cut"
    server.mend()


def test_nobody_answers_where_nobody_listens() -> None:
    """Negative control: a port without a service has no metrics, and that is no error."""
    assert scrape(free_port()) == {}
