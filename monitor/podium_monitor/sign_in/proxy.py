"""A proxy that says who asks. Its headers count only on a connection on which its certificate was verified.

uvicorn does not tell the application which certificate a client showed. So the protocol notes its names when the TLS
handshake is over, in the connection's `state`, which no header can write to. The plain port has no such note: there the
headers are worth nothing.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, cast

from starlette.requests import Request

from podium_monitor.heads import BoundedHeads
from podium_monitor.sign_in.settings import Proxy
from podium_monitor.sign_in.visitors import NotSignedIn, Refused, Visitor, identity_of

PEER = "podium_peer_names"
"""Key of the connection's state: names in the client's verified certificate."""


def names_of(certificate: Mapping[str, Any]) -> frozenset[str]:
    """Subject alternative names of a verified certificate, as `ssl.SSLSocket.getpeercert` gives it: DNS and URI. The common
    name counts for nothing, as RFC 9525 has it."""
    return frozenset(value for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "URI"))


class NamedPeerProtocol(BoundedHeads):
    """HTTP over TLS that notes whose certificate was verified."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        certificate = connection.getpeercert() if connection is not None else None
        self.app_state = {**self.app_state, PEER: names_of(certificate or {})}


class ProxyReception:
    def __init__(self, settings: Proxy) -> None:
        self._settings = settings

    def visitor(self, request: Request) -> Visitor:
        """Raises NotSignedIn for everybody but the proxy, and Refused for a header that names nobody."""
        peer = cast(frozenset[str], request.scope.get("state", {}).get(PEER, frozenset()))
        if not peer & self._settings.names:
            raise NotSignedIn("The dashboard is reached through the proxy that signs you in, not directly.")
        users = request.headers.getlist(self._settings.user_header)
        if len(users) != 1:
            raise Refused(f"The proxy sent {len(users)} headers {self._settings.user_header}, must be one.")
        groups = ",".join(request.headers.getlist(self._settings.groups_header)).split(",")
        return Visitor(identity_of(users[0].strip(), (group.strip() for group in groups)))
