"""What Prometheus sees of the shipper; the ``Observer`` that the drain and the transport report to.

Every series whose labels are known in advance exists from the start, so that an absent one means
"not running". No account, no host and no message is a label.
"""

from typing import Final

from common.clock import Clock
from common.metrics import CollectorRegistry, Counter, Gauge, Histogram, start_at_zero
from shipper.protocol.channel import State
from shipper.protocol.requests import Operation

CODES: Final = (
    "2xx", "3xx", "4xx", "5xx", "timeout", "dns", "tls", "refused", "network", "no_token", "denied",
    "other",
)
"""Values of the label ``code``: the status by its class, or why there was none."""
STATES: Final = ("waiting", *(state.value for state in State))
CAUSES: Final = (
    "lost", "fenced", "stalled", "retries", "refused", "regressed", "recreated", "moved", "other",
)
CREDENTIALS: Final = ("jwt", "pat", "scoped_token")
ALARMS: Final = (
    "broken_promise", "commit_stall", "imbalance", "misconfigured", "row_refused", "rows_rejected",
    "second_writer", "spool_failed", "table_fault", "unauthorized",
)
_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


def code_label(code: str) -> str:
    """The label of a status ("503") or of a kind of failure ("dns")."""
    if code.isdigit():
        return f"{code[0]}xx"
    return code if code in CODES else "other"


class ShipperMetrics:
    """Counters and gauges; see ``shipper.ports.Observer`` for the calls of the drain."""

    def __init__(self, registry: CollectorRegistry, clock: Clock) -> None:
        self._clock = clock
        self._accepted = Counter(
            "thermal_shipper_rows_accepted", "Rows that the server buffered.", registry=registry
        )
        self._committed = Counter(
            "thermal_shipper_rows_committed", "Rows that are in the table for good.",
            registry=registry,
        )
        self._last_commit = Gauge(
            "thermal_shipper_last_commit_timestamp_seconds",
            "When rows were last seen to be committed; 0: not since the start.", registry=registry,
        )
        self._backlog = Gauge(
            "thermal_spool_backlog_rows", "Rows behind the acknowledged one.", registry=registry
        )
        self._requests = Counter(
            "thermal_shipper_requests", "Requests by purpose and outcome.",
            ("operation", "code"), registry=registry,
        )
        start_at_zero(self._requests, [(o.value, c) for o in Operation for c in CODES])
        self._seconds = Histogram(
            "thermal_shipper_request_duration_seconds", "Duration of requests.",
            ("operation",), buckets=_SECONDS, registry=registry,
        )
        start_at_zero(self._seconds, [(o.value,) for o in Operation])
        self._reopens = Counter(
            "thermal_shipper_reopens", "Sessions given up, by cause.", ("cause",), registry=registry
        )
        start_at_zero(self._reopens, [(cause,) for cause in CAUSES])
        self._alarms = Counter(
            "thermal_shipper_alarms", "Things that a person should look at.", ("kind",),
            registry=registry,
        )
        start_at_zero(self._alarms, [(kind,) for kind in ALARMS])
        self._dead_letters = Gauge(
            "thermal_shipper_dead_letters", "Rows and ranges that were kept aside.",
            registry=registry,
        )
        self._state = Gauge(
            "thermal_shipper_state", "1 for the state that the shipper is in.", ("state",),
            registry=registry,
        )
        start_at_zero(self._state, [(state,) for state in STATES])
        self._expiry = Gauge(
            "thermal_credential_expiry_timestamp_seconds",
            "When a credential expires by the server's clock; 0: unknown.", ("kind",),
            registry=registry,
        )
        start_at_zero(self._expiry, [(kind,) for kind in CREDENTIALS])
        self._changed = Gauge(
            "thermal_credential_modified_timestamp_seconds",
            "When the file of the credential was last written; 0: unknown.", ("kind",),
            registry=registry,
        )
        self._current = ""

    def requested(self, operation: str, code: str) -> None:
        """See ``Observer``."""
        self._requests.labels(operation, code_label(code)).inc()

    def took(self, operation: Operation, code: str, seconds: float) -> None:
        """One call of the transport; counts those that the drain does not know of."""
        self._seconds.labels(operation.value).observe(seconds)
        if operation in (Operation.HOSTNAME, Operation.TOKEN):
            self.requested(operation.value, code)

    def accepted(self, rows: int) -> None:
        """See ``Observer``."""
        self._accepted.inc(rows)

    def committed(self, rows: int) -> None:
        """See ``Observer``."""
        self._committed.inc(rows)
        if rows:
            self._last_commit.set(self._clock.realtime_ns() / 1e9)

    def reopened(self, cause: str) -> None:
        """See ``Observer``."""
        self._reopens.labels(cause).inc()

    def state(self, name: str, reason: str) -> None:
        """See ``Observer``; the reason is for the log."""
        if self._current:
            self._state.labels(self._current).set(0)
        self._current = name
        self._state.labels(name).set(1)

    def alarm(self, kind: str, message: str) -> None:
        """See ``Observer``; the message is for the log."""
        self._alarms.labels(kind).inc()

    def backlog(self, rows: int) -> None:
        """Rows behind the acknowledged one."""
        self._backlog.set(rows)

    def dead_letters(self, count: int) -> None:
        """What was kept aside."""
        self._dead_letters.set(count)

    def expires(self, expiries: dict[str, float]) -> None:
        """When credentials expire, seconds since 1970, by kind."""
        for kind, at_s in expiries.items():
            self._expiry.labels(kind).set(at_s)

    def modified(self, kind: str, at_s: float) -> None:
        """When the file of the credential was last written, seconds since 1970."""
        self._changed.labels(kind).set(at_s)
