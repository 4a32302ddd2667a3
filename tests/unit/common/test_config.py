"""A configuration file becomes settings, or all of its errors at once."""

from pathlib import Path

import pytest

from common import config
from common.errors import ConfigError
from common.settings import PRESETS, Settings


def load(tmp_path: Path, text: str) -> Settings:
    """The settings of a file with this text."""
    path = tmp_path / "thermal.toml"
    path.write_text(text)
    return config.load(path)


def errors(tmp_path: Path, text: str) -> list[str]:
    """The lines of the error that a file with this text gives, without the file's name."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    prefix = f"{tmp_path / 'thermal.toml'}: "
    lines = str(caught.value).split("\n")
    assert all(line.startswith(prefix) for line in lines)
    assert caught.value.hint
    return [line.removeprefix(prefix) for line in lines]


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    """Nothing in the file is needed: every setting has a default."""
    assert load(tmp_path, "") == Settings(source=tmp_path / "thermal.toml")


def test_values_arrive_in_their_types(tmp_path: Path) -> None:
    """A whole number is taken for a float, a list becomes a tuple, a path is resolved."""
    settings = load(
        tmp_path,
        '[collector]\ninterval_s = 2\nrequired_sensors = ["sgp30"]\ni2c_bus = "/dev/i2c-3"\n'
        '[spool]\ndirectory = "spool"\n[snowflake]\npat_file = "/etc/pat"\nprofile = ""\n',
    )
    assert settings.collector.interval_s == 2.0
    assert isinstance(settings.collector.interval_s, float)
    assert settings.collector.required_sensors == ("sgp30",)
    assert settings.collector.i2c_bus == "/dev/i2c-3"
    assert settings.spool.directory == tmp_path / "spool"
    assert settings.snowflake.pat_file == Path("/etc/pat")
    assert settings.snowflake.profile is None


def test_relative_paths_follow_the_file_not_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same file means the same paths from wherever a service is started."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/thermal.toml").write_text('[spool]\ndirectory = "../spool"\n')
    monkeypatch.chdir(tmp_path)
    settings = config.load(Path("etc/thermal.toml"))
    assert settings.spool.directory == tmp_path / "etc/../spool"


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_sets_three_values_and_single_keys_override_it(tmp_path: Path, name: str) -> None:
    """What users were told to use is one word."""
    settings = load(tmp_path, f'preset = "{name}"\n')
    got = (
        settings.shipper.batch_size,
        settings.shipper.interval_s,
        settings.collector.store_interval_s,
    )
    preset = PRESETS[name]
    assert got == (preset.batch_size, preset.interval_s, preset.store_interval_s)
    mixed = load(tmp_path, f'preset = "{name}"\n[shipper]\nbatch_size = 7\n')
    assert mixed.shipper.batch_size == 7
    assert mixed.shipper.interval_s == preset.interval_s


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('preset = "bulkk"', 'preset: "bulkk" is no preset; did you mean bulk?'),
        ("preset = 3", "preset: 3 is no preset; expected default"),
        ("[shiper]", "shiper: is no setting; did you mean shipper?"),
        ("spool = 1", "spool: 1 is not a table; write [spool]"),
        ("[[spool]]", "spool: a list of 1 items is not a table"),
        ("[shipper]\nbatchsize = 1", "batchsize: is no setting; did you mean batch_size?"),
        ("[collector]\nbatch_size = 1", "[collector] batch_size: does not belong here; it belongs"),
        ("[spool]\n'a b' = 1", '[spool] "a b": is no setting; allowed here: directory'),
        ('[spool]\n"a\\nb" = 1', '[spool] "a\\nb": is no setting; allowed here: directory'),
        ("[shipper]\nbatch_size = 0", "batch_size: 0 is out of bounds, expected 1 to 100_000 rows"),
        ("[shipper]\nbatch_size = true", "true is a boolean, expected a whole number, 1 to"),
        ("[shipper]\nbatch_size = 1.0", "1.0 is a number, expected a whole number"),
        ("[shipper]\ninterval_s = '5'", '"5" is a text, expected a number, 0.05 to 3_600 seconds'),
        ("[shipper]\ninterval_s = true", "true is a boolean, expected a number"),
        ("[shipper]\ninterval_s = nan", "nan is out of bounds"),
        ("[shipper]\ninterval_s = inf", "inf is out of bounds"),
        ("[shipper]\ninterval_s = -inf", "-inf is out of bounds"),
        ("[spool]\ncap_bytes = 0x" + "f" * 5_000, "a number of 20000 bits is out of bounds"),
        ("[device]\nid = {a = 1}", "a table is of another type, expected a text in quotes"),
        ("[collector]\nmetrics_address = 'Küche\u2028'", "holds a character that cannot be"),
        ("[collector]\nmetrics_address = 'Küche'", '"Küche" is no IP address'),
        ("[shipper]\nstore_interval_s = 1", "does not belong here; it belongs into [collector]"),
        ("[device]\nID = 'x'", "ID: is no setting; did you mean id?"),
        ("[device]\nid = 5", "5 is a whole number, expected a text in quotes"),
        ("[device]\nid = 2026-01-01", "2026-01-01 is of another type, expected a text"),
        ("[device]\nid = 'a\tb'", "holds a character that cannot be printed"),
        ("[device]\nid = '" + "x" * 1_025 + "'", "has 1025 characters, expected at most 1024"),
        ("[spool]\ndirectory = ''", '"" names no file or directory'),
        ("[spool]\ndirectory = '~/spool'", "a service has no home; write it in full"),
        ("[collector]\nmetrics_address = 'localhost'", "is no IP address"),
        ("[collector]\ni2c_bus = -1", "-1 is out of bounds, expected 0 to 255"),
        ("[collector]\ni2c_bus = '1'", 'expected 0 to 255 or such as "/dev/i2c-1"'),
        ("[collector]\nrequired_sensors = ['scd40']", '"scd40" names no sensor, expected scd4x'),
        ("[collector]\nrequired_sensors = ['scd4x|']", '"scd4x|" names no sensor'),
        ("[collector]\nrequired_sensors = [1]", "1 names no sensor"),
        ("[collector]\nrequired_sensors = []", "[] names no sensor"),
        ("[collector]\nrequired_sensors = ['sgp30', 'sgp30']", "names a sensor twice"),
        ("[collector]\nrequired_sensors = 'sgp30'", "is a text, expected a list"),
        ("[collector]\nalign = 'often'", '"often" is no duration, expected such as "30s"'),
        ("[collector]\nalign = '0s'", '"0s" is no duration'),
        ("[collector]\nalign = '7min'", '"7min" does not divide a day'),
        ("[collector]\nalign = '2d'", '"2d" does not divide a day'),
        ("[shipper]\nmetrics_port = 9814", "9814 is also the port of [collector]"),
        (
            "[spool]\ncap_bytes = 8388608\n[shipper]\nbatch_bytes_max = 4194304",
            "4194304 is more than an eighth of [spool] cap_bytes; expected at most 1048576 bytes",
        ),
    ],
)
def test_a_wrong_line_is_named_with_value_bound_and_remedy(
    tmp_path: Path, text: str, expected: str
) -> None:
    """Each error says key, value, what is allowed and what to do."""
    (line,) = errors(tmp_path, text)
    assert expected in line
    assert ";" in line


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    """A person mends a file in one go, not one error per start."""
    text = "preset = 1\nfoo = 1\n[shipper]\nbatch_size = 0\ninterval_s = nan\n[spool]\nx = 1\n"
    assert [line.split(":")[0] for line in errors(tmp_path, text)] == [
        "preset", "foo", "[shipper] batch_size", "[shipper] interval_s", "[spool] x",
    ]


@pytest.mark.parametrize(
    "line",
    [
        'pat = "{}"',
        'PAT = "{}"',
        'token = "{}"',
        'private_key = "{}"',
        'password = "{}"',
        'passphrase = "{}"',
        'pat_file = "eyJhbGciOi.{}"',
        'private_key_file = """-----BEGIN PRIVATE KEY-----\n{}"""',
        'pat_filee = "{}"',
        'user = ["{}"]',
    ],
)
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, line: str) -> None:
    """The message must not carry the secret into the journal, and says where it belongs."""
    secret = "kT9wQx7Zr2planted"
    (message,) = errors(tmp_path, "[snowflake]\n" + line.format(secret))
    assert secret not in message
    assert "[snowflake]" in message


def test_align_sets_the_interval_unless_it_is_given(tmp_path: Path) -> None:
    """15 minutes alone mean 96 rows a day, on the quarter hours."""
    alone = load(tmp_path, '[collector]\nalign = "15min"\n').collector
    assert (alone.interval_s, alone.align_s) == (900.0, 900)
    both = load(tmp_path, '[collector]\nalign = "1h"\ninterval_s = 0.1\n').collector
    assert (both.interval_s, both.align_s) == (0.1, 3_600)


def test_align_must_be_a_multiple_of_the_interval(tmp_path: Path) -> None:
    """Else the grid would miss the wall-clock multiples; and 0.1 divides 60 in spite of floats."""
    (line,) = errors(tmp_path, '[collector]\nalign = "1min"\ninterval_s = 7\n')
    assert '"1min" is not a multiple of interval_s = 7' in line
    assert load(tmp_path, '[collector]\nalign = "1min"\ninterval_s = 0.3\n').collector.align_s == 60
