"""``[snowflake] profile``: the JSON files that people already have, read as they are.

Two kinds are known: the ``snowflake_config.json`` of the earlier streamers, and the
``profile.json`` of Snowflake's ``snowpipe-streaming`` SDK. What stands in the table of
``thermal.toml`` wins over both.
"""

import difflib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from common.errors import ConfigError, PermissionRefused
from common.settings import Settings, SnowflakeSettings
from common.strict_json import read_json
from shipper.auth.credentials import InlineSecrets, check_secret_file
from shipper.auth.secret import Hide, Secret

_TEXTS: Final = ("account", "user", "role", "database", "schema", "pipe", "url")
_SECRETS: Final = ("pat", "personal_access_token", "private_key", "private_key_passphrase")
_READ: Final = (
    *_TEXTS, *_SECRETS, "private_key_file", "channel_name", "authorization_type",
    "scheme", "host", "port",
)
_SKIPPED: Final = (
    "application", "auth_refresh_buffer_duration_seconds",
    "channel_status_cache_refresh_interval_seconds", "data_header_overrides",
    "enable_rowset_compression", "file_upload_endpoint", "max_append_request_buffer_duration_ms",
    "target_rowset_payload_size_mb",
)
"""Tuning keys of the SDK (1.9.1); our own settings take their place."""
_SKIPPED_FAMILIES: Final = (
    "_comment", "data_retry_", "mgmt_retry_", "open_channel_409_retry_",
    "misclassified_404_retry_",
)
_SIZE_MAX: Final = 262_144


@dataclass(frozen=True, slots=True)
class Merged:
    """Settings with the profile's values in them.

    Attributes:
        settings: with ``[snowflake]`` filled in; a secret that stands in the profile itself makes
            the profile the ``pat_file`` or ``private_key_file``.
        inline: those secrets.
        notes: what a person should know, one sentence each.
    """

    settings: Settings
    inline: InlineSecrets
    notes: tuple[str, ...] = ()


def merge_profile(settings: Settings, hide: Hide, *, private: bool = True) -> Merged:
    """Fill ``[snowflake]`` from its profile, if it names one.

    Args:
        settings: as read from ``thermal.toml``.
        hide: where the profile's secrets are announced.
        private: whether a profile that holds a secret must be readable by its owner only.

    Raises:
        ConfigError: the profile is missing or wrong; all its errors, one per line.
        PermissionRefused: it cannot be read, or holds a secret that others can read.
    """
    path = settings.snowflake.profile
    if path is None:
        return Merged(settings, InlineSecrets())
    profile = _checked(path, _read(path))
    for name in _SECRETS:
        if name in profile:
            hide(profile[name])
    table = settings.snowflake
    texts: dict[str, Any] = {
        name: profile[name] for name in _TEXTS if name in profile and not getattr(table, name)
    }
    if "url" not in profile and "host" in profile and not table.url:
        port = f":{profile['port']}" if "port" in profile else ""
        texts["url"] = f"{profile.get('scheme', 'https')}://{profile['host']}{port}"
    merged, inline = _sign_in(replace(table, **texts), path, profile)
    if private and inline != InlineSecrets():
        check_secret_file(path)
    notes: tuple[str, ...] = ()
    if "channel_name" in profile:
        why = "the channel's name follows from the install, so that no two writers share one"
        notes = (f"channel_name in {path} is not used: {why}",)
    return Merged(replace(settings, snowflake=merged), inline, notes)


def _sign_in(
    table: SnowflakeSettings, path: Path, profile: dict[str, str]
) -> tuple[SnowflakeSettings, InlineSecrets]:
    """Take key or token from the profile, unless the table names one."""
    if table.private_key_file is not None or table.pat_file is not None:
        return table, InlineSecrets()
    kind = profile.get("authorization_type", "").upper()
    pat = profile.get("pat") or profile.get("personal_access_token")
    key_file, key = profile.get("private_key_file"), profile.get("private_key")
    if pat and (key_file or key) and not kind:
        raise ConfigError(
            f"{path} holds both an access token and a private key",
            hint="take one of them out, or name a pat_file or private_key_file in [snowflake]",
        )
    if pat and kind in ("", "PAT"):
        return replace(table, pat_file=path), InlineSecrets(pat=Secret(pat))
    phrase = profile.get("private_key_passphrase")
    inline = InlineSecrets(
        private_key=Secret(key) if key and not key_file else None,
        passphrase=Secret(phrase) if phrase else None,
    )
    if key_file:
        return replace(table, private_key_file=path.parent / key_file), inline
    return (replace(table, private_key_file=path), inline) if key else (table, InlineSecrets())


def _read(path: Path) -> dict[str, Any]:
    """The JSON object in the file."""
    try:
        with path.open("rb") as file:
            read = read_json(file.read(_SIZE_MAX))
    except PermissionError:
        raise PermissionRefused(
            f"profile {path} cannot be read by this user", hint=f"change the owner of {path}"
        ) from None
    except OSError as error:
        raise ConfigError(
            f"profile {path} cannot be read: {error.strerror}",
            hint="check [snowflake] profile",
        ) from None
    except ValueError as error:
        # The decoder's message has a position and never the text, which may be a secret.
        place = ""
        if isinstance(error, json.JSONDecodeError):
            place = f": {error.msg}, line {error.lineno}"
        raise ConfigError(f"profile {path} is not JSON{place}", hint="mend it") from None
    if not isinstance(read, dict):
        raise ConfigError(f"profile {path} is not a JSON object", hint='expected {"account": …}')
    return read


def _checked(path: Path, raw: dict[str, Any]) -> dict[str, str]:
    """The keys that we read, as texts; empty ones are as good as not there.

    Raises:
        ConfigError: naming every key that is not known or not a text.
    """
    problems: list[str] = []
    checked: dict[str, str] = {}
    for key, value in raw.items():
        if key in _SKIPPED or key.startswith(_SKIPPED_FAMILIES):
            continue
        if key not in _READ:
            problems.append(f"{key}: {_unknown(key)}")
        elif key == "port" and isinstance(value, int) and not isinstance(value, bool):
            checked[key] = str(value)
        elif value is not None and not isinstance(value, str):
            problems.append(f"{key}: expected a text")
        elif value:
            checked[key] = value
    kind = checked.get("authorization_type", "").upper()
    if kind not in ("", "JWT", "PAT"):
        problems.append(f'authorization_type: "{kind}" is not supported, expected JWT or PAT')
    if problems:
        lines = "\n".join(f"profile {path}: {problem}" for problem in problems)
        raise ConfigError(lines, hint="keys that start with _comment are skipped")
    return checked


def _unknown(key: str) -> str:
    """Why a key is refused; never shows its value."""
    if key.startswith("oauth_"):
        return "sign-in by OAuth is not supported; use a key pair or an access token"
    close = difflib.get_close_matches(key.lower(), _READ, n=1, cutoff=0.6)
    return "is no key of a profile" + (f"; did you mean {close[0]}?" if close else "")
