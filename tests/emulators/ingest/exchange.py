"""One request through faults and service: what is carried out and what, if anything, comes back."""

import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple

from tests.emulators.ingest.effects import (
    BAD_DAY,
    Answer,
    Delay,
    Drip,
    DropReply,
    DropRequest,
    Duplicate,
    Effect,
    GzipRubbish,
    Late,
    Mishap,
    Stale,
    Storm,
    Truncate,
    UnknownKeys,
    disturbed,
    rendered,
)
from tests.emulators.ingest.faults import FaultBook, FaultError
from tests.emulators.ingest.menu import MENU
from tests.emulators.ingest.mishaps import World
from tests.emulators.ingest.past import Latecomers, StatusAnswers, aged
from tests.emulators.ingest.routes import Route
from tests.emulators.ingest.service import Service
from tests.emulators.ingest.wire import Endpoint, Request, Response

REQUESTS_KEPT: Final = 10_000


@dataclass(frozen=True, slots=True)
class Delivery:
    """A response and how it travels.

    Attributes:
        bytes_per_s: of its body; ``None``: at once.
        keep: bytes of the body after which the connection is reset; ``None``: whole.
    """

    response: Response
    bytes_per_s: float | None = None
    keep: int | None = None


class Seen(NamedTuple):
    """A request that came, for tests and people; holds no credential.

    Attributes:
        status: of the answer; 0: none was sent.
    """

    at_s: float
    endpoint: str
    method: str
    path: str
    request_id: str
    retry_count: str
    status: int


class Exchange:
    """Serves requests, one at a time in the service, however many wait in delays.

    Attributes:
        lock: held while the model is touched; tests that look at the model take it too.
        requests: the latest that came.
        overlapping: appends to a channel that came while another one to it was being served.
    """

    def __init__(
        self, service: Service, seed: int = 0, wait: Callable[[float], object] | None = None
    ) -> None:
        """Start without faults.

        Args:
            service: what is asked.
            seed: of the faults.
            wait: lets so many seconds pass; ``None``: really, until ``stop``.
        """
        self.lock = threading.RLock()
        self.requests: deque[Seen] = deque(maxlen=REQUESTS_KEPT)
        self.overlapping = 0
        self._service = service
        self._world = World(service)
        self._book = FaultBook(MENU, seed)
        self._random = Random(seed)
        self._stop = threading.Event()
        self._pass = wait or self._stop.wait
        self._late = Latecomers()
        self._statuses = StatusAnswers()
        self._appending: Counter[str] = Counter()

    def add(self, spec: str) -> None:
        """Add faults written as ``name:key=value,…;…``.

        Raises:
            FaultError: it is not understood; nothing was added, though a mishap that found
                nothing to happen to may follow others that did happen.
        """
        with self.lock:
            for effect in self._book.add(spec):
                if isinstance(effect, Mishap):
                    self._world.befall(effect)

    def heal(self) -> None:
        """Take all faults off and put the server's rules and clock back."""
        with self.lock:
            self._book.heal()
            self._world.heal()

    def waiting(self) -> list[dict[str, object]]:
        """The faults that are on."""
        with self.lock:
            return self._book.waiting()

    @property
    def hits(self) -> dict[str, int]:
        """How often each fault has struck."""
        with self.lock:
            return dict(self._book.hits)

    def tick(self) -> None:
        """Commit what is due, so that the table is right also when nobody asks."""
        with self.lock:
            self._carry_out_late()
            self._service.model.advance(self._service.clock.now_s())

    def stop(self) -> None:
        """End all delays."""
        self._stop.set()

    def handle(self, request: Request) -> Delivery | None:
        """Serve a request; ``None``: reset the connection without an answer."""
        with self.lock:
            self._carry_out_late()
            where = self._service.find(request)
            effects = [] if isinstance(where, Response) else self._book.take(where.endpoint)
        if isinstance(where, Response):
            self._note(request, "none", where.status)
            return Delivery(where)
        with self._counted(where):
            delivery = self._serve(request, where, effects)
        status = 0 if delivery is None else delivery.response.status
        self._note(request, where.endpoint.value, status)
        return delivery

    def _serve(self, request: Request, where: Route, effects: Sequence[Effect]) -> Delivery | None:
        self._wait(effects, before=True)
        response = self._apply(request, where, effects)
        self._wait(effects, before=False)
        if response is None or any(isinstance(effect, DropReply) for effect in effects):
            return None
        bytes_per_s, keep = None, None
        for effect in effects:
            match effect:
                case UnknownKeys() | GzipRubbish():
                    response = disturbed(response, effect)
                case Drip():
                    bytes_per_s = effect.bytes_per_s
                case Truncate():
                    keep = effect.keep
        return Delivery(response, bytes_per_s, keep)

    def _apply(self, request: Request, where: Route, effects: Sequence[Effect]) -> Response | None:
        """Carry the request out as often as the faults have it; ``None``: never answered."""
        with self.lock:
            for effect in effects:
                if isinstance(effect, Mishap):
                    with suppress(FaultError):  # Aimed at a request that has no pipe.
                        self._world.befall(effect, where)
            if any(isinstance(effect, DropRequest) for effect in effects):
                return None
            for effect in effects:
                if isinstance(effect, Late):
                    due_s = self._service.clock.now_s() + effect.seconds
                    self._late.hold(due_s, request, where)
                    return None
            answer = self._answer(effects)
            if answer is not None and not answer.applied:
                return rendered(answer, self._service.clock.shown_s())
            response = self._service.respond(request, where)
            if any(isinstance(effect, Duplicate) for effect in effects):
                self._service.respond(request, where)
            if answer is not None:
                return rendered(answer, self._service.clock.shown_s())
            return self._remembered(request, where, response, effects)

    def _remembered(
        self, request: Request, where: Route, response: Response, effects: Sequence[Effect]
    ) -> Response:
        """The answer, or an older one of the status endpoint."""
        if where.endpoint is not Endpoint.STATUS:
            return response
        now_s = self._service.clock.now_s()
        self._statuses.note(request.path, now_s, response)
        for effect in effects:
            if isinstance(effect, Stale):
                found = self._statuses.as_of(request.path, now_s - effect.seconds)
                if found is not None:
                    at_s, older = found
                    return aged(older, now_s - at_s) if effect.cached else older
        return response

    def _carry_out_late(self) -> None:
        """What was held up on the way arrives; nobody waits for its answer."""
        for request, where in self._late.due(self._service.clock.now_s()):
            self._service.respond(request, where)

    def _answer(self, effects: Sequence[Effect]) -> Answer | None:
        for effect in effects:
            if isinstance(effect, Answer):
                return effect
            if isinstance(effect, Storm):
                status, shape, text = self._random.choice(BAD_DAY)
                return Answer(status, shape, text, text, applied=effect.applied)
        return None

    def _wait(self, effects: Sequence[Effect], *, before: bool) -> None:
        for effect in effects:
            if isinstance(effect, Delay) and effect.before is before:
                self._pass(effect.seconds)

    @contextmanager
    def _counted(self, where: Route) -> Iterator[None]:
        if where.endpoint is not Endpoint.APPEND:
            yield
            return
        with self.lock:
            self._appending[where.channel] += 1
            self.overlapping += self._appending[where.channel] > 1
        try:
            yield
        finally:
            with self.lock:
                self._appending[where.channel] -= 1

    def _note(self, request: Request, endpoint: str, status: int) -> None:
        asked = request.parameters()
        seen = Seen(
            self._service.clock.now_s(),
            endpoint,
            request.method,
            request.path,
            asked.get("requestId", ""),
            asked.get("retryCount", ""),
            status,
        )
        with self.lock:
            self.requests.append(seen)
