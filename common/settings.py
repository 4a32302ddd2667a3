"""Every setting of both services, with its unit, bound, default and meaning: the one place.

``common.config`` reads them from ``/etc/thermal/thermal.toml``; the example file, the documentation
and the roll-out take their lists from here, and a test compares them.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

DEFAULT_CONFIG: Final = Path("/etc/thermal/thermal.toml")

SENSORS: Final = ("scd4x", "icp10125", "sgp30")
"""The chips that ``required_sensors`` may name."""

_DURATION: Final = re.compile(r"([1-9][0-9]{0,5})\s*(s|min|h|d)")
_UNIT_S: Final = {"s": 1, "min": 60, "h": 3_600, "d": 86_400}


class Form(StrEnum):
    """What the text of a setting must look like; plain numbers have no form."""

    TEXT = "text"
    PATH = "path"
    """A file or directory; a relative one is relative to the configuration file."""
    DURATION = "duration"
    """A whole number and s, min, h or d, such as "15min"; empty: none."""
    ADDRESS = "address"
    """An IPv4 or IPv6 address in digits."""
    I2C_BUS = "i2c_bus"
    """The number of a bus, or the path of its device."""
    SENSORS = "sensors"
    """A list of sensor names; "a|b" means either of the two."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a setting may be.

    Attributes:
        help: one sentence for a person.
        unit: unit of a number, or "".
        low: least number allowed; ``None``: no bound.
        high: greatest number allowed.
        form: what a text must look like.
    """

    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    form: Form = Form.TEXT


def _setting(default: Any, help_: str, **bound: Any) -> Any:
    """A dataclass field whose metadata is its ``Bound``."""
    return field(default=default, metadata={"bound": Bound(help_, **bound)})


def _path(default: str | None, help_: str) -> Any:
    """The field of a file or directory name; ``None``: not set."""
    return _setting(None if default is None else Path(default), help_, form=Form.PATH)


def duration_s(text: str) -> int:
    """Seconds of a duration such as "15min".

    Raises:
        ValueError: it is not a whole number from 1 followed by s, min, h or d.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"not a duration: {text!r}")
    return int(match[1]) * _UNIT_S[match[2]]


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """``[device]``: who this Raspberry Pi is."""

    id: str = _setting("", "Name of the device in every row; empty: the host name.")
    site: str = _setting("", "Where it stands; a label in the log and in thermal_build_info.")
    board_serial_file: Path = _path(
        "/sys/firmware/devicetree/base/serial-number",
        "File with the board's serial number; tells a moved card from a cloned one.",
    )
    card_serial_file: Path = _path(
        "/sys/block/mmcblk0/device/cid",
        "File with the card's serial number; of an NVMe disk: /sys/block/nvme0n1/device/serial. "
        "Without one, a cloned disk in another board looks like a moved one.",
    )


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """``[spool]``: the disk between the two services."""

    directory: Path = _path("/var/lib/thermal", "Directory of spool.db and ship.db.")
    cap_bytes: int = _setting(
        536_870_912, "Most that the directory may hold, without what was set aside.",
        unit="bytes", low=8_388_608, high=1 << 40,
    )
    free_reserve_bytes: int = _setting(
        268_435_456, "Free disk that is left to the system.", unit="bytes", low=0, high=1 << 40
    )
    retain_committed_rows: int = _setting(
        0, "Committed rows that are kept all the same; 0: those of one day.",
        unit="rows", low=0, high=100_000_000,
    )


@dataclass(frozen=True, slots=True)
class CollectorSettings:
    """``[collector]``: sampling."""

    i2c_bus: int | str = _setting(
        1, "Number of the I2C bus, or the path of its device.", low=0, high=255, form=Form.I2C_BUS
    )
    interval_s: float = _setting(
        5.0, "Time between two rows.", unit="seconds", low=0.1, high=86_400
    )
    align: str = _setting(
        "", 'Wall-clock multiple that the grid passes through, such as "15min"; empty: none. '
        "When interval_s is not set, it is this.", form=Form.DURATION,
    )
    store_interval_s: float = _setting(
        5.0, "Rows are stored together this often; a kill costs at most these.",
        unit="seconds", low=0.0, high=3_600,
    )
    required_sensors: tuple[str, ...] = _setting(
        ("scd4x|icp10125",),
        "Sensors that a start and a VALID sample need; scd4x|icp10125 means either of the two.",
        form=Form.SENSORS,
    )
    metrics_address: str = _setting(
        "127.0.0.1", "Address that /metrics listens on.", form=Form.ADDRESS
    )
    metrics_port: int = _setting(
        9814, "Port of /metrics; 0: none. A socket passed by systemd wins.", low=0, high=65_535
    )

    @property
    def align_s(self) -> int | None:
        """``align`` in seconds; ``None``: the grid is not tied to the wall clock."""
        return duration_s(self.align) if self.align else None


@dataclass(frozen=True, slots=True)
class ShipperSettings:
    """``[shipper]``: batches."""

    batch_size: int = _setting(10, "Rows that make a batch.", unit="rows", low=1, high=100_000)
    interval_s: float = _setting(
        5.0, "Longest wait of a row for its batch to fill.", unit="seconds", low=0.05, high=3_600
    )
    batch_bytes_max: int = _setting(
        262_144, "Most bytes of one request on the wire, compressed.",
        unit="bytes", low=4_096, high=4_194_304,
    )
    clock_wait_s: float = _setting(
        600.0, "Uptime until which rows of this boot wait for a synchronised clock.",
        unit="seconds", low=0, high=86_400,
    )
    metrics_address: str = _setting(
        "127.0.0.1", "Address that /metrics listens on.", form=Form.ADDRESS
    )
    metrics_port: int = _setting(
        9815, "Port of /metrics; 0: none. A socket passed by systemd wins.", low=0, high=65_535
    )


@dataclass(frozen=True, slots=True)
class SnowflakeSettings:
    """``[snowflake]``: where the rows go, and as whom. Secrets are files, never values."""

    account: str = _setting("", "ORGANISATION-ACCOUNT, or a locator, or the account's URL.")
    user: str = _setting("", "User that the key or token belongs to.")
    role: str = _setting("", "Role of the session; empty: the user's default.")
    database: str = _setting("", "Database of the pipe.")
    schema: str = _setting("", "Schema of the pipe.")
    pipe: str = _setting("", "Pipe; the default pipe of table T is T-STREAMING.")
    url: str = _setting("", "Account URL; empty: https://<account>.snowflakecomputing.com.")
    private_key_file: Path | None = _path(None, "Key-pair sign-in: PEM file, 0600.")
    private_key_passphrase_file: Path | None = _path(
        None, "File with the passphrase of an encrypted key."
    )
    pat_file: Path | None = _path(
        None, "Sign-in by programmatic access token: file with the token, 0600."
    )
    ca_file: Path | None = _path(
        None, "PEM file of the authorities to trust instead of the system's."
    )
    profile: Path | None = _path(
        None, "snowflake_config.json or the SDK's profile.json to take the above from."
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration file; ``source`` is its path, for messages."""

    source: Path
    device: DeviceSettings = field(default_factory=DeviceSettings)
    spool: SpoolSettings = field(default_factory=SpoolSettings)
    collector: CollectorSettings = field(default_factory=CollectorSettings)
    shipper: ShipperSettings = field(default_factory=ShipperSettings)
    snowflake: SnowflakeSettings = field(default_factory=SnowflakeSettings)


@dataclass(frozen=True, slots=True)
class Preset:
    """What ``preset`` at the top of the file sets; single keys override it."""

    batch_size: int
    interval_s: float
    store_interval_s: float


PRESETS: Final[dict[str, Preset]] = {
    "default": Preset(10, 5, 5),
    "low-latency": Preset(5, 1, 1),
    "balanced": Preset(20, 10, 5),
    "bulk": Preset(100, 30, 30),
    "card-saver": Preset(100, 60, 60),
}
