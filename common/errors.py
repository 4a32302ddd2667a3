"""Errors that a person reads, and the exit status that each one ends a service with."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit statuses, on the values of sysexits(3); systemd does not restart on 64, 77 and 78."""

    OK = 0
    USAGE = 64
    UNAVAILABLE = 69
    SOFTWARE = 70
    CANTCREAT = 73
    IOERR = 74
    TEMPFAIL = 75
    PROTOCOL = 76
    NOPERM = 77
    CONFIG = 78


class ThermalError(Exception):
    """Base of every error that the product raises on purpose.

    The message says what is wrong, where, with which value and which bound; ``hint`` says what a
    person can do about it. The command line prints them as ``Error:`` and ``Try:``.
    """

    exit_code: ExitCode = ExitCode.SOFTWARE

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(ThermalError):
    """The command line cannot be understood, or asks for something that was removed."""

    exit_code = ExitCode.USAGE


class ConfigError(ThermalError):
    """The configuration, or a file that it names, is wrong; nothing but an edit will mend it."""

    exit_code = ExitCode.CONFIG


class PermissionRefused(ThermalError):
    """A file that the service needs exists, but its user may not read or write it."""

    exit_code = ExitCode.NOPERM


class Unavailable(ThermalError):
    """Something outside is not there yet (a bus, a sensor); trying again later may help."""

    exit_code = ExitCode.UNAVAILABLE


class LockHeld(ThermalError):
    """Another process of the same kind already works on this spool."""

    exit_code = ExitCode.TEMPFAIL


class SpoolError(ThermalError):
    """A spool file cannot be opened, read or written.

    Args:
        message: what failed, with the path.
        op: the operation ("open", "append", "trim", "read", …).
        path: the file.
        hint: what a person can do.
    """

    exit_code = ExitCode.IOERR

    def __init__(self, message: str, *, op: str, path: str, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.op = op
        self.path = path
