"""A TLS server that does one scripted thing to each connection: for faults below HTTP.

Unlike ``tests.emulators.ingest`` it keeps no state of a service; a script is a function that is
handed the connection and may answer, drip, reset or say nothing.
"""

import contextlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator

Script = Callable[[ssl.SSLSocket, "ScriptedServer"], None]


class ScriptedServer:
    """Listens on 127.0.0.1; each connection runs the next script, the last one for ever."""

    def __init__(self, context: ssl.SSLContext | None, *scripts: Script) -> None:
        """Begin to listen.

        Args:
            context: TLS of the server; ``None``: it accepts, and never says a word.
            scripts: what happens to the connections, in order.
        """
        self._context = context
        self._scripts = list(scripts)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.connections = 0
        self.requests: list[bytes] = []
        self.stopped = threading.Event()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Its base address."""
        return f"https://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Stop accepting, and end the scripts that wait."""
        self.stopped.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while not self.stopped.is_set():
            try:
                accepted, _ = self._listening.accept()
            except OSError:
                return
            script = self._scripts[min(self.connections, len(self._scripts) - 1)]
            self.connections += 1
            threading.Thread(target=self._serve, args=(accepted, script), daemon=True).start()

    def _serve(self, accepted: socket.socket, script: Script) -> None:
        with contextlib.suppress(OSError):
            if self._context is None:
                self.stopped.wait(30)
                accepted.close()
                return
            with self._context.wrap_socket(accepted, server_side=True) as connection:
                connection.settimeout(30)
                script(connection, self)


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None, *scripts: Script) -> Iterator[ScriptedServer]:
    """A ``ScriptedServer`` for the time of a test."""
    server = ScriptedServer(context, *scripts)
    try:
        yield server
    finally:
        server.stop()


def read_request(connection: ssl.SSLSocket, server: ScriptedServer) -> bytes:
    """Read one request, head and body, and note it in ``server.requests``."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65_536)
        if not part:
            return data
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += connection.recv(65_536)
    server.requests.append(head + b"\r\n\r\n" + body)
    return server.requests[-1]


def answer(*parts: bytes, close: bool = False, pause_s: float = 0.0) -> Script:
    """Answer every request of the connection with these bytes.

    Args:
        parts: written one after the other.
        close: whether to hang up after the first answer.
        pause_s: wait before each part.
    """

    def script(connection: ssl.SSLSocket, server: ScriptedServer) -> None:
        while read_request(connection, server):
            for part in parts:
                if pause_s and server.stopped.wait(pause_s):
                    return
                connection.sendall(part)
            if close:
                return

    return script


def drip(data: bytes, pause_s: float) -> Script:
    """Answer one byte at a time."""
    return answer(*(data[i : i + 1] for i in range(len(data))), pause_s=pause_s)


def reset(connection: ssl.SSLSocket, server: ScriptedServer) -> None:
    """Read the request, then reset the connection."""
    read_request(connection, server)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    socket.socket(fileno=connection.detach()).close()


def silence(connection: ssl.SSLSocket, server: ScriptedServer) -> None:
    """Read the request, and say nothing."""
    read_request(connection, server)
    server.stopped.wait(30)


def reply(status: str, body: bytes, *headers: str) -> bytes:
    """A whole answer with its length."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def wait_until(condition: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Poll until a condition holds; whether it did in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()
