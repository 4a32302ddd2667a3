"""Two kinds of protocol error, and the two ways in which a request can come to nothing.

``LocalProtocolError`` is a bug of ours. ``RemoteProtocolError`` is a promise that the server broke.
The transport knows no third outcome between ``NotSent`` (surely not applied) and ``OutcomeUnknown``
(perhaps applied), because the protocol's safety rests on telling these two apart.
"""

from typing import Final

from common.errors import ExitCode, ThermalError

DENIED: Final = "denied"
"""The kind of a ``NotSent`` whose credential was refused while signing in."""


class LocalProtocolError(ThermalError):
    """We were about to break the protocol, or a watermark of ours is impossible.

    A bug, never retried.
    """

    exit_code = ExitCode.SOFTWARE


class RemoteProtocolError(ThermalError):
    """The server broke a promise (committed fell, or passed what it accepted).

    The channel is faulted.
    """

    exit_code = ExitCode.PROTOCOL


class NotSent(Exception):
    """Certainly nothing of the request reached the server; it may be sent again as it is.

    Args:
        kind: why, from a small fixed set ("dns", "tls", "refused", "no_token", "clock", …).
        message: what a person should read; never a secret.
        retry_after_s: the wish of a server that refused to sign us in; ``None``: none given.
    """

    def __init__(self, kind: str, message: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message or kind)
        self.kind = kind
        self.retry_after_s = retry_after_s


class OutcomeUnknown(Exception):
    """At least one byte left and no definite answer came back.

    The server may have applied the request.

    Args:
        kind: why, from a small fixed set ("timeout", "reset", "truncated", "too_long", …).
        message: what a person should read; never a secret.
    """

    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(message or kind)
        self.kind = kind
