"""The log: one line per event, written to stdout for the journal.

A line is ``event message key=value …``. Log what changes, not what is: a dead sensor once when it
dies and once when it lives again. Under systemd each line carries its priority as ``<N>``, see
sd-daemon(3); elsewhere a warning or an error ends with ``level=…``.
"""

import json
import os
import re
import sys
import threading
from enum import IntEnum
from typing import Final, TextIO

from common.redaction import MASK, SECRETS, Redactor

_PLAIN: Final = re.compile(r"[^\s\"'=\x00-\x1f\x7f\\]+")
_SECRET_NAMES: Final = frozenset(
    {"authorization", "jwt", "passphrase", "password", "pat", "private_key", "secret"}
)


class Level(IntEnum):
    """Priorities of syslog(3)."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


class Log:
    """Writes events; safe to use from all threads, and never the reason that a service ends.

    Args:
        service: who speaks, "thermal-collector" or "thermal-shipper"; not written, because the
            journal adds it to each line.
        verbose: whether ``debug`` writes.
        stream: where to; ``None``: stdout.
        redactor: what must not appear; ``None``: the secrets of the process.
    """

    def __init__(
        self,
        service: str,
        verbose: bool = False,
        stream: TextIO | None = None,
        redactor: Redactor | None = None,
    ) -> None:
        self.service = service
        self.verbose = verbose
        self._stream = stream if stream is not None else sys.stdout
        self._redactor = redactor if redactor is not None else SECRETS
        self._journal = is_journal(self._stream)
        self._lock = threading.Lock()

    def hide(self, secret: str, *, slot: str = "") -> None:
        """See ``Redactor.hide``."""
        self._redactor.hide(secret, slot=slot)

    def debug(self, event: str, message: str = "", /, **fields: object) -> None:
        """Details that help to understand; written only when verbose."""
        if self.verbose:
            self._write(Level.DEBUG, event, message, fields)

    def info(self, event: str, message: str = "", /, **fields: object) -> None:
        """Normal life."""
        self._write(Level.INFO, event, message, fields)

    def notice(self, event: str, message: str = "", /, **fields: object) -> None:
        """Normal, but worth finding later."""
        self._write(Level.NOTICE, event, message, fields)

    def warning(self, event: str, message: str = "", /, **fields: object) -> None:
        """Something is wrong and the service copes."""
        self._write(Level.WARNING, event, message, fields)

    def error(self, event: str, message: str = "", /, **fields: object) -> None:
        """Something is wrong and a person must look."""
        self._write(Level.ERROR, event, message, fields)

    def _write(self, level: Level, event: str, message: str, fields: dict[str, object]) -> None:
        line = self._redactor.clean(render(event, message, fields))
        if self._journal:
            line = f"<{level:d}>{line}"
        elif level <= Level.WARNING:
            line = f"{line} level={level.name.lower()}"
        with self._lock:
            self._put(line + "\n")

    def _put(self, line: str) -> None:
        # A full disk, a closed pipe or a restarted journal must not stop the measuring.
        try:
            try:
                self._stream.write(line)
            except UnicodeEncodeError:
                self._stream.write(line.encode("ascii", "backslashreplace").decode("ascii"))
            self._stream.flush()
        except (OSError, ValueError):
            return


def is_journal(stream: TextIO) -> bool:
    """Whether systemd connected this stream to the journal: ``JOURNAL_STREAM`` names its inode."""
    try:
        stat = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


def render(event: str, message: str, fields: dict[str, object]) -> str:
    """The line of one event, without priority and line end, and always exactly one line."""
    parts = [event]
    if message:
        parts.append(one_line(message))
    for name, value in fields.items():
        shown = MASK if name in _SECRET_NAMES else _value(value)
        parts.append(f"{name}={shown}")
    return " ".join(parts)


def _value(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text if _PLAIN.fullmatch(text) else one_line(json.dumps(text, ensure_ascii=False))


def one_line(text: str) -> str:
    """The text with each character that could end a line or fool a terminal as its escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
