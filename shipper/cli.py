"""The command line of thermal-shipper: reads the words, and calls what they ask for.

Nothing heavy is imported before it is known what to do: ``--version`` and ``--help`` are instant.
"""

import argparse
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from common.cli import CommandLine, Program, add_json
from shipper.cli_audit import add_audit
from shipper.cli_upkeep import add_upkeep

_PROGRAM: Final = "thermal-shipper"

_REMOVED: Final = {
    "--simulate": "only real measurements are shipped",
    "--demo": "only real measurements are shipped",
    "--channel": "the channel's name follows from the install",
    "--channel-name": "the channel's name follows from the install",
    "--pat": "secrets are files: [snowflake] pat_file",
    "--password": "sign in with a key pair or an access token",
    "--fast": "choose a preset in the configuration, such as bulk",
}
"""Flags of earlier streamers, and why there are none."""

_DESCRIPTION: Final = """\
Carries the rows of the spool to Snowflake by Snowpipe Streaming, and acknowledges
only what is committed there. The collector fills the spool and runs without it.
"""

_EXAMPLES: Final = """\
examples:
  thermal-shipper check                      is everything in place, one line a stage
  thermal-shipper check --send-test 3        and do three rows arrive in the table
  thermal-shipper run --batch-size 20 --interval 10
  thermal-shipper status --json
  thermal-shipper dead-letters list          what the server refused, and why
  thermal-shipper audit                      is every row accounted for, here and there

exit status: 0 done or asked to stop · 1 rows did not arrive, were refused or are unexplained
  64 command line · 69 host not found or not reachable · 70 a bug · 74 disk
  75 another shipper runs, or wrong clock · 76 TLS or the pipe is not as it should be
  77 file or sign-in refused · 78 configuration
"""

_CHECK: Final = """\
Goes through the stages config, key, clock, dns, tls, sign-in and pipe, and with
--send-test also channel and commit; stops at the first that fails, and says what to do.
The running shipper's channel is not touched: the check has one of its own.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    return command_line().main(argv)


def command_line() -> CommandLine:
    """The whole command line; documentation and tests read it from here."""
    made = CommandLine(Program(_PROGRAM, _DESCRIPTION, _EXAMPLES, _REMOVED))
    _add_run(made)
    _add_check(made)
    _add_status(made)
    add_audit(made)
    _add_keys(made)
    _add_migrate(made)
    add_upkeep(made)
    return made


def _add_run(commands: CommandLine) -> None:
    made = commands.command("run", _do_run, "ship until told to stop; what the systemd unit starts")
    made.add_argument(
        "--batch-size", type=int, metavar="N", help="rows that make a batch (default 10)"
    )
    made.add_argument(
        "--interval", type=float, metavar="S",
        help="longest wait of a row for its batch, seconds (default 5.0)",
    )
    made.add_argument("--verbose", action="store_true", help="log details too")


def _add_check(commands: CommandLine) -> None:
    made = commands.command(
        "check", _do_check, "see stage by stage whether rows could be shipped", _CHECK
    )
    made.add_argument(
        "--send-test", type=int, metavar="N", default=0,
        help="also send N event rows, and wait until all are committed",
    )
    made.add_argument("--pipe", metavar="NAME", help="check this pipe, not the configured one")
    add_json(made)


def _add_status(commands: CommandLine) -> None:
    made = commands.command(
        "status", _do_status, "show backlog, last commit and what went wrong"
    )
    add_json(made)
    made.add_argument(
        "--watch", action="store_true", help="show it again every 2 seconds, until interrupted"
    )


def _add_keys(commands: CommandLine) -> None:
    keygen = commands.bare_command(
        "keygen", _do_keygen, "make a private key for sign-in, and print how to register it"
    )
    keygen.add_argument("file", type=Path, help="new file for the key; it must not exist")
    keygen.add_argument(
        "--passphrase-file", type=Path, metavar="FILE", help="encrypt the key with this passphrase"
    )
    keygen.add_argument("--user", default="", help="user name for the printed SQL")
    for name, do, help_ in (
        ("pubkey", _do_pubkey, "print the ALTER USER statement for the configured key"),
        ("fingerprint", _do_fingerprint, "print the key's fingerprint, as DESC USER shows it"),
    ):
        made = commands.command(name, do, help_)
        made.add_argument(
            "--key", type=Path, metavar="FILE", help="this key, not the configured one"
        )
        made.add_argument(
            "--passphrase-file", type=Path, metavar="FILE", help="passphrase of --key"
        )
        made.add_argument(
            "--slot", type=int, choices=(1, 2), default=1, help="RSA_PUBLIC_KEY or RSA_PUBLIC_KEY_2"
        )


def _add_migrate(commands: CommandLine) -> None:
    made = commands.bare_command(
        "migrate-config", _do_migrate,
        "turn a snowflake_config.json into TOML, its secret into a file",
    )
    made.add_argument("profile", type=Path, help="snowflake_config.json, or the SDK's profile.json")
    made.add_argument(
        "--secret-file", type=Path, metavar="FILE",
        help="new file for a secret that stands in the profile; it gets mode 0600",
    )


def _do_run(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from shipper.app import run

    return run(
        arguments.config, stop, batch_size=arguments.batch_size,
        interval_s=arguments.interval, verbose=arguments.verbose,
    )


def _do_check(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from shipper.cli_check import check

    return check(arguments.config, stop, arguments.send_test, arguments.pipe, arguments.json)


def _do_status(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from shipper.cli_status import status

    return status(arguments.config, stop, as_json=arguments.json, watch=arguments.watch)


def _do_keygen(arguments: argparse.Namespace, _: threading.Event) -> int:
    from shipper.cli_keys import keygen

    return keygen(arguments.file, arguments.passphrase_file, arguments.user)


def _do_pubkey(arguments: argparse.Namespace, _: threading.Event) -> int:
    from shipper.cli_keys import pubkey

    return pubkey(arguments.config, arguments.key, arguments.passphrase_file, arguments.slot)


def _do_fingerprint(arguments: argparse.Namespace, _: threading.Event) -> int:
    from shipper.cli_keys import fingerprint

    return fingerprint(arguments.config, arguments.key, arguments.passphrase_file)


def _do_migrate(arguments: argparse.Namespace, _: threading.Event) -> int:
    from shipper.cli_keys import migrate

    return migrate(arguments.profile, arguments.secret_file)
