"""Every way to write an account, and what each part of the sign-in gets of it."""

import pytest

from common.errors import ConfigError
from shipper.auth.account import Account, Form, base_url, parse_account, parse_ingest_host

ORGANISATION, LOCATOR, URL = Form.ORGANISATION, Form.LOCATOR, Form.URL
SNOW = "snowflakecomputing.com"


@pytest.mark.parametrize(
    ("account", "url", "claim", "host", "form"),
    [
        ("MYORG-ACC1", "", "MYORG-ACC1", f"myorg-acc1.{SNOW}", ORGANISATION),
        ("myorg-my_account", "", "MYORG-MY_ACCOUNT", f"myorg-my-account.{SNOW}", ORGANISATION),
        ("xy12345", "", "XY12345", f"xy12345.{SNOW}", LOCATOR),
        ("xy12345.eu-central-1", "", "XY12345", f"xy12345.eu-central-1.{SNOW}", LOCATOR),
        ("xy1.us-central1.gcp", "", "XY1", f"xy1.us-central1.gcp.{SNOW}", LOCATOR),
        (f"https://myorg-acc1.{SNOW}", "", "MYORG-ACC1", f"myorg-acc1.{SNOW}", URL),
        (f"MyOrg-Acc1.{SNOW}", "", "MYORG-ACC1", f"myorg-acc1.{SNOW}", URL),
        (f"https://myorg-acc1.{SNOW}/console/login", "", "MYORG-ACC1", f"myorg-acc1.{SNOW}", URL),
        (f"https://xy1.eu-central-1.{SNOW}", "", "XY1", f"xy1.eu-central-1.{SNOW}", URL),
        ("https://app.snowflake.com/myorg/acc1/#/homepage", "", "MYORG-ACC1",
         f"myorg-acc1.{SNOW}", URL),
        ("", f"https://myorg-acc1.{SNOW}/", "MYORG-ACC1", f"myorg-acc1.{SNOW}", URL),
        ("myorg-my_account", f"https://myorg-my_account.{SNOW}", "MYORG-MY_ACCOUNT",
         f"myorg-my-account.{SNOW}", ORGANISATION),
        (f"https://myorg-acc1.privatelink.{SNOW}", "", "MYORG-ACC1",
         f"myorg-acc1.privatelink.{SNOW}", URL),
    ],
)
def test_an_account_is_understood(
    account: str, url: str, claim: str, host: str, form: Form
) -> None:
    """The claim is upper case and keeps underscores; the host is lower case and has none."""
    assert parse_account(account, url) == Account(claim, host, 443, form)


def test_a_url_gives_host_and_port_while_the_account_gives_the_claim() -> None:
    """Behind a private link, or in a test, the address is another one than Snowflake's."""
    found = parse_account("myorg-acc1", "https://127.0.0.1:8443")
    assert found == Account("MYORG-ACC1", "127.0.0.1", 8443, Form.ORGANISATION)
    assert found.url == "https://127.0.0.1:8443"
    assert base_url("h.example", 443) == "https://h.example"


@pytest.mark.parametrize(
    ("account", "url", "message"),
    [
        ("", "", "is empty"),
        ("myorg.acc1", "", "is no region"),
        ("myorg-acc1.eu-central-1", "", "after a dot"),
        ("my org", "", "is not an account name"),
        ("my/org", "", "is not an account name"),
        ("http://myorg-acc1.snowflakecomputing.com", "", "is not https"),
        ("myorg-acc1", "http://127.0.0.1", "is not https"),
        ("", "https://127.0.0.1:8443", "does not say which account"),
        ("myorg-acc1", "https://h:99999", "is not an address"),
        ("myorg-acc1", "https://me:planted@h.example", "user name or password"),
        ("https://app.snowflake.com/", "", "names no account"),
        ("myorg-acc1", "https://", "no valid host"),
    ],
)
def test_a_bad_account_is_one_clear_error(account: str, url: str, message: str) -> None:
    """The message names the key and the value, never a password in it."""
    with pytest.raises(ConfigError, match=message) as caught:
        parse_account(account, url)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("body", "host"),
    [
        (b"LXB29530.ingest.iadaax.snowflakecomputing.com", f"lxb29530.ingest.iadaax.{SNOW}"),
        (b"a.ingest.snowflakecomputing.com\n", f"a.ingest.{SNOW}"),
        (b'{"hostname":"my_acc.ingest.snowflakecomputing.com"}', f"my-acc.ingest.{SNOW}"),
        (b'"a.ingest.snowflakecomputing.com"', f"a.ingest.{SNOW}"),
        (b"https://a.ingest.snowflakecomputing.com:443", f"a.ingest.{SNOW}"),
        (b"", None),
        (b"{}", None),
        (b'{"hostname":', None),
        (b"<html>Sign in</html>", None),
        (b"evil.example", None),
        (b"evil-snowflakecomputing.com", None),
        (b"a b.snowflakecomputing.com", None),
        (b"a" * 300 + b".snowflakecomputing.com", None),
    ],
)
def test_the_ingest_host_is_read_and_kept_within_snowflake(body: bytes, host: str | None) -> None:
    """Text or JSON, underscores mended; a token is never handed to a host elsewhere."""
    assert parse_ingest_host(body, parse_account("myorg-acc1")) == host


def test_an_address_of_ones_own_may_name_any_ingest_host() -> None:
    """Outside Snowflake's domain (a gateway, a test) there is no domain to hold it to."""
    account = parse_account("a-b", "https://127.0.0.1:1")
    assert parse_ingest_host(b"127.0.0.1", account) == "127.0.0.1"
