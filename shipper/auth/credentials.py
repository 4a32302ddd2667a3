"""The credential out of the settings: a key pair or a programmatic access token, from a safe file.

A file of its own is the rule. A profile of earlier systems or of the official SDK may hold the
secret itself; then the profile is the file that is checked, see ``InlineSecrets``.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.clock import Clock
from common.config import secret_path
from common.errors import ConfigError, PermissionRefused
from common.settings import SnowflakeSettings
from shipper.auth.account import Account
from shipper.auth.secret import Hide, Secret
from shipper.auth.server_time import ServerTime
from shipper.auth.signer import RunModule, Signer, SigningKey, claim_of
from shipper.auth.tokens import Bearer, Credential

_SECRET_BYTES_MAX: Final = 65_536
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def check_secret_file(path: Path, credentials_directory: str | None = None) -> None:
    """See that a file with a secret is there, readable, and readable by nobody else.

    Args:
        path: the file.
        credentials_directory: ``$CREDENTIALS_DIRECTORY``; systemd guards the files in it, whatever
            their mode. ``None``: from the environment.

    Raises:
        ConfigError: there is no such file, or it is no file, or it is empty.
        PermissionRefused: this user may not read it, or others may.
    """
    directory = credentials_directory or os.environ.get("CREDENTIALS_DIRECTORY", "")
    try:
        status = path.stat()
        readable = os.access(path, os.R_OK)
    except PermissionError:
        raise PermissionRefused(
            f"{path} cannot be reached by this user",
            hint="pass it to the service with LoadCredential=, or change its owner",
        ) from None
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}", hint="check the path in [snowflake]"
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise ConfigError(f"{path} is not a file", hint="check the path in [snowflake]")
    if not readable:
        raise PermissionRefused(
            f"{path} cannot be read by this user (mode {stat.S_IMODE(status.st_mode):04o})",
            hint="pass it to the service with LoadCredential=, or change its owner",
        )
    if status.st_size == 0:
        raise ConfigError(f"{path} is empty", hint="write the key or the token into it")
    if directory and path.is_relative_to(directory):
        return
    if status.st_mode & _OTHERS:
        raise PermissionRefused(
            f"{path} has mode {stat.S_IMODE(status.st_mode):04o}, so others can read the secret",
            hint=f"chmod 600 {path}",
        )


@contextlib.contextmanager
def of_setting(key: str) -> Iterator[None]:
    """Name the setting that an unusable file belongs to."""
    try:
        yield
    except (ConfigError, PermissionRefused) as error:
        raise type(error)(f"[snowflake] {key}: {error}", hint=error.hint) from None


def read_secret_file(path: Path) -> Secret:
    """The one-line secret in a file, without its line end.

    Raises:
        ConfigError, PermissionRefused: see ``check_secret_file``; or it is not one line of text.
    """
    check_secret_file(path)
    with path.open("rb") as file:
        content = file.read(_SECRET_BYTES_MAX)
    text = content.decode("utf-8", "replace").strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ConfigError(
            f"{path} does not hold a token: expected one line of printable characters",
            hint="write the token alone into it",
        )
    return Secret(text)


class KeyPair:
    """Sign-in with a private key, by tokens that a ``Signer`` makes."""

    kind = "jwt"

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def bearer(self) -> Bearer:
        """See ``Credential``."""
        return Bearer(self._signer.signed().token, "KEYPAIR_JWT")

    def grant(self, scope: str) -> tuple[tuple[str, str], ...]:
        """See ``Credential``; the role is a claim of the signed token."""
        return (
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("scope", scope),
        )

    def forget(self) -> None:
        """See ``Credential``."""
        self._signer.forget()

    def mistimed(self) -> bool:
        """See ``Credential``."""
        return self._signer.signed_at_wrong_time()

    def expires_s(self) -> float | None:
        """See ``Credential``."""
        return self._signer.expires_s()


class AccessToken:
    """Sign-in with a programmatic access token (PAT); its file is read again when it is refused."""

    kind = "pat"

    def __init__(self, token: Secret, path: Path | None, role: str, hide: Hide) -> None:
        """Keep a token.

        Args:
            token: the token.
            path: the file that a new one may appear in, or ``None``.
            role: role of the session; empty: the user's default.
            hide: where a new token is announced.
        """
        self._token = token
        self._path = path
        self._role = role
        self._hide = hide
        self._forgotten = False
        hide(token.reveal(), slot="pat")

    def bearer(self) -> Bearer:
        """See ``Credential``; after ``forget`` the file is read again.

        A file that cannot be read just now, or is half written, leaves the old token.
        """
        if self._forgotten and self._path is not None:
            with contextlib.suppress(ConfigError, PermissionRefused, OSError):
                self._token = read_secret_file(self._path)
                self._hide(self._token.reveal(), slot="pat")
                self._forgotten = False
        return Bearer(self._token, "PROGRAMMATIC_ACCESS_TOKEN")

    def grant(self, scope: str) -> tuple[tuple[str, str], ...]:
        """See ``Credential``; the official SDK names the role beside the host."""
        return (
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("scope", f"{scope} session:role:{self._role}" if self._role else scope),
            ("subject_token_type", "programmatic_access_token"),
        )

    def forget(self) -> None:
        """See ``Credential``."""
        self._forgotten = True

    def mistimed(self) -> bool:
        """See ``Credential``; it carries no time of ours."""
        return False

    def expires_s(self) -> float | None:
        """See ``Credential``; a PAT does not tell."""
        return None


@dataclass(frozen=True, slots=True)
class InlineSecrets:
    """Secrets that stand in a profile instead of files of their own; ``None``: not there."""

    pat: Secret | None = None
    private_key: Secret | None = None
    passphrase: Secret | None = None


@dataclass(frozen=True, slots=True)
class Tools:
    """What a credential needs of its surroundings."""

    time: ServerTime
    clock: Clock
    run: RunModule
    hide: Hide


def make_credential(
    snowflake: SnowflakeSettings, inline: InlineSecrets, account: Account, tools: Tools
) -> Credential:
    """The credential that the settings name; reads and checks the files, signs nothing.

    Raises:
        ConfigError, PermissionRefused: a file is missing, unsafe or not what it should be.
    """
    if snowflake.pat_file is not None:
        with of_setting("pat_file"):
            if inline.pat is not None:
                check_secret_file(snowflake.pat_file)
                return AccessToken(inline.pat, None, snowflake.role, tools.hide)
            path = secret_path(snowflake.pat_file)
            return AccessToken(read_secret_file(path), path, snowflake.role, tools.hide)
    claim = claim_of(account, snowflake.user, snowflake.role)
    key = signing_key(snowflake, inline)
    return KeyPair(Signer(key, claim, tools.time, tools.clock, tools.run, tools.hide))


def signing_key(snowflake: SnowflakeSettings, inline: InlineSecrets) -> SigningKey:
    """Where the private key is, after a look at the mode of its files.

    Raises:
        ConfigError, PermissionRefused: see ``check_secret_file``.
    """
    assert snowflake.private_key_file is not None
    key_file = secret_path(snowflake.private_key_file)
    with of_setting("private_key_file"):
        check_secret_file(key_file)
    passphrase_file = None
    if inline.passphrase is None and snowflake.private_key_passphrase_file is not None:
        passphrase_file = secret_path(snowflake.private_key_passphrase_file)
        with of_setting("private_key_passphrase_file"):
            check_secret_file(passphrase_file)
    return SigningKey(
        key_file=None if inline.private_key else str(key_file),
        key=inline.private_key,
        passphrase_file=None if passphrase_file is None else str(passphrase_file),
        passphrase=inline.passphrase,
    )
