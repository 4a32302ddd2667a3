"""The frame of both command lines: flags that were removed, errors like everywhere, ``--config``.

Nothing heavy is imported before it is known what to do: ``--version`` and ``--help`` are instant.
"""

import argparse
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeAlias

from common import __version__
from common.errors import UsageError
from common.runtime import run_service
from common.settings import DEFAULT_CONFIG

Do: TypeAlias = Callable[[argparse.Namespace, threading.Event], int]
"""Carries one command out; the event is set when it is to stop."""


class Parser(argparse.ArgumentParser):
    """Errors as everywhere else: ``Error:``, ``Try:``, status 64."""

    def error(self, message: str) -> NoReturn:
        """See ``argparse.ArgumentParser``."""
        raise UsageError(message, hint=f"{self.prog} --help")


@dataclass(frozen=True, slots=True)
class Program:
    """What a program says of itself.

    Attributes:
        name: as it is typed.
        description: what it is for.
        epilog: examples, exit statuses and whatever else ``--help`` teaches.
        removed: flags of earlier streamers, and why there are none.
    """

    name: str
    description: str
    epilog: str
    removed: Mapping[str, str]


class Commands:
    """Commands side by side: those of a program, or those below one command of it.

    Args:
        parser: whose commands they are.
    """

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._commands = parser.add_subparsers(
            required=True, metavar="COMMAND", parser_class=Parser
        )

    def bare_command(self, name: str, do: Do, help_: str, text: str = "") -> Parser:
        """Add one command that needs no configuration; ``text`` is its own longer help."""
        made = self._parser(name, help_, text)
        made.set_defaults(command=do)
        return made

    def command(self, name: str, do: Do, help_: str, text: str = "") -> Parser:
        """Add one command with ``--config``."""
        made = self.bare_command(name, do, help_, text)
        made.add_argument(
            "--config",
            type=Path,
            default=DEFAULT_CONFIG,
            metavar="FILE",
            help=f"configuration (default {DEFAULT_CONFIG})",
        )
        return made

    def group(self, name: str, help_: str, text: str) -> "Commands":
        """Add one command that has commands of its own."""
        return Commands(self._parser(name, help_, text))

    def _parser(self, name: str, help_: str, text: str) -> Parser:
        return self._commands.add_parser(
            name,
            help=help_,
            description=text or help_[0].upper() + help_[1:] + ".",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )


class CommandLine(Commands):
    """The parser of one program, and the call of what was asked for."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.parser = Parser(
            prog=program.name,
            description=program.description,
            epilog=program.epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        version = f"{program.name} {__version__} (Python {sys.version.split()[0]})"
        self.parser.add_argument("--version", action="version", version=version)
        super().__init__(self.parser)

    def main(self, argv: Sequence[str] | None = None) -> int:
        """Do what the words ask for; returns the exit status."""
        words = list(sys.argv[1:] if argv is None else argv)
        return run_service(lambda stop: self._run(words, stop))

    def _run(self, words: list[str], stop: threading.Event) -> int:
        name, removed = self._program.name, self._program.removed
        for word in words:
            flag = word.partition("=")[0]
            if flag in removed:
                raise UsageError(f"{flag} was removed: {removed[flag]}", hint=f"{name} --help")
        if words and words[0].startswith("--") and words[0] not in ("--help", "--version"):
            raise UsageError(
                f"no command before {words[0]}", hint=f"{name} run {' '.join(words)}"
            )
        arguments = self.parser.parse_args(words)
        do: Do = arguments.command
        return do(arguments, stop)


def add_json(command: Parser) -> None:
    """Add ``--json``."""
    command.add_argument("--json", action="store_true", help="one JSON object on stdout")
