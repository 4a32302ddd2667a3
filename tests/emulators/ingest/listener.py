"""The socket: accepts on loopback, tells TLS from plain HTTP, cuts the line when it is told.

TLS and plain HTTP share the port: the first byte tells them apart. Plain HTTP is for the admin
path alone, so that it still answers while the line is cut.
"""

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable
from typing import Final

HANDSHAKE_TIMEOUT_S: Final = 10.0
_TLS_HANDSHAKE: Final = b"\x16"
_RESET_AT_CLOSE: Final = struct.pack("ii", 1, 0)

Serve = Callable[[socket.socket], None]


class Listener:
    """Accepts connections and gives each a thread.

    Attributes:
        port: the one that was bound; the same after ``resume``.
        cut: while set, TLS connections are reset before their handshake.
    """

    def __init__(
        self, host: str, port: int, context: ssl.SSLContext, serve: Serve, admin: Serve
    ) -> None:
        """Bind and listen.

        Args:
            host: a loopback address.
            context: of the TLS side.
            port: 0: any free one.
            serve: called with each connection after its TLS handshake; must not close it.
            admin: called with each plain connection.
        """
        self._host = host
        self._context = context
        self._serve = serve
        self._admin = admin
        self._lock = threading.Lock()
        self._secure: set[socket.socket] = set()
        self._plain: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()
        self.cut = False
        self._socket: socket.socket | None = None
        self.port = port
        self.resume()

    def resume(self) -> None:
        """Accept connections, again or for the first time."""
        if self._socket is not None:
            return
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = socket.create_server((self._host, self.port), family=family, backlog=128)
        self.port = listening.getsockname()[1]
        self._socket = listening
        self._spawn(self._accept, listening)

    def stop_accepting(self) -> None:
        """Refuse new connections and reset those that are open."""
        if self._socket is None:
            return
        listening, self._socket = self._socket, None
        with contextlib.suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        self.reset_all()

    def reset_all(self) -> None:
        """Reset every open TLS connection."""
        with self._lock:
            for connection in self._secure:
                reset(connection)

    def close(self, timeout_s: float = 5.0) -> None:
        """Stop and wait for the threads."""
        self.stop_accepting()
        with self._lock:
            for connection in self._plain:
                reset(connection)
            threads = tuple(self._threads)
        for thread in threads:
            thread.join(timeout_s)

    def _accept(self, listening: socket.socket) -> None:
        while self._socket is listening:
            try:
                connection, _ = listening.accept()
            except OSError:
                continue
            self._spawn(self._greet, connection)

    def _greet(self, raw: socket.socket) -> None:
        raw.settimeout(HANDSHAKE_TIMEOUT_S)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._plain.add(raw)
        try:
            first = raw.recv(1, socket.MSG_PEEK)
            if first != _TLS_HANDSHAKE:
                self._admin(raw)
            elif not self._away():
                with self._context.wrap_socket(raw, server_side=True) as connection:
                    self._secured(connection)
            else:
                reset(raw)
        except OSError:
            pass
        finally:
            with self._lock:
                self._plain.discard(raw)
            raw.close()

    def _away(self) -> bool:
        return self.cut or self._socket is None

    def _secured(self, connection: socket.socket) -> None:
        """Serve a connection after its handshake, during which the line may have been cut."""
        with self._lock:
            self._secure.add(connection)
        try:
            if self._away():
                reset(connection)
            else:
                self._serve(connection)
        finally:
            with self._lock:
                self._secure.discard(connection)

    def _spawn(self, target: Callable[[socket.socket], None], argument: socket.socket) -> None:
        def run() -> None:
            try:
                target(argument)
            finally:
                with self._lock:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="ingest-emulator", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()


def reset(connection: socket.socket) -> None:
    """Cut a connection: its threads wake up on both sides, and its close sends a reset."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)
