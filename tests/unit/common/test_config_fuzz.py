"""Whatever stands in the file, the answer is settings in their bounds or an error for people."""

import string
import tempfile
from dataclasses import fields
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from common import config
from common.config_check import TABLES, bounds
from common.errors import ConfigError, PermissionRefused
from common.settings import PRESETS, Settings

_KEYS = st.one_of(
    st.sampled_from([key for table in TABLES.values() for key in bounds(table)]),
    st.text(string.ascii_letters + "_", min_size=1, max_size=12),
)
_VALUES = st.one_of(
    st.integers().map(str),
    st.integers(0, 10_000).map(str),
    st.floats().map(lambda x: repr(x) if "e" not in repr(x) else repr(x).replace("+", "")),
    st.sampled_from(["true", "[]", "{}", "1979-05-27", "07:32:00", '["scd4x"]', '"15min"']),
    st.text(max_size=20).map(lambda s: '"' + s.replace("\\", "").replace('"', "") + '"'),
    st.just('"eyJhbGciOiJSUzI1NiJ9.planted"'),
)
_LINES = st.lists(st.tuples(_KEYS, _VALUES), max_size=6, unique_by=lambda pair: pair[0])
_FILES = st.dictionaries(
    st.one_of(st.sampled_from(list(TABLES)), st.text(string.ascii_letters, min_size=1, max_size=8)),
    _LINES,
    max_size=4,
)


def _try(data: bytes) -> Settings | None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "thermal.toml"
        path.write_bytes(data)
        try:
            return config.load(path)
        except (ConfigError, PermissionRefused) as error:
            assert str(error).startswith(str(path))
            assert "planted" not in str(error)
            return None


def _within_bounds(found: Settings) -> bool:
    for name, table in TABLES.items():
        values = getattr(found, name)
        for field in fields(table):
            bound, value = field.metadata["bound"], getattr(values, field.name)
            bounded = bound.low is not None and isinstance(value, int | float)
            if bounded and not bound.low <= value <= bound.high:
                return False
    return True


@given(_FILES, st.sampled_from(["", *PRESETS, "other"]))
def test_any_toml_gives_settings_or_a_config_error(
    tables: dict[str, list[tuple[str, str]]], preset: str
) -> None:
    """Known and unknown tables and keys with values of all types never end in a traceback."""
    lines = [f'preset = "{preset}"'] if preset else []
    for name, keys in tables.items():
        lines += [f"[{name}]", *(f"{key} = {value}" for key, value in keys)]
    found = _try("\n".join(lines).encode())
    assert found is None or _within_bounds(found)


@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(str.encode)))
@example(b"\xff\xfe")
@example(b"[" * 5_000)
@example(b"a=" + b"9" * 5_000)
@example(b"a = 1e999\n")
@example(b'"\\ud800" = 1')
def test_any_bytes_give_settings_or_a_config_error(data: bytes) -> None:
    """A file of rubbish is an error for people, whatever the rubbish."""
    found = _try(data)
    assert found is None or _within_bounds(found)
