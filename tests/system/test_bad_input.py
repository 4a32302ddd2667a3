"""Wrong settings, keys, files and spools: one clear error, the right status, nothing touched."""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from common.errors import ExitCode
from tests.demo import bench, material
from tests.demo.material import Places
from tests.demo.process import Program
from tests.system.support import COLLECTOR, SHIPPER, run, until

Tables = dict[str, dict[str, object]]
CLOSED_PORT_URL = "https://localhost:9"


@dataclass(frozen=True, slots=True)
class Wrong:
    """One wrong thing.

    Attributes:
        name: of the test.
        status: the exit status that it must give.
        says: what stderr must have, each: the place, the value, the bound, the remedy.
        tables: changes the settings.
        files: changes files after the settings were written.
        of: the services that must refuse.
    """

    name: str
    status: ExitCode
    says: tuple[str, ...]
    tables: Callable[[Tables], None] = lambda tables: None
    files: Callable[[Places], None] = lambda places: None
    of: tuple[Path, ...] = (COLLECTOR, SHIPPER)


def setting(table: str, key: str, value: object) -> Callable[[Tables], None]:
    """Change one setting; ``None`` leaves it out."""

    def change(tables: Tables) -> None:
        tables.setdefault(table, {})[key] = value
        if value is None:
            del tables[table][key]

    return change


def two_mistakes(tables: Tables) -> None:
    """A misspelt key and a number out of its bounds, in two tables."""
    tables["collector"]["intervall_s"] = 5
    tables["shipper"]["batch_size"] = 0


def no_target(tables: Tables) -> None:
    """Three keys of the server missing."""
    for key in ("account", "user", "pipe"):
        del tables["snowflake"][key]


def broken_toml(places: Places) -> None:
    """A line that is no TOML."""
    places.config.write_text(places.config.read_text() + "\ninterval_s 5\n")


def settings_gone(places: Places) -> None:
    """No settings file at all."""
    places.config.unlink()


def key_of(text: bytes, mode: int = 0o600) -> Callable[[Places], None]:
    """Another text as the key."""

    def write(places: Places) -> None:
        places.key.write_bytes(text)
        places.key.chmod(mode)

    return write


def open_key(places: Places) -> None:
    """A good key that everybody may read."""
    places.key.chmod(0o644)


def locked_key(places: Places) -> None:
    """A key with a passphrase that nobody gave."""
    material.make_key(places.key, places.public_key, b"a passphrase")


def curve_key() -> bytes:
    """A key of a kind that key-pair sign-in does not know."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def short_key() -> bytes:
    """An RSA key too short to be safe."""
    return rsa.generate_private_key(65537, 1024).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def spool_is_a_file(places: Places) -> None:
    """The spool's directory is a file."""
    places.spool.rename(places.root / "spool.away")
    places.spool.write_text("not a directory")


def spool_of_the_future(places: Places) -> None:
    """A spool that a newer version wrote."""
    with sqlite3.connect(places.spool / "spool.db") as connection:
        connection.execute("create table rows_of_the_future (a)")
        connection.execute("insert into rows_of_the_future values (1)")
        connection.execute("pragma user_version = 99")
    connection.close()


PUBLIC_KEY = b"-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n"
ONLY_SHIPPER = (SHIPPER,)
ONLY_COLLECTOR = (COLLECTOR,)
CONFIG, NOPERM, UNAVAILABLE = ExitCode.CONFIG, ExitCode.NOPERM, ExitCode.UNAVAILABLE

TABLE = (
    Wrong("misspelt_key", CONFIG, ("[collector]", "intervall_s", "interval_s"),
          setting("collector", "intervall_s", 5)),
    Wrong("unknown_table", CONFIG, ("sensors",), setting("sensors", "a", 1)),
    Wrong("text_for_number", CONFIG, ("[collector] interval_s", "five"),
          setting("collector", "interval_s", "five")),
    Wrong("too_small", CONFIG, ("[collector] interval_s", "0.01", "0.1"),
          setting("collector", "interval_s", 0.01)),
    Wrong("too_large", CONFIG, ("[shipper] batch_bytes_max", "4_194_304"),
          setting("shipper", "batch_bytes_max", 5_000_000)),
    Wrong("all_at_once", CONFIG, ("intervall_s", "batch_size"), two_mistakes),
    Wrong("not_toml", CONFIG, ("TOML", "line"), files=broken_toml),
    Wrong("no_file", CONFIG, ("thermal.toml",), files=settings_gone),
    Wrong("inline_secret", CONFIG, ("pat_file",), setting("snowflake", "pat", "x" * 40)),
    Wrong("no_target", CONFIG, ("account", "user", "pipe"), no_target, of=ONLY_SHIPPER),
    Wrong("no_sign_in", CONFIG, ("private_key_file", "pat_file"),
          setting("snowflake", "private_key_file", None), of=ONLY_SHIPPER),
    Wrong("two_sign_ins", CONFIG, ("private_key_file", "pat_file"),
          setting("snowflake", "pat_file", "pat"), of=ONLY_SHIPPER),
    Wrong("key_missing", CONFIG, ("private_key_file", "nowhere.pem"),
          setting("snowflake", "private_key_file", "nowhere.pem"), of=ONLY_SHIPPER),
    Wrong("key_readable_by_all", NOPERM, ("private_key_file", "chmod 600"), files=open_key,
          of=ONLY_SHIPPER),
    Wrong("key_is_rubbish", CONFIG, ("device_key.pem",), files=key_of(b"rubbish"),
          of=ONLY_SHIPPER),
    Wrong("key_is_empty", CONFIG, ("private_key_file", "empty"), files=key_of(b""),
          of=ONLY_SHIPPER),
    Wrong("key_is_public", CONFIG, ("device_key.pem",), files=key_of(PUBLIC_KEY),
          of=ONLY_SHIPPER),
    Wrong("key_is_a_curve", CONFIG, ("device_key.pem", "RSA"), files=key_of(curve_key()),
          of=ONLY_SHIPPER),
    Wrong("key_is_short", CONFIG, ("device_key.pem", "2048"), files=key_of(short_key()),
          of=ONLY_SHIPPER),
    Wrong("key_is_locked", CONFIG, ("device_key.pem", "passphrase"), files=locked_key,
          of=ONLY_SHIPPER),
    Wrong("ca_missing", CONFIG, ("nowhere-ca.pem",),
          setting("snowflake", "ca_file", "nowhere-ca.pem"), of=ONLY_SHIPPER),
    Wrong("no_bus", UNAVAILABLE, ("no-bus",), setting("collector", "i2c_bus", "/dev/no-bus"),
          of=ONLY_COLLECTOR),
    Wrong("spool_is_a_file", ExitCode.IOERR, ("spool",), files=spool_is_a_file,
          of=ONLY_COLLECTOR),
    Wrong("spool_is_newer", CONFIG, ("spool.db", "99", "newer"), files=spool_of_the_future,
          of=ONLY_COLLECTOR),
)


@pytest.fixture
def places() -> Iterator[Places]:
    """Directories with good settings, a good key and no spool; nobody runs."""
    with bench.places() as made:
        made.make()
        (made.spool / "someone-elses-file").write_text("must stay as it is")
        yield made


def _write_settings(places: Places, change: Callable[[Tables], None]) -> None:
    ca_file = places.root / "ca.pem"
    ca_file.write_bytes(b"")
    tables: Tables = dict(
        material.settings(places, 5.0, (0, 0), CLOSED_PORT_URL, ca_file)
    )
    del tables["snowflake"]["ca_file"]
    change(tables)
    places.config.write_text(material.toml(tables))


def _digest(directory: Path) -> dict[str, str]:
    """What is in every file below a directory but locks, which have nothing to lose."""
    return {
        str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(directory.rglob("*"))
        if file.is_file() and file.suffix != ".lock"
    }


CASES = [(wrong, service) for wrong in TABLE for service in wrong.of]
NAMES = [f"{wrong.name}-{service.name}" for wrong, service in CASES]


@pytest.mark.parametrize(("wrong", "service"), CASES, ids=NAMES)
def test_wrong_input_is_one_clear_error(places: Places, wrong: Wrong, service: Path) -> None:
    """The error names place and value, a remedy follows, the status fits, no file changed."""
    _write_settings(places, wrong.tables)
    wrong.files(places)
    before = _digest(places.root)
    done = run(
        service, "run", "--config", places.config,
        environment={"RUNTIME_DIRECTORY": str(places.runtime)},
    )
    assert done.returncode == wrong.status, done.stdout + done.stderr
    for words in wrong.says:
        assert words in done.stderr
    assert done.stderr.count("Error:") == 1
    assert "Traceback" not in done.stderr
    after = _digest(places.root)
    changed = {name for name in before if before[name] != after.get(name)}
    assert changed == set()


def test_the_shipper_waits_for_a_spool_it_knows(places: Places) -> None:
    """Amid an upgrade the spool may be newer: it says so, waits, and touches nothing."""
    _write_settings(places, lambda tables: None)
    spool_of_the_future(places)
    before = _digest(places.spool)
    shipper = Program("shipper", [SHIPPER, "run", "--config", places.config], places.log("s"), {})
    shipper.start()
    try:
        until(lambda: "99" in shipper.tail(100) or shipper.pid is None)
        assert shipper.end() == ExitCode.OK, shipper.tail(20)
    finally:
        shipper.end()
    after = _digest(places.spool)
    assert {name: after.get(name) for name in before} == before


@pytest.mark.parametrize("service", [COLLECTOR, SHIPPER], ids=["collector", "shipper"])
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("run", "--simulate"), "--simulate was removed"),
        (("run", "--no-such-flag"), "--no-such-flag"),
        (("fly",), "fly"),
        ((), "--help"),
    ],
)
def test_a_wrong_command_line_is_refused(
    service: Path, words: tuple[str, ...], says: str
) -> None:
    """Unknown and retired words are refused before anything is read."""
    done = run(service, *words)
    assert done.returncode == ExitCode.USAGE, done.stdout + done.stderr
    assert says in (done.stderr + done.stdout)
    assert "Traceback" not in done.stderr


def test_good_settings_are_not_refused(places: Places) -> None:
    """Negative control: the same directories without a mistake pass every check but the bus."""
    _write_settings(places, setting("collector", "i2c_bus", "/dev/no-bus"))
    done = run(COLLECTOR, "run", "--config", places.config)
    assert done.returncode == UNAVAILABLE
    assert "thermal.toml" not in done.stderr
