"""How a process of the product lives and ends: signals become an event, errors an exit status."""

import contextlib
import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Final, TextIO

from common.errors import ExitCode, ThermalError
from common.logs import Level, is_journal
from common.redaction import SECRETS

_INTERRUPTED: Final = 128 + signal.SIGINT
_PIPE_CLOSED: Final = 128 + signal.SIGPIPE


def run_service(main: Callable[[threading.Event], int]) -> int:
    """Run a program and return its exit status.

    SIGTERM and SIGINT set the event that ``main`` gets; a second SIGINT ends it at once. An error
    made for people is printed as ``Error:`` and ``Try:`` and gives its own status; anything else is
    a bug, printed as a traceback without secrets, status 70. A thread that dies of a bug stops the
    whole process with 70 too: systemd starts it again, whereas a service without one of its threads
    would look alive.

    Args:
        main: the program; returns the exit status.
    """
    stop = threading.Event()
    crashed = threading.Event()

    def thread_died(args: threading.ExceptHookArgs) -> None:
        if args.exc_value is None or isinstance(args.exc_value, SystemExit):
            return
        _print_traceback(args.exc_value)
        crashed.set()
        stop.set()

    former = threading.excepthook
    threading.excepthook = thread_died
    try:
        with _signals(stop):
            status = _guarded(main, stop)
    finally:
        threading.excepthook = former
    return ExitCode.SOFTWARE if crashed.is_set() and status == ExitCode.OK else status


def _guarded(main: Callable[[threading.Event], int], stop: threading.Event) -> int:
    try:
        return int(main(stop))
    except ThermalError as error:
        print_error(error)
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (``status | head``): nothing more can be said there.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except Exception as error:  # noqa: BLE001 - the last resort: a bug is shown and gives 70
        _print_traceback(error)
        return ExitCode.SOFTWARE


def print_error(error: ThermalError) -> None:
    """Print ``Error: …`` and, if there is a remedy, ``Try: …`` to stderr, without secrets."""
    lines = f"Error: {error}"
    if error.hint:
        lines += f"\nTry: {error.hint}"
    _to_stderr(lines)


def _print_traceback(error: BaseException) -> None:
    text = "".join(traceback.format_exception(error))
    _to_stderr(f"{text}Error: {type(error).__name__}: this is a bug in the program")


def _to_stderr(text: str) -> None:
    stream: TextIO | None = sys.stderr
    if stream is None:
        return
    prefix = f"<{Level.ERROR:d}>" if is_journal(stream) else ""
    lines = [prefix + line + "\n" for line in SECRETS.clean(text).splitlines()]
    with contextlib.suppress(OSError, ValueError):
        stream.writelines(lines)
        stream.flush()


@contextlib.contextmanager
def _signals(stop: threading.Event) -> Iterator[None]:
    """Turn SIGTERM and SIGINT into ``stop`` while the context lasts.

    The handler does not set the event itself: it runs in the main thread, between any two of its
    instructions, and would wait for ever for the event's lock when the main thread holds it just
    then. ``SimpleQueue.put`` is made for that; a thread of its own takes it from there.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked: queue.SimpleQueue[bool] = queue.SimpleQueue()
    seen: list[int] = []

    def handler(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and signal.SIGINT in seen:
            raise KeyboardInterrupt
        seen.append(number)
        asked.put(True)

    def wait() -> None:
        while asked.get():
            stop.set()

    former = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    waiter = threading.Thread(target=wait, name="signals", daemon=True)
    waiter.start()
    try:
        yield
    finally:
        for number, handle in former.items():
            signal.signal(number, handle)
        asked.put(False)
        waiter.join()
