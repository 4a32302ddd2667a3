"""What the tests of the wire share: one POST, and one plain answer to it."""

from shipper.protocol.replies import HttpReply
from shipper.wire import Outgoing, Wire
from tests.emulators.scripted import reply

OK = reply("200 OK", b"{}", "Content-Type: application/json")


def post(wire: Wire, url: str, body: bytes = b"row\n", deadline_s: float = 5.0) -> HttpReply:
    """Send a POST."""
    return wire.exchange(Outgoing("POST", url, (("Accept", "application/json"),), body, deadline_s))
