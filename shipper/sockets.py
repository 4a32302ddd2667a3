"""TLS sockets that end at a deadline, whatever the other side does, and know if anything was sent.

A read timeout bounds one read: a server that sends a byte a second holds a call for ever. Here one
deadline bounds looking up, connecting, the handshake, sending and all reads together, because each
of these steps is given only the time that is left.
"""

import socket
import ssl
import threading
from pathlib import Path
from typing import Any, Final

from common.clock import Clock
from common.errors import ConfigError, PermissionRefused

RECEIVED_MAX: Final = 2 << 20
"""Most bytes of one answer on the wire, heads and chunk marks too; the body has its own cap."""
STOP_GRACE_S: Final = 10.0
"""What a call may still take after the service was asked to stop."""
LOOK_S: Final = 1.0
"""How often a read that waits looks whether it should go on."""

Address = tuple[Any, Any, int, str, Any]
"""One line of ``getaddrinfo``: family, type, protocol, name, socket address."""


class AnswerTooLarge(OSError):
    """The answer went on beyond every size that an answer of the API has."""


class Deadline:
    """What one call may take, and what became of it so far."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._end_s = 0.0
        self._received = 0
        self._stopping = False
        self.sent = False

    def start(self, seconds: float) -> None:
        """Begin a call."""
        self._end_s = self._clock.monotonic_s() + seconds
        self._received = 0
        self._stopping = False
        self.sent = False

    def left_s(self) -> float:
        """Seconds that are left, more than 0; few, once the service was asked to stop.

        Raises:
            TimeoutError: none is left.
        """
        now_s = self._clock.monotonic_s()
        if self._clock.stopping and not self._stopping:
            self._stopping = True
            self._end_s = min(self._end_s, now_s + STOP_GRACE_S)
        left_s = self._end_s - now_s
        if left_s <= 0:
            raise TimeoutError("the deadline of the call has passed")
        return left_s

    def count(self, received: int) -> None:
        """Note bytes that came in.

        Raises:
            AnswerTooLarge: more came in than any answer has.
        """
        self._received += received
        if self._received > RECEIVED_MAX:
            raise AnswerTooLarge(f"more than {RECEIVED_MAX} bytes in one answer")


class DeadlineSocket(ssl.SSLSocket):
    """A TLS socket whose every step takes at most what its context's deadline leaves."""

    context: "DeadlineContext"

    def do_handshake(self, block: bool = False) -> None:
        """See ``ssl.SSLSocket``; OpenSSL's handshake keeps the timeout over all its messages."""
        self.settimeout(self.context.deadline.left_s())
        super().do_handshake(block)

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - the base's name
        """See ``ssl.SSLSocket``; every receiving method ends here."""
        deadline = self.context.deadline
        while True:
            self.settimeout(min(deadline.left_s(), LOOK_S))
            try:
                got: Any = super().read(len, buffer)
            except TimeoutError:
                # Nothing came, and nothing was lost: look at the deadline, which a stop cuts short.
                continue
            deadline.count(got if buffer is not None else got.__len__())
            return got

    def send(self, data: Any, flags: int = 0) -> int:
        """See ``ssl.SSLSocket``; every sending method ends here."""
        self.settimeout(self.context.deadline.left_s())
        # From here on nobody can say that the other side knows nothing of the request.
        self.context.deadline.sent = True
        return super().send(data, flags)


class DeadlineContext(ssl.SSLContext):
    """TLS 1.2 or later, verified, without a way to turn that off; makes ``DeadlineSocket``s."""

    sslsocket_class = DeadlineSocket
    deadline: Deadline


def make_context(deadline: Deadline, ca_file: Path | None) -> DeadlineContext:
    """The one TLS context of a transport.

    Args:
        deadline: what bounds its sockets.
        ca_file: authorities to trust instead of the system's; ``None``: the system's, or those of
            the certifi package where the system has none.

    Raises:
        ConfigError: the file is not there or holds no certificate.
        PermissionRefused: the file cannot be read.
    """
    context = DeadlineContext(ssl.PROTOCOL_TLS_CLIENT)
    context.deadline = deadline
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.hostname_checks_common_name = False
    if ca_file is not None:
        _trust(context, ca_file)
        return context
    context.load_default_certs()
    if not _system_has_authorities():
        import certifi

        context.load_verify_locations(certifi.where())
    return context


def _system_has_authorities() -> bool:
    """Whether OpenSSL's default file or directory of authorities exists."""
    paths = ssl.get_default_verify_paths()
    found: tuple[str | None, ...] = (paths.cafile, paths.capath)
    return any(path is not None for path in found)


def _trust(context: ssl.SSLContext, ca_file: Path) -> None:
    """Load an operator's file of authorities, or say what is wrong with it."""
    try:
        context.load_verify_locations(cafile=ca_file)
    except PermissionError:
        raise PermissionRefused(
            f"{ca_file} cannot be read by this user", hint=f"chmod 644 {ca_file}"
        ) from None
    except (OSError, ssl.SSLError) as error:
        problem = "holds no PEM certificate" if isinstance(error, ssl.SSLError) else error.strerror
        raise ConfigError(
            f"[snowflake] ca_file {ca_file}: {problem}",
            hint="give a file with -----BEGIN CERTIFICATE----- blocks, or take ca_file out",
        ) from None


class Resolver:
    """Looks names up in a thread, since the C library's resolver cannot be interrupted."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, int], tuple[threading.Thread, list[Any]]] = {}

    def resolve(self, host: str, port: int, timeout_s: float) -> list[Address]:
        """The addresses of a host.

        Raises:
            socket.gaierror: there are none, or no answer came in time.
        """
        key = (host, port)
        thread, result = self._running.get(key) or self._start(key)
        thread.join(timeout_s)
        if thread.is_alive():
            raise socket.gaierror(socket.EAI_AGAIN, f"no answer within {timeout_s:.0f} s")
        del self._running[key]
        if isinstance(result[0], OSError):
            raise result[0]
        addresses: list[Address] = result[0]
        return addresses

    def _start(self, key: tuple[str, int]) -> tuple[threading.Thread, list[Any]]:
        """Begin a look-up; a later call for the same name joins one that still runs."""
        result: list[Any] = []
        thread = threading.Thread(
            target=_look_up, args=(*key, result), daemon=True, name="resolver"
        )
        self._running[key] = (thread, result)
        thread.start()
        return thread, result


def _look_up(host: str, port: int, result: list[Any]) -> None:
    """Put the addresses, or the error, into ``result``."""
    try:
        result.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except OSError as error:
        result.append(error)
    except UnicodeError:
        result.append(socket.gaierror(socket.EAI_NONAME, "not a valid host name"))


def connect(host: str, port: int, deadline: Deadline, resolver: Resolver) -> socket.socket:
    """A TCP connection to the first address that answers.

    Each address gets an equal share of the time that is left, so that one that swallows packets
    does not take the others' turn.

    Raises:
        OSError: no address could be connected to; the last error.
    """
    addresses = resolver.resolve(host, port, deadline.left_s())
    failure: OSError = socket.gaierror(socket.EAI_NONAME, "the name has no address")
    for tried, (family, kind, protocol, _, address) in enumerate(addresses):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(deadline.left_s() / (len(addresses) - tried))
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(deadline.left_s())
        except OSError as error:
            connection.close()
            failure = error
        else:
            return connection
    raise failure
