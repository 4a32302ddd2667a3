"""From settings to a transport: the server that is meant, and as whom."""

from dataclasses import dataclass

from common.children import run_module
from common.clock import Clock
from common.config import require_snowflake
from common.settings import Settings
from shipper.auth.account import Account, parse_account
from shipper.auth.credentials import InlineSecrets, Tools, make_credential
from shipper.auth.secret import Hide
from shipper.auth.server_time import ServerTime
from shipper.auth.tokens import Credential
from shipper.profile import merge_profile
from shipper.protocol.requests import Target
from shipper.transport import HttpTransport, Observe
from shipper.wire import Wire


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The server that is meant, with everything about it that stands in files.

    Attributes:
        settings: with the profile's values in them.
        inline: secrets that stand in the profile.
        account: where to sign in.
        target: where rows go.
        notes: what a person should know of the profile.
    """

    settings: Settings
    inline: InlineSecrets
    account: Account
    target: Target
    notes: tuple[str, ...]


def find_endpoint(settings: Settings, hide: Hide) -> Endpoint:
    """Complete and check ``[snowflake]``.

    Raises:
        ConfigError, PermissionRefused: something is missing or wrong, with its key.
    """
    merged = merge_profile(settings, hide)
    require_snowflake(merged.settings)
    table = merged.settings.snowflake
    account = parse_account(table.account, table.url)
    target = Target(account.claim, table.database, table.schema, table.pipe)
    return Endpoint(merged.settings, merged.inline, account, target, merged.notes)


def find_credential(endpoint: Endpoint, clock: Clock, hide: Hide) -> tuple[Credential, Tools]:
    """The credential, proven to be usable: a key signs once.

    Raises:
        ConfigError, PermissionRefused: the key or token file is no good.
        ThermalError: signing failed for another reason.
    """
    tools = Tools(ServerTime(clock), clock, run_module, hide)
    table = endpoint.settings.snowflake
    credential = make_credential(table, endpoint.inline, endpoint.account, tools)
    credential.bearer()
    return credential, tools


def make_transport(
    endpoint: Endpoint, credential: Credential, tools: Tools, observe: Observe
) -> HttpTransport:
    """The transport; makes no connection yet.

    Raises:
        ConfigError, PermissionRefused: the file of authorities is no good.
    """
    wire = Wire(tools.clock, endpoint.settings.snowflake.ca_file)
    return HttpTransport(wire, endpoint.account, credential, tools, observe)
