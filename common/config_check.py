"""Checks what stands in the configuration file, key by key; knows nothing of files.

Every check adds to a list of problems instead of ending at the first, so that a person mends all of
them in one go. A problem never shows the value of a key that could hold a secret.
"""

import ipaddress
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Final, get_args, get_type_hints

from common.logs import one_line
from common.settings import (
    PRESETS,
    SENSORS,
    Bound,
    CollectorSettings,
    DeviceSettings,
    Form,
    ShipperSettings,
    SnowflakeSettings,
    SpoolSettings,
    duration_s,
)

TABLES: Final[dict[str, type]] = {
    "device": DeviceSettings,
    "spool": SpoolSettings,
    "collector": CollectorSettings,
    "shipper": ShipperSettings,
    "snowflake": SnowflakeSettings,
}

_SECRETS: Final = {
    "pat": "pat_file",
    "token": "pat_file",
    "private_key": "private_key_file",
    "private_key_passphrase": "private_key_passphrase_file",
    "passphrase": "private_key_passphrase_file",
    "password": "pat_file or private_key_file",
}
"""Keys that would hold a secret, and the setting that names a file instead."""

_REMOVED: Final = {
    "channel": "the channel's name follows from the install; remove the line",
    "channel_name": "the channel's name follows from the install; remove the line",
    "simulate": "only real sensors are read; remove the line",
}

_TEXT_LENGTH_MAX: Final = 1_024
_SHOWN_LENGTH_MAX: Final = 60


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        key: the key as a person would write it, such as "[shipper] batch_size".
        what: the value and what is wrong with it, with the bound.
        remedy: what to do.
    """

    key: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.key}: {self.what}; {self.remedy}"


class Invalid(ValueError):
    """A value is not allowed; the text says what it is and what is expected."""


def bounds(table: type) -> dict[str, tuple[Bound, Any]]:
    """The settings of one table: name to bound and default."""
    return {f.name: (f.metadata["bound"], f.default) for f in fields(table)}


def show(value: object) -> str:
    """A value for a message, on one line, short, and never something that looks like a secret."""
    if isinstance(value, str) and _looks_secret(value):
        return "a text that looks like a secret"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return f"a list of {len(value)} items"
    text = '"' + one_line(value) + '"' if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN_LENGTH_MAX else text[: _SHOWN_LENGTH_MAX - 1] + "…"


def expected(bound: Bound) -> str:
    """The numbers that a bound of a number allows, in words."""
    unit = f" {bound.unit}" if bound.unit else ""
    return f"{bound.low:,.15g} to {bound.high:,.15g}{unit}".replace(",", "_")


def check_table(
    name: str, raw: Mapping[str, Any], base: Path, problems: list[Problem]
) -> dict[str, Any]:
    """The checked values of one table; keys with a problem are left out.

    Args:
        name: the table, a key of ``TABLES``.
        raw: what the file says.
        base: directory that relative paths are relative to.
        problems: what is wrong is added here.
    """
    known = bounds(TABLES[name])
    checked: dict[str, Any] = {}
    for key, value in raw.items():
        label = f"[{name}] {key if key.isidentifier() else show(key)}"
        if key not in known:
            problems.append(unknown_key(label, key, tuple(known)))
            continue
        bound, default = known[key]
        try:
            checked[key] = check_value(_kind(name, key), bound, value, base)
        except Invalid as error:
            remedy = f"the default is {show_default(default)}"
            problems.append(Problem(label, str(error), remedy))
    return checked


def unknown_key(label: str, key: str, known: tuple[str, ...]) -> Problem:
    """Why a key is refused, and what was probably meant; never shows its value."""
    lowered = key.lower()
    if lowered in _SECRETS:
        remedy = f"put the secret into a file of mode 0600 and name it with {_SECRETS[lowered]}"
        return Problem(label, "a secret must not stand in this file", remedy)
    if lowered in _REMOVED:
        return Problem(label, "is no setting", _REMOVED[lowered])
    elsewhere = [f"[{table}]" for table, kind in TABLES.items() if lowered in bounds(kind)]
    if elsewhere and lowered not in known:
        return Problem(label, "does not belong here", f"it belongs into {' or '.join(elsewhere)}")
    if close := _closest(lowered, known):
        return Problem(label, "is no setting", f"did you mean {close}?")
    return Problem(label, "is no setting", f"allowed here: {', '.join(known)}")


def check_value(kind: object, bound: Bound, value: Any, base: Path) -> Any:
    """The value in the setting's own type.

    Args:
        kind: the annotation of the setting.
        bound: what it may be.
        value: what TOML gave.
        base: directory that relative paths are relative to.

    Raises:
        Invalid: it is not allowed.
    """
    options = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    if bound.form is Form.I2C_BUS:
        return _i2c_bus(bound, value)
    if bound.form is Form.SENSORS:
        return _sensors(value)
    if int in options or float in options:
        return _number(bound, value, whole=int in options)
    text = _text(value)
    if bound.form is Form.PATH:
        return None if not text and type(None) in options else _path(text, base)
    if bound.form is Form.DURATION and text:
        _duration(text)
    if bound.form is Form.ADDRESS:
        _address(text)
    return text


def show_default(default: object) -> str:
    """The default of a setting as it would be written in the file."""
    if default is None or default == "":
        return "empty"
    if isinstance(default, tuple):
        return "[" + ", ".join(show(item) for item in default) + "]"
    return show(str(default)) if isinstance(default, Path) else show(default)


@cache
def _hints(table: str) -> dict[str, Any]:
    return get_type_hints(TABLES[table])


def _kind(table: str, key: str) -> Any:
    return _hints(table)[key]


def _type(value: object) -> str:
    names = {bool: "a boolean", int: "a whole number", float: "a number", str: "a text"}
    return names.get(type(value), "a list" if isinstance(value, list) else "of another type")


def _number(bound: Bound, value: Any, *, whole: bool) -> int | float:
    allowed = (int,) if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, allowed):
        noun = "a whole number" if whole else "a number"
        raise Invalid(f"{show(value)} is {_type(value)}, expected {noun}, {expected(bound)}")
    finite = isinstance(value, int) or math.isfinite(value)
    low, high = bound.low, bound.high
    if not finite or (low is not None and value < low) or (high is not None and value > high):
        raise Invalid(f"{show(value)} is out of bounds, expected {expected(bound)}")
    return value if whole else float(value)


def _looks_secret(text: str) -> bool:
    """Whether it is a PEM block, a JWT or a Snowflake token, all of which begin alike."""
    return "-----BEGIN" in text or ("eyJ" in text and "." in text)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Invalid(f"{show(value)} is {_type(value)}, expected a text in quotes")
    if _looks_secret(value):
        raise Invalid("holds a secret itself, expected the name of a file that holds it")
    if not value.isprintable():
        raise Invalid(f"{show(value)} holds a character that cannot be printed")
    if len(value) > _TEXT_LENGTH_MAX:
        raise Invalid(f"has {len(value)} characters, expected at most {_TEXT_LENGTH_MAX}")
    return value


def _path(text: str, base: Path) -> Path:
    if not text:
        raise Invalid('"" names no file or directory')
    if text.startswith("~"):
        raise Invalid(f'{show(text)}: "~" is not resolved, a service has no home; write it in full')
    return base / text


def _duration(text: str) -> None:
    try:
        seconds = duration_s(text)
    except ValueError:
        raise Invalid(
            f'{show(text)} is no duration, expected such as "30s", "15min", "1h" or "1d"'
        ) from None
    if 86_400 % seconds:
        raise Invalid(f"{show(text)} does not divide a day, so it would drift from day to day")


def _address(text: str) -> None:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        raise Invalid(f'{show(text)} is no IP address, expected such as "127.0.0.1"') from None


def _i2c_bus(bound: Bound, value: Any) -> int | str:
    if isinstance(value, str) and value.startswith("/"):
        return _text(value)
    if isinstance(value, str):
        wanted = f'{expected(bound)} or such as "/dev/i2c-1"'
        raise Invalid(f"{show(value)} is a text, expected {wanted}")
    return int(_number(bound, value, whole=True))


def _sensors(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise Invalid(f"{show(value)} is {_type(value)}, expected a list of sensor names")
    for item in value:
        names = item.split("|") if isinstance(item, str) else [""]
        wrong = [name for name in names if name not in SENSORS]
        if wrong:
            known = ", ".join(SENSORS)
            raise Invalid(f"{show(item)} names no sensor, expected {known}, or two joined by |")
    if not value:
        raise Invalid("[] names no sensor, so a Pi without any would look healthy")
    if len(set(value)) != len(value):
        raise Invalid("names a sensor twice")
    return tuple(value)


def _closest(text: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant; ``None``: none is near."""
    # Imported only for a mistake: a running service need not hold it.
    import difflib

    return next(iter(difflib.get_close_matches(text, known, n=1, cutoff=0.6)), None)


def check_preset(value: Any, problems: list[Problem]) -> str:
    """The name of a preset; "default" when there is a problem."""
    if isinstance(value, str) and value in PRESETS:
        return value
    close = _closest(value, PRESETS) if isinstance(value, str) else None
    remedy = f"did you mean {close}?" if close else f"expected {', '.join(PRESETS)}"
    problems.append(Problem("preset", f"{show(value)} is no preset", remedy))
    return "default"
