"""What every test can rely on: no trace of the machine's systemd, and no way to the internet."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.tools.spools import close_opened

# One result for one state of the code; `--hypothesis-profile=explore` looks for new examples. No
# deadline: a machine that is busy with something else proves nothing.
_SLOW = (HealthCheck.too_slow,)
settings.register_profile("fixed", deadline=None, derandomize=True, suppress_health_check=_SLOW)
settings.register_profile("explore", deadline=None, max_examples=1_000, suppress_health_check=_SLOW)
settings.load_profile("fixed")

_FROM_SYSTEMD = (
    "CREDENTIALS_DIRECTORY",
    "JOURNAL_STREAM",
    "LISTEN_FDNAMES",
    "LISTEN_FDS",
    "LISTEN_PID",
    "NOTIFY_SOCKET",
    "RUNTIME_DIRECTORY",
    "STATE_DIRECTORY",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options that let the conformance suites run against the real thing as well."""
    group = parser.getgroup("thermal")
    group.addoption("--i2c", default="", help="a real bus, such as /dev/i2c-1")
    group.addoption("--ingest-url", default="", help="a real account URL for the conformance suite")
    group.addoption("--seed", type=int, default=1, help="first seed of the seeded tests")


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """The first seed; a failing test prints the one it failed with."""
    value: int = request.config.getoption("--seed")
    return value


@pytest.fixture(autouse=True)
def _no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests that want systemd's variables set them; those of the machine are none of ours."""
    for name in _FROM_SYSTEMD:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _loopback_only(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that reaches for another machine fails, unless it was sent there by --ingest-url."""
    if request.config.getoption("--ingest-url"):
        yield
        return
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_loopback(address[0]):
            raise AssertionError(f"a test tried to reach {address[0]}, only loopback is allowed")
        real(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect)
        yield


def _is_loopback(host: str) -> bool:
    return host in {"localhost", "::1"} or host.startswith("127.")


@pytest.fixture(autouse=True)
def _closed_at_the_end() -> Iterator[None]:
    """Readers and ledgers that a test opened by ``tests.tools.spools`` are closed after it."""
    yield
    close_opened()
