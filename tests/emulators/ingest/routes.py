"""Paths: which endpoint a request is for, and the names in it. Pure."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from tests.emulators.ingest.answers import ChannelName, Pipe, Refused
from tests.emulators.ingest.elastic import CHANNEL as ELASTIC
from tests.emulators.ingest.wire import Endpoint, Request

_PIPE: Final = r"/databases/(?P<database>[^/]+)/schemas/(?P<schema>[^/]+)/pipes/(?P<pipe>[^/]+?)"
_TABLE: Final = (
    r"/databases/(?P<database>[^/]+)/schemas/(?P<schema>[^/]+)/tables/(?P<table>[^/]+)/rows"
)
_ROUTES: Final = tuple(
    (re.compile(pattern), method, endpoint)
    for pattern, method, endpoint in (
        (r"/v2/streaming/hostname", "GET", Endpoint.HOSTNAME),
        (r"/oauth/token", "POST", Endpoint.TOKEN),
        (r"/telemetry/send/sessionless", "POST", Endpoint.TELEMETRY),
        (rf"/v2/streaming{_PIPE}:bulk-channel-status", "POST", Endpoint.STATUS),
        (rf"/v2/streaming{_PIPE}:pipe-info", "POST", Endpoint.PIPE_INFO),
        (rf"/v2/streaming{_PIPE}/channels/(?P<channel>[^/]+)", "PUT", Endpoint.OPEN),
        (rf"/v2/streaming{_PIPE}/channels/(?P<channel>[^/]+)", "DELETE", Endpoint.DROP),
        (rf"/v2/streaming/data{_PIPE}/channels/(?P<channel>[^/]+)/rows", "POST", Endpoint.APPEND),
        (rf"/v2/streaming/data{_TABLE}", "POST", Endpoint.ELASTIC),
    )
)


@dataclass(frozen=True, slots=True)
class Route:
    """Where a request goes.

    Attributes:
        pipe: the pipe in the path; ``None`` where there is none.
        channel: the channel in the path, decoded; empty where there is none.
    """

    endpoint: Endpoint
    pipe: Pipe | None = None
    channel: str = ""

    @property
    def name(self) -> ChannelName:
        """The channel's full name; only for endpoints that have one."""
        assert self.pipe is not None
        return ChannelName(self.pipe, self.channel)


def route(request: Request) -> Route:
    """Find the endpoint. Path segments are taken literally, after percent-decoding.

    Raises:
        Refused: 404 for an unknown path; 405 for a known path with another method (live: tspann).
    """
    path_known = False
    for pattern, method, endpoint in _ROUTES:
        match = pattern.fullmatch(request.path)
        if match is None:
            continue
        path_known = True
        if method == request.method:
            return _route(endpoint, match)
    if path_known:
        raise Refused(405, "405", "Method Not Allowed")
    raise Refused(404, "404", "Not Found")


def _route(endpoint: Endpoint, match: re.Match[str]) -> Route:
    names = {key: unquote(value) for key, value in match.groupdict().items()}
    if "table" in names:
        pipe = Pipe(names["database"], names["schema"], f"{names['table']}-STREAMING")
        return Route(Endpoint.ELASTIC, pipe, ELASTIC)
    if "pipe" not in names:
        return Route(endpoint)
    pipe = Pipe(names["database"], names["schema"], names["pipe"])
    channel = names.get("channel", "")
    if endpoint is Endpoint.APPEND and channel == ELASTIC:
        return Route(Endpoint.ELASTIC, pipe, ELASTIC)
    return Route(endpoint, pipe, channel)
