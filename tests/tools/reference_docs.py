"""Writes the reference pages that follow from the code; ``make docs`` runs it.

``docs/settings.md`` and ``deploy/systemd/thermal.example.toml`` follow from ``common.settings``,
``docs/columns.md`` from ``common.columns``. A test compares the files with what this would write.
"""

import textwrap
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from common.columns import COLUMNS, Column, Place
from common.config_check import TABLES, bounds, show
from common.settings import PRESETS, Bound, Form

ROOT: Final = Path(__file__).resolve().parents[2]

_FORMS: Final = {
    Form.TEXT: "text",
    Form.PATH: "path",
    Form.DURATION: "a duration that divides a day, such as 30s, 15min, 1h",
    Form.ADDRESS: "IP address",
    Form.I2C_BUS: "0 to 255, or a path such as /dev/i2c-1",
    Form.SENSORS: "list of scd4x, icp10125, sgp30; a|b means either",
}

_PLACES: Final = {
    Place.READING: "in each row",
    Place.ORIGIN: "once per origin",
    Place.SENDING: "added when sent",
}


def _allowed(bound: Bound, default: Any) -> str:
    if bound.form is Form.I2C_BUS or isinstance(default, bool):
        return _FORMS[bound.form]
    if bound.low is None or bound.high is None:
        return _FORMS[bound.form]
    unit = f" {bound.unit}" if bound.unit else ""
    return f"{bound.low:,.15g} to {bound.high:,.15g}{unit}".replace(",", "_")


def _literal(default: Any) -> str:
    """The default as TOML."""
    if default is None:
        return '""'
    if isinstance(default, tuple):
        return "[" + ", ".join(show(item) for item in default) + "]"
    return show(str(default)) if isinstance(default, Path | str) else show(default)


def settings_page() -> str:
    """The text of ``docs/settings.md``."""
    lines = [
        "# Settings",
        "",
        "Both services read one TOML file, `/etc/thermal/thermal.toml` unless `--config` names",
        "another. Each key has a default, so an empty file is valid for the collector; the shipper",
        "needs `[snowflake]`. Unknown keys are refused. Relative paths are relative to the file.",
        "Secrets never stand in the file: it names files, and a systemd credential of the same",
        "name wins over the file. A change takes effect when the service is restarted.",
        "",
        "This page is written by `make docs` from `common/settings.py`.",
        "",
        "## `preset`",
        "",
        "At the top of the file, before the first table. Single keys override it, and the",
        "shipper's flags `--batch-size` and `--interval` override the file.",
        "",
        "| preset | [shipper] batch_size | [shipper] interval_s | [collector] store_interval_s |",
        "|---|---|---|---|",
    ]
    for name, preset in PRESETS.items():
        numbers = (preset.batch_size, preset.interval_s, preset.store_interval_s)
        lines.append(f"| `{name}` | " + " | ".join(f"{n:g}" for n in numbers) + " |")
    for table, kind in TABLES.items():
        lines += ["", f"## `[{table}]`", "", _first_sentence(kind), ""]
        lines += ["| key | meaning | allowed | default |", "|---|---|---|---|"]
        for key, (bound, default) in bounds(kind).items():
            allowed = _allowed(bound, default).replace("|", "\\|")
            meaning = bound.help.replace("|", "\\|")
            literal = _literal(default).replace("|", "\\|")
            lines.append(f"| `{key}` | {meaning} | {allowed} | `{literal}` |")
    return "\n".join(lines) + "\n"


def _first_sentence(kind: type) -> str:
    summary = (kind.__doc__ or "").split("\n")[0]
    _, _, text = summary.partition(": ")
    return text[0].upper() + text[1:]


def example_file() -> str:
    """The text of ``deploy/systemd/thermal.example.toml``."""
    lines = [
        "# Settings of thermal-collector and thermal-shipper: copy to /etc/thermal/thermal.toml,",
        "# owner root:thermal, mode 0640. Every key is shown with its default; remove the # to",
        "# change it. Secrets do not belong here: name the file that holds them.",
        "",
        f"# What many people want in one word: {', '.join(PRESETS)}.",
        "# Single keys below override it.",
        '#preset = "default"',
    ]
    for table, kind in TABLES.items():
        lines += ["", f"# {_first_sentence(kind)}", f"[{table}]"]
        for field in fields(kind):
            bound: Bound = field.metadata["bound"]
            note = f"{bound.help} Allowed: {_allowed(bound, field.default)}."
            lines += ["", *(f"# {line}" for line in textwrap.wrap(note, 96))]
            lines.append(f"#{field.name} = {_literal(field.default)}")
    return "\n".join(lines) + "\n"


def columns_page() -> str:
    """The text of ``docs/columns.md``."""
    lines = [
        "# Columns",
        "",
        "One row is one tick of the sampling grid, or a gap, event or tombstone (`kind`). A value",
        "that was not measured is NULL, never 0 and never an older one; `sensor_status` says why.",
        "Values outside the range are NULL with status `out_of_range`.",
        "",
        "`(install_id, epoch, seq)` never names two samples. *Stored* says where the spool keeps",
        "the column: an origin is stored once for all rows of one epoch.",
        "",
        "This page is written by `make docs` from `common/columns.py`.",
        "",
        "| column | Snowflake type | NULL | range | stored | meaning |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_column_line(column) for column in COLUMNS]
    return "\n".join(lines) + "\n"


def _column_line(column: Column) -> str:
    low = "" if column.low is None else f"{column.low:,.15g}"
    high = "" if column.high is None else f"{column.high:,.15g}"
    span = f"{low} to {high}" if low and high else f"from {low}" if low else ""
    null = "no" if column.required else "yes"
    cells = (f"`{column.name}`", column.type.snowflake, null, span, _PLACES[column.place])
    return "| " + " | ".join((*cells, column.comment)) + " |"


PAGES: Final[dict[str, Callable[[], str]]] = {
    "docs/settings.md": settings_page,
    "docs/columns.md": columns_page,
    "deploy/systemd/thermal.example.toml": example_file,
}


def main() -> None:
    """Write all pages."""
    for name, text in PAGES.items():
        (ROOT / name).write_text(text())
        print(f"wrote {name}")


if __name__ == "__main__":
    main()
