"""The admin path: looking at the emulator and steering it from another process.

Plain HTTP or TLS on the emulator's own port; plain HTTP works while the network is cut.

========================  ===========================================================
``GET /admin/state``      channels, tally, requests and answers by endpoint, faults
``GET /admin/requests``   the latest requests, oldest first
``GET /admin/menu``       the names of the faults
``POST /admin/faults``    body: faults as text, ``drop_reply:endpoint=append,times=3``
``POST /admin/heal``      faults off, rules and clock back, network up
``POST /admin/network/down``  TLS connections are reset, open ones too
``POST /admin/network/up``    and accepted again
========================  ===========================================================
"""

import json
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from tests.emulators.ingest.exchange import Exchange
from tests.emulators.ingest.faults import FaultError
from tests.emulators.ingest.menu import described
from tests.emulators.ingest.service import Service
from tests.emulators.ingest.wire import Request, Response, json_response, status_json, text_response

PREFIX: Final = "/admin/"


class AdminDesk:
    """Answers the admin path."""

    def __init__(
        self, service: Service, exchange: Exchange, network: Callable[[bool], None]
    ) -> None:
        """Take what is to be looked at and steered.

        Args:
            service: the account and ingest host.
            exchange: its faults and requests.
            network: called with whether the network is to be up.
        """
        self._service = service
        self._exchange = exchange
        self._network = network

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        match request.method, request.path.removeprefix(PREFIX):
            case "GET", "state":
                return json_response(200, self.state())
            case "GET", "requests":
                with self._exchange.lock:
                    return json_response(200, [seen._asdict() for seen in self._exchange.requests])
            case "GET", "menu":
                return text_response(200, described() + "\n")
            case "POST", "faults":
                return self._add(request)
            case "POST", "heal":
                self._exchange.heal()
                self._network(True)
                return json_response(200, {"faults": []})
            case "POST", "network/down" | "network/up" as path:
                self._network(path.endswith("up"))
                return json_response(200, {"network": path.partition("/")[2]})
        return text_response(404, f"no such admin path; {__doc__}")

    def state(self) -> dict[str, Any]:
        """Everything that can be told in numbers."""
        with self._exchange.lock:
            model = self._service.model
            self._exchange.tick()
            channels = [
                status_json(channel.status())
                | {
                    "continuation_token": channel.token,
                    "uncommitted_appends": len(channel.pending),
                    "uncommitted_rows": sum(len(each.rows) for each in channel.pending),
                }
                for channel in model.channels.values()
            ]
            answers = Counter((seen.endpoint, seen.status) for seen in self._exchange.requests)
            return {
                "channels": channels,
                "tally": model.tally.as_dict(),
                "answers": {f"{end} {status}": n for (end, status), n in sorted(answers.items())},
                "overlapping_appends": self._exchange.overlapping,
                "sessions_missing": self._service.sessions_missing,
                "login_failures": list(self._service.gate.failures.values()),
                "faults": self._exchange.waiting(),
                "fault_hits": self._exchange.hits,
            }

    def _add(self, request: Request) -> Response:
        try:
            self._exchange.add(request.body.decode())
        except (FaultError, UnicodeDecodeError) as error:
            return text_response(400, f"{error}\n")
        return json_response(200, {"faults": self._exchange.waiting()})


class AdminClient:
    """The admin path for tests that run the emulator as a process."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        """Take the emulator's port."""
        self._base = f"http://{host}:{port}{PREFIX}"

    def state(self) -> dict[str, Any]:
        """What ``GET /admin/state`` tells."""
        state: dict[str, Any] = json.loads(self._ask("state", None))
        return state

    def add_faults(self, spec: str) -> None:
        """Add faults; raises ``urllib.error.HTTPError`` with the reason when not understood."""
        self._ask("faults", spec.encode())

    def heal(self) -> None:
        """Faults off, rules back, network up."""
        self._ask("heal", b"")

    def network(self, *, up: bool) -> None:
        """Cut the network or mend it."""
        self._ask("network/up" if up else "network/down", b"")

    def _ask(self, path: str, body: bytes | None) -> bytes:
        # Always http to loopback: the constructor makes the address.
        request = urllib.request.Request(f"{self._base}{path}", data=body)  # noqa: S310
        with urllib.request.urlopen(request, timeout=10) as reply:  # noqa: S310
            answer: bytes = reply.read()
        return answer
