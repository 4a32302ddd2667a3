"""What a network keeps of the past: requests that arrive late, and answers that were true once."""

import heapq
from collections import defaultdict, deque
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final

from tests.emulators.ingest.routes import Route
from tests.emulators.ingest.wire import Request, Response

ANSWERS_KEPT: Final = 256


@dataclass(slots=True)
class Latecomers:
    """Requests that were held up on the way, by the time of their arrival."""

    _held: list[tuple[float, int, Request, Route]] = field(default_factory=list)
    _number: "count[int]" = field(default_factory=count)

    def hold(self, until_s: float, request: Request, where: Route) -> None:
        """Keep a request until then."""
        heapq.heappush(self._held, (until_s, next(self._number), request, where))

    def due(self, now_s: float) -> list[tuple[Request, Route]]:
        """Those that arrive now, in their order."""
        found = []
        while self._held and self._held[0][0] <= now_s:
            _, _, request, where = heapq.heappop(self._held)
            found.append((request, where))
        return found


@dataclass(slots=True)
class StatusAnswers:
    """The latest good answers of the status endpoint, by path."""

    _answers: "dict[str, deque[tuple[float, Response]]]" = field(
        default_factory=lambda: defaultdict(lambda: deque(maxlen=ANSWERS_KEPT))
    )

    def note(self, path: str, now_s: float, response: Response) -> None:
        """Remember an answer."""
        if response.status == 200:
            self._answers[path].append((now_s, response))

    def as_of(self, path: str, at_s: float) -> tuple[float, Response] | None:
        """The newest answer of that time or before, or the oldest known; ``None``: none known."""
        known = self._answers[path]
        before = [answer for answer in known if answer[0] <= at_s]
        return before[-1] if before else known[0] if known else None


def aged(response: Response, seconds: float) -> Response:
    """The answer as a cache gives it, with its age."""
    return replace(response, headers=(*response.headers, ("Age", str(max(1, int(seconds))))))
