"""``keygen``, ``pubkey``, ``fingerprint`` and ``migrate-config``: what a person does once."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from common.children import run_module
from common.config import load
from common.errors import ConfigError, UsageError
from common.redaction import SECRETS
from common.settings import Settings, SnowflakeSettings
from shipper.auth.credentials import check_secret_file, read_secret_file, signing_key
from shipper.auth.secret import Secret
from shipper.auth.signer import SigningKey, ask_child
from shipper.profile import merge_profile

KEY_BITS: Final = 3072
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]*\Z")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What the server knows of a key.

    Attributes:
        body: base64 of the DER on one line, as ALTER USER takes it.
        fingerprint: ``SHA256:…``, as DESC USER shows it.
    """

    body: str
    fingerprint: str


def keygen(path: Path, passphrase_file: Path | None, user: str) -> int:
    """Make a key file and print how to register it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase_file is not None:
        passphrase = _passphrase(passphrase_file).reveal().encode()
        encryption = serialization.BestAvailableEncryption(passphrase)
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    write_new_secret(path, pem)
    public = _public(_signing_key_of_file(path, passphrase_file))
    print(f"-- wrote {path} ({KEY_BITS} bits, mode 0600)")
    print(alter_user(user, public, 1))
    print("-- then, in thermal.toml:\n[snowflake]")
    print(f"private_key_file = {json.dumps(str(path.absolute()))}")
    if passphrase_file is not None:
        print(f"private_key_passphrase_file = {json.dumps(str(passphrase_file.absolute()))}")
    return 0


def pubkey(config: Path, key: Path | None, passphrase_file: Path | None, slot: int) -> int:
    """Print the statement that registers the key."""
    found, user = _key_of(config, key, passphrase_file)
    print(alter_user(user, _public(found), slot))
    return 0


def fingerprint(config: Path, key: Path | None, passphrase_file: Path | None) -> int:
    """Print the key's fingerprint."""
    print(_public(_key_of(config, key, passphrase_file)[0]).fingerprint)
    return 0


def migrate(profile: Path, secret_file: Path | None) -> int:
    """Print the ``[snowflake]`` table for a profile, its secret moved into a file of its own."""
    # The profile is usually readable by others; that is one reason to migrate, not a reason not to.
    settings = Settings(profile, snowflake=SnowflakeSettings(profile=profile))
    merged = merge_profile(settings, SECRETS.hide, private=False)
    table, inline = merged.settings.snowflake, merged.inline
    moved = inline.pat or inline.private_key
    if inline.passphrase is not None:
        raise ConfigError(
            f"{profile} holds the passphrase of a key, which is not migrated",
            hint="write it into a file of mode 0600 by hand and take it out of the profile",
        )
    if moved is not None:
        if secret_file is None:
            raise UsageError(
                f"{profile} holds a secret, and --secret-file does not say where it goes",
                hint=f"thermal-shipper migrate-config {profile} --secret-file snowflake.secret",
            )
        write_new_secret(secret_file, (moved.reveal().strip() + "\n").encode())
    keys: dict[str, str] = {
        name: getattr(table, name)
        for name in ("account", "user", "role", "database", "schema", "pipe", "url")
        if getattr(table, name)
    }
    for name in ("private_key_file", "pat_file"):
        path: Path | None = getattr(table, name)
        if path is not None:
            kept = path if moved is None or secret_file is None else secret_file
            keys[name] = str(kept.absolute())
    print("[snowflake]")
    for name, value in keys.items():
        # A JSON string without escapes above ASCII is a TOML basic string.
        print(f"{name} = {json.dumps(value, ensure_ascii=False)}")
    for note in merged.notes:
        print(f"# {note}")
    if moved is not None:
        print(f"# the secret is in {secret_file} now: delete {profile}")
    return 0


def alter_user(user: str, public: PublicKey, slot: int) -> str:
    """The statement that registers a key, and how to see that it worked."""
    name = user or "<USER>"
    if user and not _PLAIN_NAME.match(user):
        name = '"' + user.replace('"', '""') + '"'
    column = "RSA_PUBLIC_KEY" if slot == 1 else "RSA_PUBLIC_KEY_2"
    return (
        f"ALTER USER {name} SET {column}='{public.body}';\n"
        f"-- DESC USER {name}; now shows {column}_FP {public.fingerprint}"
    )


def write_new_secret(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, durably.

    Raises:
        UsageError: it exists, or cannot be made; nothing is ever overwritten.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise UsageError(
            f"{path} exists and is not overwritten", hint="choose another name, or move it away"
        ) from None
    except OSError as error:
        raise UsageError(f"{path} cannot be made: {error.strerror}") from None
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _passphrase(path: Path) -> Secret:
    secret = read_secret_file(path)
    SECRETS.hide(secret.reveal())
    return secret


def _signing_key_of_file(path: Path, passphrase_file: Path | None) -> SigningKey:
    for file in (path, passphrase_file):
        if file is not None:
            check_secret_file(file)
    phrase = None if passphrase_file is None else str(passphrase_file.absolute())
    return SigningKey(key_file=str(path.absolute()), passphrase_file=phrase)


def _key_of(
    config: Path, key: Path | None, passphrase_file: Path | None
) -> tuple[SigningKey, str]:
    """The key that is meant, and the user it belongs to ("": unknown)."""
    if key is not None:
        return _signing_key_of_file(key, passphrase_file), ""
    merged = merge_profile(load(config), SECRETS.hide)
    table = merged.settings.snowflake
    if table.private_key_file is None:
        raise ConfigError(
            f"{config} names no private_key_file", hint="name a key with --key FILE"
        )
    return signing_key(table, merged.inline), table.user


def _public(key: SigningKey) -> PublicKey:
    found: dict[str, Any] = ask_child(run_module, key.request(None))
    return PublicKey(found["public_key"], found["fingerprint"])
