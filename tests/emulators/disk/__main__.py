"""A disk that a power cut can damage: ``python -m tests.emulators.disk MOUNT CONTROL``.

Serves until SIGTERM or until its parent is gone, and unmounts. It says ``ready`` once it is
mounted. CONTROL is the file with the ``Order`` that it follows.
"""

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType

from tests.emulators.disk.filesystem import FileSystem
from tests.emulators.fuse import Mount


def main(arguments: list[str] | None = None) -> int:
    """Serve until told to stop; 0 when unmounted cleanly, 1 when it could not be mounted."""
    parser = argparse.ArgumentParser(prog="python -m tests.emulators.disk", description=__doc__)
    parser.add_argument("mount", type=Path, help="mount point, a directory")
    parser.add_argument("control", type=Path, help="file with the order of now")
    options = parser.parse_args(arguments)
    read_fd, write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def stop(number: int, frame: FrameType | None) -> None:
        os.write(write_fd, b"x")

    signal.signal(signal.SIGTERM, stop)
    try:
        mount = Mount(options.mount, directory=True, name="disk")
    except OSError as error:
        print(f"cannot mount {options.mount}: {error}", file=sys.stderr)
        return 1
    try:
        print("ready", flush=True)
        FileSystem(mount, options.control).serve(read_fd)
    finally:
        mount.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
