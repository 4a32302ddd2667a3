"""``python -m tests.emulators.ingest``: the emulator as a process."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.emulators.ingest.auth import Policy
from tests.emulators.ingest.faults import FaultError
from tests.emulators.ingest.knobs import Knobs
from tests.emulators.ingest.menu import described
from tests.emulators.ingest.server import IngestServer, ServerOptions

_ABOUT: Final = """\
A stand-in for Snowpipe Streaming's REST service on 127.0.0.1, over TLS, for tests and demos.
It keeps what it committed in DIR/rows.db and goes on from there when it is started again.

  Start:   python -m tests.emulators.ingest --port 18443 --state /tmp/ingest
           listening https://127.0.0.1:18443 ca=/tmp/ingest/ca.pem
  Use:     account URL https://127.0.0.1:18443, trusted CA /tmp/ingest/ca.pem; any key pair or
           access token is accepted unless one is required below.
  Look:    sqlite3 /tmp/ingest/rows.db 'SELECT channel, offset_token, row FROM rows'
           curl http://127.0.0.1:18443/admin/state
  Disturb: curl -d 'drop_reply:endpoint=append,times=3' http://127.0.0.1:18443/admin/faults
           curl -d '' http://127.0.0.1:18443/admin/network/down      (and …/network/up)
           curl -d '' http://127.0.0.1:18443/admin/heal
  Stop:    SIGTERM or Ctrl-C.
"""
_FAULTS: Final = """\
Faults are written name:key=value,key=value and joined by ';', in --faults, in the environment
variable FAULTS, or posted to /admin/faults. Every fault at a request takes
  endpoint=hostname|token|open|append|status|drop|elastic|pipe_info|telemetry|any
  times=N (0: until healed)   p=PROBABILITY (then times=0)   skip=N (let N pass first)
and an answer also status= shape= code= message= retry_after= applied=1 (carry it out first).
Own keys stand in [brackets] with their defaults. From 'invalidate' on, a fault happens to the
server at once, or at the next request when it is aimed with endpoint=. What is on the menu:

"""


def arguments() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.emulators.ingest",
        description=_ABOUT,
        epilog=_FAULTS + described(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--port", type=int, default=18443, help="0: any free port (default: %(default)s)")
    add("--state", type=Path, required=True, metavar="DIR", help="for rows.db and certificates")
    add(
        "--commit-delay",
        type=float,
        default=6.0,
        metavar="S",
        help="seconds from an accepted append to its commit (default: %(default)s, as seen live)",
    )
    add(
        "--faults",
        default=os.environ.get("FAULTS", ""),
        metavar="SPEC",
        help="faults to begin with (default: the environment variable FAULTS)",
    )
    add("--hostname", metavar="NAME", help="ingest host to announce (default: the name asked)")
    add("--seed", type=int, default=0, help="of faults with p= (default: %(default)s)")
    add("--require-key", type=Path, metavar="PEM", help="public key that sign-in must fit")
    add("--require-pat-file", type=Path, metavar="FILE", help="access token that must be shown")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT.

    Returns:
        0 after a clean stop, 64 when the faults are not understood, 69 when the port is taken.
    """
    asked = arguments().parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    key, token = asked.require_key, asked.require_pat_file
    options = ServerOptions(
        port=asked.port,
        directory=asked.state,
        hostname=asked.hostname,
        seed=asked.seed,
        faults=asked.faults,
        knobs=Knobs(commit_delay_s=asked.commit_delay),
        policy=Policy(
            public_key_pem=key.read_bytes() if key else None,
            access_token=token.read_text().strip() if token else None,
        ),
    )
    try:
        server = IngestServer(options)
    except FaultError as error:
        print(f"Error: {error}", file=sys.stderr)
        return 64
    except OSError as error:
        print(f"Error: cannot listen on 127.0.0.1:{asked.port}: {error}", file=sys.stderr)
        return 69
    with server:
        print(f"listening {server.url} ca={server.ca_file}", flush=True)
        stop.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
