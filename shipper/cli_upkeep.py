"""The words of the commands that mend by hand: dead letters, adoption, counters that do not fit."""

import argparse
import threading
from pathlib import Path
from typing import Final

from common.cli import CommandLine, add_json

_LETTERS: Final = """\
Rows that the server refused are kept in ship.db with their payload and its reason: nothing
is dropped. "row": one row, found by halving its batch; in the table a tombstone has its
key. "range": the batches that refused rows are among; the other rows are in the table.

list, show and export only read, also while the shipper runs. requeue and drop change
ship.db, whose only writer is the shipper: stop it first. Sampling goes on meanwhile.

examples:
  thermal-shipper dead-letters list
  thermal-shipper dead-letters list --json
  thermal-shipper dead-letters show 12
  thermal-shipper dead-letters export --output letters.ndjson
  systemctl stop thermal-shipper
  thermal-shipper dead-letters requeue --all     after the table was mended
  thermal-shipper dead-letters drop 12 13
  systemctl start thermal-shipper
"""

_LIST: Final = """\
A line a dead letter, oldest first, with number, form, when it was kept, epoch, seq, rows,
reason and the server's message; then the total. With --json one object a line.

examples:
  thermal-shipper dead-letters list
  thermal-shipper dead-letters list --json | jq -s 'group_by(.reason)'
"""

_SHOW: Final = """\
Everything that is known of one dead letter, and its rows.

example:
  thermal-shipper dead-letters show 12
"""

_EXPORT: Final = """\
The rows as NDJSON, one a line, of the named dead letters or of all; on stdout, or in a
new file that only you may read. A file that is there is not overwritten.

examples:
  thermal-shipper dead-letters export | jq .scd4x_co2_ppm
  thermal-shipper dead-letters export 12 13 --output letters.ndjson
"""

_REQUEUE: Final = """\
Sends the rows of dead letters again, over a channel of its own, exactly once each; a dead
letter goes when all its rows are committed and counted. Rows that are refused again stay
dead letters, with the new reason. Rows keep their keys: beside a row that was refused
alone stands its tombstone, which it supersedes. Rows of a range are flagged (in_doubt):
most of them are in the table already.

Stopped, killed or without network: the same command goes on where it was.
Exit status: 0 all sent · 1 some were refused again or skipped · 75 not finished

examples:
  thermal-shipper dead-letters requeue 12 13
  thermal-shipper dead-letters requeue --all
  thermal-shipper dead-letters requeue           goes on with what was begun
"""

_DROP: Final = """\
Forgets dead letters for good: their rows are nowhere else. Export them first.

example:
  thermal-shipper dead-letters drop 12 13
"""

_ADOPT: Final = """\
A spool that belongs to another card or install is set aside and never sent by itself: the
original may still send it. adopt sends its rows that are not known to have arrived, under
their own keys, flagged (in_doubt), over a channel of its own. The files are only read; a
note beside them says that they were adopted, and then only --again sends them once more.

Stopped, killed or without network: the same command goes on where it was.
Exit status: 0 all sent · 1 some were refused, and are dead letters now · 75 not finished

examples:
  thermal-shipper adopt --list
  systemctl stop thermal-shipper
  thermal-shipper adopt 20260921T101500Z-cloned
  systemctl start thermal-shipper
"""

_SETTLE: Final = """\
When the server's counters (rows inserted, rows refused) do not account for the rows that
were sent, nothing is trimmed, and shipping stops at the window's bound. This shows what
does not fit, by asking for the channel's status; the channel is not opened.

With --accept the rows in question are kept as a range of dead letters, and the counters as
they are become the new baseline. Exit status: 0 fits or accepted · 1 does not fit

examples:
  systemctl stop thermal-shipper
  thermal-shipper settle
  thermal-shipper settle --accept
  systemctl start thermal-shipper
"""


def add_upkeep(commands: CommandLine) -> None:
    """Add the commands."""
    _add_letters(commands)
    made = commands.command("adopt", _do_adopt, "send what was set aside from another life", _ADOPT)
    made.add_argument("directory", nargs="?", metavar="DIRECTORY", help="below <spool>/aside")
    made.add_argument("--list", action="store_true", help="say what lies aside, and send nothing")
    made.add_argument("--again", action="store_true", help="also what was adopted before")
    add_json(made)
    made = commands.command(
        "settle", _do_settle, "show, or accept, counters of the server that do not fit", _SETTLE
    )
    made.add_argument("--accept", action="store_true", help="keep the rows, and go on from there")
    add_json(made)


def _add_letters(commands: CommandLine) -> None:
    group = commands.group("dead-letters", "see and mend what the server refused", _LETTERS)
    made = group.command("list", _do_list, "a line a dead letter, and the total", _LIST)
    made.add_argument("--json", action="store_true", help="one JSON object a line")
    made = group.command("show", _do_show, "one dead letter with its rows", _SHOW)
    made.add_argument("id", type=int, metavar="ID")
    add_json(made)
    made = group.command("export", _do_export, "the rows as NDJSON", _EXPORT)
    made.add_argument("ids", type=int, nargs="*", metavar="ID", help="these; none: all")
    made.add_argument("--output", type=Path, metavar="FILE", help="new file; it gets mode 0600")
    made = group.command("requeue", _do_requeue, "send the rows again", _REQUEUE)
    which = made.add_mutually_exclusive_group()
    which.add_argument("ids", type=int, nargs="*", metavar="ID", default=[], help="these")
    which.add_argument("--all", action="store_true", help="all dead letters")
    add_json(made)
    made = group.command("drop", _do_drop, "forget dead letters for good", _DROP)
    made.add_argument("ids", type=int, nargs="+", metavar="ID")


def _do_list(arguments: argparse.Namespace, _: threading.Event) -> int:
    from shipper.cli_letters import list_letters

    return list_letters(arguments.config, as_json=arguments.json)


def _do_show(arguments: argparse.Namespace, _: threading.Event) -> int:
    from shipper.cli_letters import show

    return show(arguments.config, arguments.id, as_json=arguments.json)


def _do_export(arguments: argparse.Namespace, _: threading.Event) -> int:
    from shipper.cli_letters import export

    return export(arguments.config, arguments.ids, arguments.output)


def _do_requeue(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from shipper.cli_letters import requeue

    return requeue(
        arguments.config, stop, arguments.ids, everything=arguments.all, as_json=arguments.json
    )


def _do_drop(arguments: argparse.Namespace, _: threading.Event) -> int:
    from shipper.cli_letters import drop

    return drop(arguments.config, arguments.ids)


def _do_adopt(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from shipper.cli_adopt import adopt, list_adoptable

    if arguments.list:
        return list_adoptable(arguments.config, as_json=arguments.json)
    return adopt(
        arguments.config, stop, arguments.directory, again=arguments.again, as_json=arguments.json
    )


def _do_settle(arguments: argparse.Namespace, stop: threading.Event) -> int:
    from shipper.cli_settle import settle

    return settle(arguments.config, stop, accepting=arguments.accept, as_json=arguments.json)
