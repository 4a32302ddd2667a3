"""The JSON files that people already have: read as they are, wrong ones explained."""

import json
from pathlib import Path
from typing import Any

import pytest

from common.errors import ConfigError, PermissionRefused
from common.settings import Settings, SnowflakeSettings
from shipper.auth.credentials import InlineSecrets
from shipper.auth.secret import Secret
from shipper.profile import Merged, merge_profile

LEGACY = {
    "_comment": "copied from the wiki", "_comment_pat": "see there", "account": "MYORG-ACC1",
    "user": "SHIPPER", "role": "WRITER", "database": "DEMO", "schema": "PUBLIC",
    "pipe": "THERMAL_PIPE", "channel_name": "TH_1", "url": "https://myorg-acc1.snowflakecomputing.com",
    "pat": "pat-planted", "private_key_file": "",
}
SDK = {
    "authorization_type": "JWT", "scheme": "https", "host": "myorg-acc1.snowflakecomputing.com",
    "port": 443, "account": "MYORG-ACC1", "user": "SHIPPER", "role": "WRITER",
    "private_key_file": "rsa_key.p8", "private_key_passphrase": "phrase-planted",
    "data_retry_max_attempts": 3, "enable_rowset_compression": True, "application": "x",
}


def hide(secret: str, /, *, slot: str = "") -> None:
    """A log that is not there."""


def merge(tmp_path: Path, profile: Any, mode: int = 0o600, **table: Any) -> Merged:
    """Merge a profile under a table."""
    path = tmp_path / "profile.json"
    path.write_text(profile if isinstance(profile, str) else json.dumps(profile))
    path.chmod(mode)
    snowflake = SnowflakeSettings(profile=path, **table)
    return merge_profile(Settings(tmp_path / "thermal.toml", snowflake=snowflake), hide)


def test_a_snowflake_config_works_as_it_is(tmp_path: Path) -> None:
    """Every key lands in its setting; the channel's name is read, and its disuse explained."""
    found = merge(tmp_path, LEGACY)
    table = found.settings.snowflake
    assert (table.account, table.user, table.role) == ("MYORG-ACC1", "SHIPPER", "WRITER")
    assert (table.database, table.schema, table.pipe) == ("DEMO", "PUBLIC", "THERMAL_PIPE")
    assert table.pat_file == tmp_path / "profile.json"
    assert found.inline == InlineSecrets(pat=Secret("pat-planted"))
    assert "channel_name" in found.notes[0]
    assert "planted" not in repr(found)


def test_the_sdks_profile_works_as_it_is(tmp_path: Path) -> None:
    """Address from its parts, key file beside the profile, tuning keys skipped."""
    found = merge(tmp_path, SDK, database="DEMO", schema="PUBLIC", pipe="T-STREAMING")
    table = found.settings.snowflake
    assert table.url == "https://myorg-acc1.snowflakecomputing.com:443"
    assert table.private_key_file == tmp_path / "rsa_key.p8"
    assert found.inline.passphrase == Secret("phrase-planted")
    assert found.notes == ()


def test_a_key_inside_the_sdks_profile_is_taken_from_there(tmp_path: Path) -> None:
    """The profile is then the file whose mode counts."""
    profile = {**SDK, "private_key": "-----BEGIN planted"}
    del profile["private_key_file"]
    found = merge(tmp_path, profile)
    assert found.settings.snowflake.private_key_file == tmp_path / "profile.json"
    assert found.inline.private_key == Secret("-----BEGIN planted")


def test_the_table_wins_over_the_profile(tmp_path: Path) -> None:
    """What stands in thermal.toml is what a person wrote last; its sign-in replaces the other."""
    found = merge(tmp_path, LEGACY, account="OTHER-ACC", private_key_file=Path("/key.p8"))
    table = found.settings.snowflake
    assert (table.account, table.user) == ("OTHER-ACC", "SHIPPER")
    assert (table.private_key_file, table.pat_file) == (Path("/key.p8"), None)
    assert found.inline == InlineSecrets()


def test_without_a_profile_nothing_changes(tmp_path: Path) -> None:
    """The usual case."""
    settings = Settings(tmp_path / "thermal.toml")
    assert merge_profile(settings, hide).settings is settings


def test_a_profile_with_a_secret_must_be_private(tmp_path: Path) -> None:
    """Others could read the token; one without a secret may be seen by all."""
    with pytest.raises(PermissionRefused, match="0644"):
        merge(tmp_path, LEGACY, mode=0o644)
    merge(tmp_path, {**LEGACY, "pat": "", "private_key_file": "k.p8"}, mode=0o644)


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        ({"acount": "planted"}, "acount: is no key of a profile; did you mean account"),
        ({"frobnicate": "planted"}, "frobnicate: is no key of a profile"),
        ({"oauth_client_id": "planted"}, "OAuth is not supported"),
        ({"authorization_type": "SPCS"}, "expected JWT or PAT"),
        ({"account": 7}, "account: expected a text"),
        ({"pat": "planted", "private_key_file": "k"}, "both an access token and a private key"),
        ("[]", "not a JSON object"),
        ('{"pat": "planted",}', "not JSON"),
        ("", "not JSON"),
    ],
)
def test_a_wrong_profile_is_explained(tmp_path: Path, profile: Any, message: str) -> None:
    """Key and reason, and never a value."""
    with pytest.raises(ConfigError, match=message) as caught:
        merge(tmp_path, profile)
    assert "planted" not in str(caught.value) + str(caught.value.hint)
    assert caught.value.__cause__ is None


def test_all_errors_are_told_at_once(tmp_path: Path) -> None:
    """One edit mends them all."""
    with pytest.raises(ConfigError) as caught:
        merge(tmp_path, {"usr": "x", "rol": "y", "schema": 1})
    assert str(caught.value).count("\n") == 2


def test_a_missing_profile_is_named(tmp_path: Path) -> None:
    """With the setting that names it."""
    snowflake = SnowflakeSettings(profile=tmp_path / "none.json")
    with pytest.raises(ConfigError, match=r"none\.json cannot be read"):
        merge_profile(Settings(tmp_path / "thermal.toml", snowflake=snowflake), hide)
