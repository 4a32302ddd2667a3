"""What a run needs on disk before it starts: directories, a key, serial numbers, settings."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

ACCOUNT: Final = "THERMAL-DEMO"
USER: Final = "TH_DEMO_DEVICE"
BOARD_SERIAL: Final = "10000000de300001"
CARD_SERIAL: Final = "1b534d454231515430de300001014a01"
DATABASE, SCHEMA, PIPE = "AIR", "RAW", "MEASUREMENTS-STREAMING"


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one run, all below one directory.

    Attributes:
        root: the directory.
        runtime: the collector's runtime directory, on memory where the machine has /dev/shm, as on
            a Pi: it must not outlive the boot.
    """

    root: Path
    runtime: Path

    @property
    def config(self) -> Path:
        """The one settings file of both services."""
        return self.root / "thermal.toml"

    @property
    def key(self) -> Path:
        """The private key that the device signs in with."""
        return self.root / "device_key.pem"

    @property
    def public_key(self) -> Path:
        """Its public half, for the server."""
        return self.root / "device_key.pub"

    @property
    def spool(self) -> Path:
        """The spool's directory."""
        return self.root / "spool"

    @property
    def server(self) -> Path:
        """The emulated server's directory."""
        return self.root / "server"

    @property
    def bus(self) -> Path:
        """The file that is the I2C bus."""
        return self.root / "i2c-1"

    @property
    def faults(self) -> Path:
        """The bus' faults, by words."""
        return self.root / "i2c-faults"

    def log(self, name: str) -> Path:
        """The output of a program."""
        return self.root / f"{name}.log"

    def make(self) -> None:
        """Make the directories, the key and the serial numbers."""
        for directory in (self.spool, self.server, self.runtime):
            directory.mkdir(parents=True, exist_ok=True)
        (self.root / "board-serial").write_text(BOARD_SERIAL + "\0")
        (self.root / "card-serial").write_text(CARD_SERIAL + "\n")
        make_key(self.key, self.public_key)


def make_key(private: Path, public: Path, passphrase: bytes | None = None) -> None:
    """Write a fresh RSA key pair in PEM, the private half for the owner's eyes only."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(passphrase)
        if passphrase
        else serialization.NoEncryption(),
    )
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )


def settings(
    places: Places, interval_s: float, ports: tuple[int, int], url: str, ca_file: Path
) -> dict[str, dict[str, Any]]:
    """The settings of a run, table by table; a test changes what it is about.

    Args:
        places: where things are.
        interval_s: the sampling grid.
        ports: of the collector's and the shipper's metrics.
        url: the emulated account.
        ca_file: the authority that its certificate is from.
    """
    return {
        "device": {
            "id": "demo",
            "board_serial_file": str(places.root / "board-serial"),
            "card_serial_file": str(places.root / "card-serial"),
        },
        "spool": {
            "directory": str(places.spool),
            # Nothing is trimmed, so that at the end every stored row can be read and compared.
            "retain_committed_rows": 10_000_000,
            # A demo shall run on a nearly full machine too; a Pi keeps 256 MiB free.
            "free_reserve_bytes": 0,
        },
        "collector": {
            "i2c_bus": str(places.bus),
            "interval_s": interval_s,
            "store_interval_s": 0.5,
            "metrics_port": ports[0],
        },
        "shipper": {
            "batch_size": 20,
            "interval_s": 0.5,
            # Rows wait for a synchronised clock by default. A container's or laptop's kernel may
            # never call its clock synchronised, and the demo would wait for ten minutes.
            "clock_wait_s": 0,
            "metrics_port": ports[1],
        },
        "snowflake": {
            "account": ACCOUNT,
            "user": USER,
            "database": DATABASE,
            "schema": SCHEMA,
            "pipe": PIPE,
            "url": url,
            "private_key_file": str(places.key),
            "ca_file": str(ca_file),
        },
    }


def toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Tables of plain values as TOML; JSON's strings, numbers, lists and booleans are TOML's."""
    parts = []
    for name, table in tables.items():
        lines = [f"{key} = {json.dumps(value)}" for key, value in table.items()]
        parts.append("\n".join([f"[{name}]", *lines]) + "\n")
    return "\n".join(parts)
