"""Rates above which a channel is throttled: requests and bytes of a sliding second."""

from collections import deque
from dataclasses import dataclass, field

from tests.emulators.ingest.answers import ChannelName


@dataclass(slots=True)
class RateLimit:
    """Documented for a named channel: 10 requests/s and 20 MB/s uncompressed; off unless set.

    Attributes:
        requests_per_s: ``None``: no limit.
        bytes_per_s: uncompressed; ``None``: no limit.
    """

    requests_per_s: float | None = None
    bytes_per_s: float | None = None
    _seen: dict[ChannelName, deque[tuple[float, int]]] = field(default_factory=dict)

    def exceeded(self, name: ChannelName, size: int, now_s: float) -> bool:
        """Whether one more append is too many; a refused one does not count."""
        if self.requests_per_s is None and self.bytes_per_s is None:
            return False
        seen = self._seen.setdefault(name, deque())
        while seen and seen[0][0] <= now_s - 1.0:
            seen.popleft()
        many = self.requests_per_s is not None and len(seen) + 1 > self.requests_per_s
        total = sum(each for _, each in seen) + size
        if many or (self.bytes_per_s is not None and total > self.bytes_per_s):
            return True
        seen.append((now_s, size))
        return False
