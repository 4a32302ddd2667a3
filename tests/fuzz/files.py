"""Targets: files that somebody else wrote, or a failing card."""

import contextlib
import functools
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from collector.baseline import BaselineFile
from collector.spool.position import read_record
from common.config import load
from common.errors import SpoolError, ThermalError
from common.hardware import read_hardware
from common.settings import DeviceSettings, Settings, SnowflakeSettings
from common.ship_state import ShipStateUnreadable, read_ship_state
from common.spool.reader import SpoolReader
from common.spool.row import row_crc
from shipper.ledger import Ledger
from shipper.profile import merge_profile
from shipper.protocol.payload import RowCorrupt, RowEncoder, Sending
from tests.fuzz.answers import Target
from tests.fuzz.cursor import Cursor
from tests.tools.spools import Device, prepare_quickly, samples

_ROWS: Final = 40


@functools.cache
def _folder() -> Path:
    """One directory for all inputs: it is removed when the process ends."""
    made = tempfile.TemporaryDirectory(prefix="thermal-fuzz-", ignore_cleanup_errors=True)
    _KEPT.append(made)
    return Path(made.name)


_KEPT: Final[list[tempfile.TemporaryDirectory[str]]] = []


def _written(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    path.chmod(0o600)
    return path


def config(data: bytes) -> None:
    """Any settings file is settings, or one clear error."""
    with contextlib.suppress(ThermalError):
        load(_written("thermal.toml", data))


def profile(data: bytes) -> None:
    """Any profile is merged, or is one clear error that shows none of its secrets."""
    path = _written("snowflake_config.json", data)
    settings = Settings(source=path, snowflake=SnowflakeSettings(profile=path))
    hidden: list[str] = []

    def hide(secret: str, /, *, slot: str = "") -> None:
        hidden.append(secret)

    try:
        merged = merge_profile(settings, hide)
    except ThermalError as error:
        assert not any(len(text) > 12 and text in str(error) for text in hidden)
        return
    assert not any(len(text) > 12 and text in repr(merged.inline) for text in hidden)


def small_files(data: bytes) -> None:
    """Position, baseline and serial numbers: what cannot be understood is as if it were absent."""
    for name in ("spool-position.json", "sgp30-baseline.json", "serial"):
        _written(name, data)
    read_record(_folder())
    BaselineFile(_folder()).load()
    serial = _folder() / "serial"
    hardware = read_hardware(DeviceSettings(board_serial_file=serial, card_serial_file=serial))
    assert hardware.board_serial


@functools.cache
def _template(name: str) -> bytes:
    """A spool or a shipper's file with some content, as one file without a log."""
    with tempfile.TemporaryDirectory() as root:
        device = Device(Path(root))
        with device.start() as store:
            store.append(samples(0, _ROWS))
            with Ledger(device.directory, prepared=prepare_quickly) as ledger:
                ledger.settle(store.install, device.clock.realtime_ns())
                ledger.expose(store.epoch, 7)
                ledger.add_event("heartbeat", "{}", device.clock.realtime_ns())
                ledger.request("new_epoch", "fuzz")
        return (device.directory / name).read_bytes()


def _patched(name: str, data: bytes) -> Path:
    """The template with some of its bytes replaced, where and by what the input says."""
    content, cursor = bytearray(_template(name)), Cursor(data)
    for _ in range(cursor.number(8)):
        at = cursor.number(65_536) % len(content)
        patch = cursor.piece()[: len(content) - at]
        content[at : at + len(patch)] = patch
    for stray in ("-wal", "-shm"):
        (_folder() / f"{name}{stray}").unlink(missing_ok=True)
    return _written(name, bytes(content))


def spool(data: bytes) -> None:
    """Whatever is in ``spool.db``: rows that pass their check sum are sent, nothing else is."""
    _patched("spool.db", data)
    encoder = RowEncoder(row_crc)
    with SpoolReader(_folder()) as reader, contextlib.suppress(SpoolError):
        reader.install()
        reader.lineage()
        for row in reader.read_after(None, 2 * _ROWS):
            with contextlib.suppress(RowCorrupt):
                line = encoder.encode(row, Sending(reader.boot_offset_ns(row.origin.boot_id)))
                assert json.loads(line)["seq"] == row.seq


def ship(data: bytes) -> None:
    """Whatever is in ``ship.db``: a state, or it is unreadable and everything counts as exposed."""
    _patched("ship.db", data)
    with contextlib.suppress(ShipStateUnreadable):
        read_ship_state(_folder())


def _patches() -> Iterator[bytes]:
    """Inputs that change one place each."""
    for at in range(0, 65_536, 1999):
        yield b"\0\1" + at.to_bytes(2, "big") + b"\x80\x01\xff"


SEEDS: Final[dict[Target, tuple[bytes, ...]]] = {
    config: (
        b'preset = "bulk"\n[collector]\ninterval_s = 5\n[spool]\ndirectory = "/tmp/x"\n',
        b"[snowflake]\naccount = 'a-b'\nuser = 'u'\n[device]\nid = 'x'\n",
    ),
    profile: (
        b'{"account":"a-b","user":"u","role":"r","pipe":"p","pat":"secret-secret-secret"}',
        b'{"private_key_file":"k.pem","authorization_type":"JWT","host":"h","port":443}',
    ),
    small_files: (
        b'{"format":1,"baseline":{"serial":1,"eco2":2,"tvoc":3,"saved_at_s":1.0},"boot_id":"b"}',
        b'{"boot_id":"b","device":1,"inode":2,"install_id":"I","epoch":"e","last_seq":3}',
        b"10000000de300001\0",
    ),
    spool: tuple(_patches()),
    ship: tuple(_patches()),
}
