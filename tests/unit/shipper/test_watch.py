"""What people and Prometheus are told: changes once, alarms once an hour, series from the start."""

import io
from typing import Any

import pytest

from common.identity import Epoch, Lineage, Position
from common.logs import Log
from common.metrics import CollectorRegistry
from common.notify import Notifier
from common.ship_state import Acknowledgement
from common.spool.reader import Backlog
from shipper.metrics import CODES, ShipperMetrics, code_label
from shipper.progress import Progress
from shipper.protocol.requests import Operation
from shipper.watch import Watch, Watched
from tests.emulators.clock import ManualClock


class FakeSpool:
    """A spool with a backlog."""

    def __init__(self) -> None:
        self.after: Position | None = None

    def lineage(self) -> Lineage:
        """One epoch."""
        return Lineage((Epoch(1, "e" * 16, None, "b", 1, 20_000),))

    def backlog(self, after: Position | None) -> Backlog:
        """What lies behind."""
        self.after = after
        return Backlog(12_041)


class FakeLetters:
    """Two dead letters."""

    def count(self) -> int:
        """How many."""
        return 2


class FakeLedger:
    """A ledger with an acknowledgement."""

    dead_letters = FakeLetters()

    def progress(self) -> Progress:
        """Acknowledged through 7,959."""
        return Progress(acknowledged=Acknowledgement("t", "e" * 16, 7_959))


class FakeTransport:
    """A transport with a problem or without."""

    problem = ""

    def expiries(self) -> dict[str, float]:
        """One token."""
        return {"jwt": 1_792_003_540.0}


class Scene:
    """A watch with everything around it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.stream = io.StringIO()
        self.registry = CollectorRegistry()
        self.notifier = Notifier(self.clock)
        self.metrics = ShipperMetrics(self.registry, self.clock)
        self.watch = Watch(
            self.metrics, Log("s", False, self.stream), self.notifier, self.clock
        )
        self.spool, self.transport = FakeSpool(), FakeTransport()
        parts: Any = (self.spool, FakeLedger(), self.transport)
        self.watched = Watched(*parts)

    def value(self, name: str, **labels: str) -> float | None:
        """One series."""
        return self.registry.get_sample_value(name, labels)

    def logged(self, event: str) -> int:
        """How many lines of an event there are."""
        return sum(line.startswith(event) for line in self.stream.getvalue().splitlines())


@pytest.fixture
def scene() -> Scene:
    """A fresh one."""
    return Scene()


def test_every_known_series_exists_from_the_start(scene: Scene) -> None:
    """Absent means "not running", never "has not happened yet"."""
    for operation in Operation:
        for code in CODES:
            name = "thermal_shipper_requests_total"
            assert scene.value(name, operation=operation.value, code=code) == 0
    assert scene.value("thermal_shipper_reopens_total", cause="fenced") == 0
    assert scene.value("thermal_shipper_state", state="waiting") == 0
    assert scene.value("thermal_shipper_alarms_total", kind="second_writer") == 0


@pytest.mark.parametrize(
    ("code", "label"),
    [("200", "2xx"), ("503", "5xx"), ("dns", "dns"), ("truncated", "other"), ("clock", "other")],
)
def test_codes_become_few_labels(code: str, label: str) -> None:
    """A closed set, whatever a server answers."""
    assert code_label(code) == label


def test_a_sign_in_is_counted_once_and_an_append_not_twice(scene: Scene) -> None:
    """The transport counts what the drain does not know of, and times everything."""
    scene.metrics.took(Operation.TOKEN, "200", 0.1)
    scene.metrics.took(Operation.APPEND, "200", 0.1)
    scene.watch.requested("append", "200")
    name = "thermal_shipper_requests_total"
    assert scene.value(name, operation="token", code="2xx") == 1
    assert scene.value(name, operation="append", code="2xx") == 1
    name = "thermal_shipper_request_duration_seconds_count"
    assert scene.value(name, operation="append") == 1


def test_exactly_one_state_is_on(scene: Scene) -> None:
    """A state set, as Prometheus wants it."""
    for name in ("closed", "opening", "ready"):
        scene.watch.state(name, "")
    states = {
        s.labels["state"]: s.value for m in scene.registry.collect()
        if m.name == "thermal_shipper_state" for s in m.samples
    }
    assert [name for name, value in states.items() if value == 1] == ["ready"]


def test_a_reason_is_logged_when_it_changes(scene: Scene) -> None:
    """States come and go with every request; reasons are what people look for."""
    for _ in range(50):
        scene.watch.state("sending", "")
        scene.watch.state("ready", "")
    assert scene.stream.getvalue() == ""
    for _ in range(50):
        scene.watch.state("held", "dns")
        scene.watch.state("sending", "dns")
    scene.watch.state("ready", "")
    assert (scene.logged("waiting"), scene.logged("going_on")) == (1, 1)


def test_an_alarm_is_logged_once_an_hour_and_counted_always(scene: Scene) -> None:
    """Another text is another alarm; the memory of alarms is bounded."""
    for _ in range(10):
        scene.watch.alarm("misconfigured", "ERR_PIPE")
        scene.clock.advance(60)
    assert scene.logged("alarm") == 1
    scene.clock.advance(3600)
    scene.watch.alarm("misconfigured", "ERR_PIPE")
    scene.watch.alarm("misconfigured", "ERR_TABLE")
    assert scene.logged("alarm") == 3
    assert scene.value("thermal_shipper_alarms_total", kind="misconfigured") == 12
    for i in range(1000):
        scene.watch.alarm("row_refused", str(i))
    assert len(scene.watch._alarms) <= 100


def test_the_status_line_says_what_a_person_wants_to_know(scene: Scene) -> None:
    """Backlog and age of the last commit; the reason when nothing goes."""
    scene.watch.state("ready", "")
    scene.watch.look(scene.watched)
    assert scene.watch.line() == "draining: backlog 12 041 rows"
    assert scene.spool.after == Position(1, 7_959)
    scene.watch.committed(10)
    scene.clock.advance(4)
    assert scene.watch.line() == "draining: backlog 12 041 rows, last commit 4 s ago"
    scene.watch.state("held", "dns")
    assert scene.watch.line("the name was not resolved") == (
        "waiting: the name was not resolved; backlog 12 041 rows, last commit 4 s ago"
    )
    scene.watch.state("waiting", "the collector has not made an epoch yet")
    assert scene.watch.line() == (
        "waiting for the collector: the collector has not made an epoch yet"
    )


def test_gauges_are_brought_up_to_date_every_five_seconds(scene: Scene) -> None:
    """Not at every step: a step may end a thousand times a second."""
    scene.watch.look(scene.watched)
    assert scene.value("thermal_spool_backlog_rows") == 12_041
    assert scene.value("thermal_shipper_dead_letters") == 2
    expiry = scene.value("thermal_credential_expiry_timestamp_seconds", kind="jwt")
    assert expiry == 1_792_003_540.0
    scene.spool.after = None
    scene.watch.look(scene.watched)
    assert scene.spool.after is None
    scene.clock.advance(5)
    scene.watch.look(scene.watched)
    assert scene.spool.after is not None


def test_committed_rows_set_the_time_of_the_last_commit(scene: Scene) -> None:
    """None of them does not; the first is worth a line."""
    scene.watch.committed(0)
    assert scene.value("thermal_shipper_last_commit_timestamp_seconds") == 0
    scene.watch.committed(3)
    scene.watch.committed(4)
    last = scene.value("thermal_shipper_last_commit_timestamp_seconds")
    assert last == scene.clock.realtime_ns() / 1e9
    assert scene.value("thermal_shipper_rows_committed_total") == 7
    assert scene.logged("first_commit") == 1
