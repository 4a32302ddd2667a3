"""An authority, a certificate of it, and a wire that trusts it: shared by the tests of the edge."""

import ssl
from collections.abc import Iterator

import pytest

from common.clock import SystemClock
from shipper.wire import Wire
from tests.emulators.certificates import Authority


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """One authority for all tests."""
    return Authority.make(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def context(authority: Authority) -> ssl.SSLContext:
    """A server certificate for 127.0.0.1."""
    return authority.server_context()


@pytest.fixture
def wire(authority: Authority) -> Iterator[Wire]:
    """A wire that trusts the authority."""
    made = Wire(SystemClock(), authority.ca_file)
    yield made
    made.close()
