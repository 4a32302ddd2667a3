"""The shipper with one planted mistake, for negative controls; never used otherwise.

    python -m tests.system.broken_shipper MISTAKE run --config FILE

Both mistakes are those of real streamers. They are planted between drain and network, so that
everything around them is the product's own code.
"""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from shipper import cli
from shipper.protocol.errors import OutcomeUnknown
from shipper.protocol.replies import HttpReply
from shipper.protocol.requests import HttpRequest, Operation
from shipper.transport import HttpTransport

BELIEVES_200: Final = "believes_200"
"""Takes the 200 of an append for "committed": it is told so by open and status from then on."""

FRESH_TOKEN: Final = "fresh_token"
"""After a lost answer it opens the channel and sends the same rows again, whatever is committed."""

_TOKEN_KEYS: Final = ("last_committed_offset_token",)

_send = HttpTransport.send


def believe_200(memory: Path) -> None:
    """Plant the first mistake; ``memory`` keeps the belief through a kill."""

    def send(self: HttpTransport, request: HttpRequest, deadline_s: float) -> HttpReply:
        reply = _send(self, request, deadline_s)
        if request.operation is Operation.APPEND and reply.status == 200:
            memory.write_text(dict(request.query)["endOffsetToken"])
        if request.operation in (Operation.OPEN, Operation.STATUS) and memory.exists():
            body = _with_token(json.loads(reply.body), memory.read_text())
            return replace(reply, body=json.dumps(body).encode())
        return reply

    HttpTransport.send = send  # type: ignore[method-assign]


def resend_under_a_fresh_token() -> None:
    """Plant the second mistake."""
    opened: list[HttpRequest] = []

    def send(self: HttpTransport, request: HttpRequest, deadline_s: float) -> HttpReply:
        if request.operation is Operation.OPEN:
            opened[:] = [request]
        try:
            return _send(self, request, deadline_s)
        except OutcomeUnknown:
            if request.operation is not Operation.APPEND or not opened:
                raise
        reply = _send(self, opened[0], deadline_s)
        if reply.status != 200:
            raise OutcomeUnknown("reset")
        token = json.loads(reply.body)["next_continuation_token"]
        query = dict(request.query) | {"continuationToken": token}
        return _send(self, replace(request, query=tuple(query.items())), deadline_s)

    HttpTransport.send = send  # type: ignore[method-assign]


def _with_token(value: Any, token: str) -> Any:
    """The same JSON, every committed token in it replaced."""
    if isinstance(value, dict):
        return {
            key: token if key in _TOKEN_KEYS else _with_token(item, token)
            for key, item in value.items()
        }
    return [_with_token(item, token) for item in value] if isinstance(value, list) else value


def main() -> int:
    """Plant the mistake, then be the shipper."""
    mistake, *words = sys.argv[1:]
    config = Path(words[words.index("--config") + 1])
    if mistake == BELIEVES_200:
        believe_200(config.with_name("believed-token"))
    elif mistake == FRESH_TOKEN:
        resend_under_a_fresh_token()
    else:
        raise SystemExit(f"no mistake is called {mistake}")
    return cli.main(words)


if __name__ == "__main__":
    sys.exit(main())
