"""ext4 becomes read-only under the open spool: ``python -m tests.faults.disk.emergency DIR``.

``errors=remount-ro`` and an error that the kernel is asked to make up
(``/sys/fs/ext4/<device>/trigger_fs_error``, Documentation/ABI/testing/sysfs-fs-ext4); only a new
mount ends it. Runs in a private mount namespace.
"""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from common.spool.prepare import prepare
from tests.faults.disk.full_disk import BEFORE, Side, judge
from tests.faults.power.disk import Disk
from tests.tools.spools import Device, close_opened, drain, samples

DURING: Final = 100


def _break(disk: Disk) -> None:
    """Have the kernel find an error."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        device, where = line.split()[:2]
        if where == str(disk.path):
            (Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error").write_text("made up")


def story(root: Path) -> dict[str, Any]:
    """Rows, the error, more rows that only memory takes, a new mount, and the rest."""
    disk = Disk(root)
    disk.make()
    subprocess.run(["mount", "-o", "remount,errors=remount-ro", disk.path], check=True)
    device = Device(disk.path / "life")
    device.means = replace(device.means, prepare=prepare)
    device.runtime = root / "run"
    device.runtime.mkdir()
    store = device.start()
    for first in range(0, BEFORE, 10):
        store.append(samples(first, 10))
    side = Side(device, store)
    side.tick(4)
    side.finish()
    stored = side.writer.rows_stored
    _break(disk)
    side.tick(DURING)
    readable = len(drain(device.reader(), batch=1000))
    close_opened()
    found: dict[str, Any] = {
        "stored_meanwhile": side.writer.rows_stored - stored,
        "waiting": side.writer.waiting,
        "dropped": side.writer.dropped,
        "trouble": side.writer.trouble,
        "readable": readable,
        "failed": dict(side.failed),
    }
    store.close()
    disk.unmount()
    disk.mount()
    side.rebind(device.start())
    side.finish()
    found["wrong"] = judge(device, side)
    side.store.close()
    close_opened()
    disk.unmount()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(story(Path(sys.argv[1]))) + "\n")
