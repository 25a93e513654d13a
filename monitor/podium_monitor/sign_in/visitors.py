"""Who asks for a page, and what they may see of it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request

from podium_monitor.access import Identity, Reviews

_MOST_NAME = 256
_MOST_GROUPS = 1000


@dataclass(frozen=True)
class Visitor:
    """Somebody who may look. `identity` is None in open mode alone."""

    identity: Identity | None
    token: str = ""
    """What a form must bring along to change this visitor's session; empty where there is no session."""

    @property
    def open(self) -> bool:
        return self.identity is None

    @property
    def name(self) -> str:
        return self.identity.user if self.identity else ""


class NotSignedIn(Exception):
    """Nobody known asks. `sign_in_at` is where they become known; None: nothing that this server can offer."""

    def __init__(self, says: str, sign_in_at: str | None = None) -> None:
        super().__init__(says)
        self.says, self.sign_in_at = says, sign_in_at


class Refused(Exception):
    """Who they say they are cannot be believed or used. The text is for them."""


class Reception(Protocol):
    """Tells who asks."""

    def visitor(self, request: Request) -> Visitor:
        """Raises NotSignedIn and Refused."""


def identity_of(user: str, groups: Iterable[str]) -> Identity:
    """As the API server would have it. Raises Refused for a name that nobody outside of the cluster has.

    `system:` is Kubernetes' own: an issuer or a proxy that hands out system:masters must not make somebody an
    administrator here. Such groups are left out; everybody who is signed in is in system:authenticated.
    """
    if not user or len(user) > _MOST_NAME or not user.isprintable():
        raise Refused("Your user name is empty, too long, or not printable.")
    if user.startswith("system:"):
        raise Refused("User names that begin with 'system:' are Kubernetes' own.")
    kept = sorted({group for group in groups if group and group.isprintable() and not group.startswith("system:")})
    if len(kept) > _MOST_GROUPS:
        raise Refused(f"You are in {len(kept)} groups; at most {_MOST_GROUPS} can be asked for.")
    return Identity(user, (*kept, "system:authenticated"))


async def visible(visitor: Visitor, namespaces: Iterable[str], reviews: Reviews) -> frozenset[str]:
    """Those in which the visitor may read ModelDeployments, as the API server decides. Raises AccessUnknown."""
    asked = sorted(set(namespaces))
    if visitor.identity is None:
        return frozenset(asked)
    user, groups = visitor.identity.user, visitor.identity.groups
    answers = await asyncio.gather(*(reviews.may(user, groups, "get", "modeldeployments", one) for one in asked))
    return frozenset(one for one, allowed in zip(asked, answers, strict=True) if allowed)
