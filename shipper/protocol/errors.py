"""Two kinds of protocol error, and the two ways in which a request can come to nothing.

``LocalProtocolError`` is a bug of ours. ``RemoteProtocolError`` is a promise that the server broke.
The transport knows no third outcome between ``NotSent`` (surely not applied) and ``OutcomeUnknown``
(perhaps applied), because the protocol's safety rests on telling these two apart.
"""

from common.errors import ExitCode, ThermalError


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
    """

    def __init__(self, kind: str, message: str = "") -> None:
        super().__init__(message or kind)
        self.kind = kind


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
