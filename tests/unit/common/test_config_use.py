"""What the services do with loaded settings: flags, the shipper's needs, where secrets are."""

from dataclasses import replace
from pathlib import Path

import pytest

from common import config
from common.errors import ConfigError, UsageError
from common.settings import Settings


def load(tmp_path: Path, text: str) -> Settings:
    """The settings of a file with this text."""
    path = tmp_path / "thermal.toml"
    path.write_text(text)
    return config.load(path)


def test_flags_override_the_file_within_the_same_bounds(tmp_path: Path) -> None:
    """--batch-size and --interval are checked as the file is; a wrong one is a usage error."""
    settings = load(tmp_path, "[shipper]\nbatch_size = 3\ninterval_s = 9\n")
    changed = config.override(settings, batch_size=20)
    assert changed.shipper == replace(settings.shipper, batch_size=20)
    assert config.override(settings, interval_s=1).shipper.interval_s == 1.0
    assert config.override(settings) == settings
    with pytest.raises(UsageError, match="--batch-size: 0 is out of bounds, expected 1 to"):
        config.override(settings, batch_size=0)
    with pytest.raises(UsageError, match="--interval: nan is out of bounds"):
        config.override(settings, interval_s=float("nan"))


def test_the_shipper_names_every_missing_key(tmp_path: Path) -> None:
    """The collector does without [snowflake]; the shipper lists what it needs."""
    with pytest.raises(ConfigError) as caught:
        config.require_snowflake(load(tmp_path, ""))
    lines = str(caught.value).split("\n")
    assert len(lines) == 6
    assert all(name in str(caught.value) for name in ("account", "user", "pipe", "pat_file"))


_FULL = '[snowflake]\naccount = "o-a"\nuser = "u"\ndatabase = "d"\nschema = "s"\npipe = "p"\n'


def test_exactly_one_way_to_sign_in(tmp_path: Path) -> None:
    """A key or a token: two would leave open who is meant."""
    config.require_snowflake(load(tmp_path, _FULL + 'pat_file = "pat"\n'))
    config.require_snowflake(load(tmp_path, _FULL + 'private_key_file = "key"\n'))
    with pytest.raises(ConfigError, match="are both set; remove one"):
        config.require_snowflake(
            load(tmp_path, _FULL + 'pat_file = "pat"\nprivate_key_file = "key"\n')
        )
    with pytest.raises(ConfigError, match="without private_key_file"):
        config.require_snowflake(
            load(tmp_path, _FULL + 'pat_file = "pat"\nprivate_key_passphrase_file = "x"\n')
        )


def test_a_systemd_credential_wins_over_the_named_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under LoadCredential= the named file is not even readable."""
    named = Path("/etc/thermal/credentials/snowflake.p8")
    assert config.secret_path(named) == named
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert config.secret_path(named) == named
    (tmp_path / "snowflake.p8").write_text("key")
    assert config.secret_path(named) == tmp_path / "snowflake.p8"
