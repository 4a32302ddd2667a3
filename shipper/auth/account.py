"""The account: every form that people write it in, and what each part of the sign-in needs of it.

The claim in a key-pair token is ``ORGANISATION-ACCOUNT`` in upper case, or the locator without its
region; the host is in lower case, with hyphens where the name has underscores (Snowflake docs,
"Account identifiers" and "Key-pair authentication").
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import SplitResult, urlsplit

from common.errors import ConfigError
from common.strict_json import read_json

DOMAINS: Final = (".snowflakecomputing.com", ".snowflakecomputing.cn")
_CONSOLE: Final = ("app.snowflake.com", "app.snowflake.cn")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_]*(-[A-Za-z0-9_]+)*\Z")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?\Z")
_REMEDY: Final = (
    "write [snowflake] account as ORGANISATION-ACCOUNT; in Snowflake, "
    "SELECT CURRENT_ORGANIZATION_NAME() || '-' || CURRENT_ACCOUNT_NAME() prints it"
)


class Form(StrEnum):
    """How the account was written."""

    ORGANISATION = "organisation-account"
    LOCATOR = "locator"
    URL = "URL"


@dataclass(frozen=True, slots=True)
class Account:
    """Where to sign in, and under which name.

    Attributes:
        claim: the name in the token, upper case.
        host: the account host, lower case.
        port: port of the account host and of the ingest host.
        form: how the account was written.
    """

    claim: str
    host: str
    port: int
    form: Form

    @property
    def url(self) -> str:
        """The account URL, without a slash at the end."""
        return base_url(self.host, self.port)


def base_url(host: str, port: int) -> str:
    """``https://host``, with the port unless it is 443."""
    return f"https://{host}" if port == 443 else f"https://{host}:{port}"


def parse_account(account: str, url: str = "") -> Account:
    """Read ``[snowflake] account`` and ``url``; at least one of them must be given.

    Args:
        account: ORGANISATION-ACCOUNT, a locator with or without region, or a URL.
        url: the account URL; wins for the host.

    Raises:
        ConfigError: neither says which account it is, or the form cannot be told.
    """
    account, url = account.strip(), url.strip()
    if "//" in account or account.lower().endswith(DOMAINS):
        named = _from_url(account, "account")
    elif account:
        named = _from_name(account)
    elif url:
        named = _from_url(url, "url")
    else:
        raise ConfigError("[snowflake] account is empty", hint=_REMEDY)
    if not url:
        return named
    parts = _split(url, "url")
    host = (parts.hostname or "").lower().replace("_", "-")
    return Account(named.claim, host, parts.port or 443, named.form)


def _from_name(account: str) -> Account:
    """Read ORGANISATION-ACCOUNT, or LOCATOR, or LOCATOR.REGION[.CLOUD]."""
    first, _, region = account.partition(".")
    if not _NAME.match(first) or (region and not _HOST.match(region)):
        raise ConfigError(f'[snowflake] account "{account}" is not an account name', hint=_REMEDY)
    if region and "-" in first:
        raise ConfigError(
            f'[snowflake] account "{account}" is ORGANISATION-ACCOUNT with something after a dot',
            hint=_REMEDY,
        )
    if region and "-" not in region:
        # A region has a hyphen (eu-central-1, us-central1.gcp); ORGANISATION.ACCOUNT is SQL's.
        raise ConfigError(
            f'[snowflake] account "{account}" has a dot, but "{region}" is no region',
            hint=f"write {first}-{region} if {first} is the organisation",
        )
    form = Form.ORGANISATION if "-" in first else Form.LOCATOR
    host = account.lower().replace("_", "-") + DOMAINS[0]
    return Account(first.upper(), host, 443, form)


def _from_url(url: str, key: str) -> Account:
    """Read an account URL, or the address of the web console."""
    parts = _split(url, key)
    host = (parts.hostname or "").lower()
    if host in _CONSOLE:
        names = [name for name in parts.path.split("/") if name]
        if len(names) < 2:
            raise ConfigError(f'[snowflake] {key} "{url}" names no account', hint=_REMEDY)
        found = _from_name(f"{names[0]}-{names[1]}")
        return Account(found.claim, found.host, 443, Form.URL)
    domain = next((d for d in DOMAINS if host.endswith(d)), None)
    if domain is None:
        raise ConfigError(
            f'[snowflake] {key} "{url}" is not below {DOMAINS[0][1:]}, so it does not say '
            "which account it is",
            hint="set [snowflake] account as well",
        )
    claim = host.removesuffix(domain).split(".")[0].upper()
    return Account(claim, host.replace("_", "-"), parts.port or 443, Form.URL)


def _split(url: str, key: str) -> SplitResult:
    """Take an https address apart.

    Raises:
        ConfigError: another scheme, no host, a bad port, or credentials in the address.
    """
    try:
        parts = urlsplit(url if "//" in url else f"https://{url}")
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise ConfigError(f'[snowflake] {key} "{url}" is not an address: {error}') from None
    if parts.scheme.lower() != "https":
        raise ConfigError(
            f'[snowflake] {key} "{url}" is not https', hint="the API is served over https only"
        )
    if "@" in parts.netloc:
        raise ConfigError(
            f"[snowflake] {key} holds a user name or password before the host",
            hint="take it out, and change that password: it has been in a file",
        )
    if not _HOST.match(host):
        raise ConfigError(f'[snowflake] {key} "{url}" has no valid host name')
    return parts


def parse_ingest_host(body: bytes, account: Account) -> str | None:
    """Read the answer of ``GET /v2/streaming/hostname``: bare text, or ``{"hostname": …}``.

    Underscores become hyphens: no certificate covers them (Snowflake docs, known issue). Below
    Snowflake's own domain the ingest host must be there too, since it is handed a token.

    Returns:
        The host without port, lower case; ``None`` when the answer is no host.
    """
    text = body.decode("utf-8", "replace").strip()
    if text.startswith(("{", '"')):
        try:
            read = read_json(text)
        except ValueError:
            return None
        text = str(read.get("hostname", "")) if isinstance(read, dict) else str(read)
    host = text.strip().lower().removeprefix("https://").split(":")[0].replace("_", "-")
    if not _HOST.match(host) or len(host) > 253:
        return None
    domain = next((d for d in DOMAINS if account.host.endswith(d)), "")
    return host if host.endswith(domain) else None
