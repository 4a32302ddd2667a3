"""Reads ``/etc/thermal/thermal.toml``; a wrong file ends here, with all its errors.

Unknown keys are refused, not ignored: a misspelt key that is silently dropped is found months
later. Secrets are never read from this file; it names the files that hold them.
"""

import os
import stat
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from common.config_check import (
    TABLES,
    Invalid,
    Problem,
    bounds,
    check_preset,
    check_table,
    check_value,
    show,
    unknown_key,
)
from common.errors import ConfigError, PermissionRefused, UsageError
from common.settings import PRESETS, Settings, ShipperSettings, SnowflakeSettings

_SIZE_MAX: Final = 1 << 20
_US: Final = 1_000_000
_WINDOW_SHARE: Final = 8
"""What is under way may be at most this part of the spool's cap; one batch must fit in."""


def load(path: Path) -> Settings:
    """Read and check a configuration file.

    Args:
        path: the file; relative paths in it are relative to its directory.

    Raises:
        ConfigError: the file is missing or wrong; the message has one line for each error.
        PermissionRefused: the file may not be read.
    """
    problems: list[Problem] = []
    raw = _parse(path, _read(path))
    settings = _build(path, raw, problems)
    if problems:
        raise _all(path, problems)
    return settings


def override(
    settings: Settings, *, batch_size: int | None = None, interval_s: float | None = None
) -> Settings:
    """The settings with the shipper's ``--batch-size`` and ``--interval`` in place of the file's.

    Args:
        settings: what the file says.
        batch_size: rows; ``None``: as in the file.
        interval_s: seconds; ``None``: as in the file.

    Raises:
        UsageError: a flag is out of the same bounds that the file must keep.
    """
    given = {
        "batch_size": ("--batch-size", int, batch_size),
        "interval_s": ("--interval", float, interval_s),
    }
    known = bounds(ShipperSettings)
    checked: dict[str, Any] = {}
    for name, (flag, kind, value) in given.items():
        if value is None:
            continue
        try:
            checked[name] = check_value(kind, known[name][0], value, settings.source.parent)
        except Invalid as error:
            raise UsageError(f"{flag}: {error}", hint=f"leave {flag} out for the file's") from None
    return replace(settings, shipper=replace(settings.shipper, **checked))


def require_snowflake(settings: Settings) -> None:
    """Check that the shipper knows where to send and as whom.

    Raises:
        ConfigError: naming each key that is missing, and the sign-in when there is none or two.
    """
    snowflake = settings.snowflake
    known = bounds(SnowflakeSettings)
    problems = [
        Problem(f"[snowflake] {name}", "is missing", f"set it: {known[name][0].help}")
        for name in ("account", "user", "database", "schema", "pipe")
        if not getattr(snowflake, name)
    ]
    ways = [n for n in ("private_key_file", "pat_file") if getattr(snowflake, n) is not None]
    if not ways:
        remedy = "set private_key_file (key pair) or pat_file (programmatic access token)"
        problems.append(Problem("[snowflake]", "has no way to sign in", remedy))
    if len(ways) > 1:
        remedy = "remove one of them"
        problems.append(Problem(f"[snowflake] {' and '.join(ways)}", "are both set", remedy))
    if snowflake.private_key_passphrase_file is not None and "private_key_file" not in ways:
        label = "[snowflake] private_key_passphrase_file"
        problems.append(Problem(label, "is set without private_key_file", "set both or none"))
    if problems:
        raise _all(settings.source, problems)


def secret_path(settings_path: Path) -> Path:
    """Where a secret is really read from: a systemd credential of the same name wins.

    Args:
        settings_path: the file that a setting names.
    """
    directory = os.environ.get("CREDENTIALS_DIRECTORY")
    if directory:
        credential = Path(directory) / settings_path.name
        if credential.exists():
            return credential
    return settings_path


def _read(path: Path) -> str:
    """The text of the file; a pipe or device is refused, reading it could last for ever."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a directory" if path.is_dir() else "not a regular file"
            raise ConfigError(f"{path}: is {kind}", hint="name the TOML file itself")
        with path.open("rb") as file:
            data = file.read(_SIZE_MAX + 1)
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no such file",
            hint="copy deploy/systemd/thermal.example.toml there and edit it, or use --config FILE",
        ) from None
    except PermissionError:
        raise PermissionRefused(
            f"{path}: may not be read by user {os.geteuid()}",
            hint=f"chown root:thermal {path} && chmod 0640 {path}",
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no file can have this name"
        raise ConfigError(f"{show(str(path))}: cannot be read: {reason}") from None
    if len(data) > _SIZE_MAX:
        raise ConfigError(f"{path}: has more than {_SIZE_MAX} bytes", hint="is it the right file?")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}: line {line}: byte 0x{data[error.start]:02x} is not UTF-8",
            hint="save the file as UTF-8",
        ) from None


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path}: is not valid TOML: {error}",
            hint="texts stand in quotes, tables in [brackets]; see https://toml.io",
        ) from None
    except (ValueError, RecursionError) as error:
        # Numbers of thousands of digits and brackets nested a thousand deep end up here.
        raise ConfigError(
            f"{path}: is not a sensible file: {type(error).__name__}",
            hint="a number or a nesting in it is absurdly long; is it the right file?",
        ) from None


def _build(path: Path, raw: dict[str, Any], problems: list[Problem]) -> Settings:
    base = path.absolute().parent
    preset = PRESETS[check_preset(raw.pop("preset", "default"), problems)]
    checked: dict[str, dict[str, Any]] = {name: {} for name in TABLES}
    for name, table in raw.items():
        if name not in TABLES:
            label = name if name.isidentifier() else show(name)
            problems.append(unknown_key(label, name, ("preset", *TABLES)))
        elif not isinstance(table, dict):
            what = f"{show(table)} is not a table"
            problems.append(Problem(name, what, f"write [{name}] and its keys below"))
        else:
            checked[name] = check_table(name, table, base, problems)
    checked["shipper"].setdefault("batch_size", preset.batch_size)
    checked["shipper"].setdefault("interval_s", float(preset.interval_s))
    checked["collector"].setdefault("store_interval_s", float(preset.store_interval_s))
    settings = Settings(path, **{name: TABLES[name](**values) for name, values in checked.items()})
    settings = _aligned(settings, "interval_s" in checked["collector"], problems)
    _check_together(settings, problems)
    return settings


def _aligned(settings: Settings, interval_given: bool, problems: list[Problem]) -> Settings:
    """With ``align`` the interval is that, or an even part of it, or the grid would miss it."""
    collector = settings.collector
    if collector.align_s is None:
        return settings
    if not interval_given:
        return replace(settings, collector=replace(collector, interval_s=float(collector.align_s)))
    if round(collector.align_s * _US) % round(collector.interval_s * _US):
        what = f"{show(collector.align)} is not a multiple of interval_s = {collector.interval_s:g}"
        remedy = "choose an interval_s that divides it, or remove interval_s"
        problems.append(Problem("[collector] align", what, remedy))
    return settings


def _check_together(settings: Settings, problems: list[Problem]) -> None:
    """What only two settings together can get wrong."""
    collector, shipper = settings.collector, settings.shipper
    if collector.metrics_port and collector.metrics_port == shipper.metrics_port:
        what = f"{shipper.metrics_port} is also the port of [collector]"
        problems.append(Problem("[shipper] metrics_port", what, "give each service its own"))
    window = settings.spool.cap_bytes // _WINDOW_SHARE
    if shipper.batch_bytes_max > window:
        what = f"{shipper.batch_bytes_max} is more than an eighth of [spool] cap_bytes"
        remedy = f"expected at most {window} bytes, or a larger cap_bytes"
        problems.append(Problem("[shipper] batch_bytes_max", what, remedy))


def _all(path: Path, problems: list[Problem]) -> ConfigError:
    lines = "\n".join(f"{path}: {problem}" for problem in problems)
    return ConfigError(lines, hint=f"edit {path}; docs/settings.md lists every key with its bound")
