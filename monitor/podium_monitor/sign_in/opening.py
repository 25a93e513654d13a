"""The reception that the settings ask for."""

from collections.abc import Sequence

from podium_monitor.sign_in.proxy import ProxyReception
from podium_monitor.sign_in.sessions import Address, Say, Sessions
from podium_monitor.sign_in.settings import Closed, Oidc, Open, SignInSettings
from podium_monitor.sign_in.simple import ClosedReception, OpenReception
from podium_monitor.sign_in.visitors import Reception


def reception(settings: SignInSettings) -> Reception:
    """Who tells who asks."""
    match settings:
        case Closed():
            return ClosedReception()
        case Open():
            return OpenReception()
        case Oidc():
            return Sessions(settings)
    return ProxyReception(settings)


def addresses_of(receives: Reception, say: Say) -> Sequence[Address]:
    """The addresses that signing in takes; `say` makes pages of one message."""
    return receives.addresses(say) if isinstance(receives, Sessions) else []
