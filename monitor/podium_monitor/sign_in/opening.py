"""The reception that the settings ask for."""

from collections.abc import Sequence

from podium_monitor.sign_in.proxy import ProxyReception
from podium_monitor.sign_in.sessions import Address, Say, Sessions
from podium_monitor.sign_in.settings import Closed, Oidc, Open, SignInSettings
from podium_monitor.sign_in.simple import ClosedReception, OpenReception
from podium_monitor.sign_in.visitors import Reception


def reception(settings: SignInSettings, say: Say) -> tuple[Reception, Sequence[Address]]:
    """Who tells who asks, and the addresses that this takes; `say` makes pages of one message."""
    match settings:
        case Closed():
            return ClosedReception(), []
        case Open():
            return OpenReception(), []
        case Oidc():
            sessions = Sessions(settings)
            return sessions, sessions.addresses(say)
    return ProxyReception(settings), []
