"""Sign-in with an issuer: the routes to go there and come back, the session that results, and its end."""

import hmac
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from podium_monitor.access import Identity
from podium_monitor.sign_in.issuer import Issuer
from podium_monitor.sign_in.kept import IssuerSilent
from podium_monitor.sign_in.oidc import CALLBACK, attempt, attempt_of, authorization_address, code_of, identity_in
from podium_monitor.sign_in.sealing import Sealer
from podium_monitor.sign_in.settings import Oidc
from podium_monitor.sign_in.visitors import NotSignedIn, Refused, Visitor

log = logging.getLogger(__name__)

SESSION = "__Host-podium-session"
ATTEMPT = "__Host-podium-sign-in"
"""`__Host-`: browsers take such a cookie only with Secure, for the whole host, and from no other host."""
_ATTEMPT_SECONDS = 600
_MOST_COOKIE = 3800
"""Browsers keep 4,096 bytes, its name and attributes among them."""
_MOST_FORM = 4096

Say = Callable[[str, str, int, tuple[str, str] | None], Response]
"""A page of one message: title, text, status, and (text, address) of a link."""


@dataclass(frozen=True)
class Address:
    method: str
    path: str
    answer: Callable[[Request], Awaitable[Response]]


class Sessions:
    """A Reception: who holds a session, sealed in a cookie. Signing out ends it in that browser; else it ends after
    `session_seconds` by itself. What a visitor may see is asked anew all the while."""

    def __init__(self, settings: Oidc) -> None:
        self._settings = settings
        self._issuer = Issuer(settings)
        self._sessions = Sealer(settings.session_key, "session")
        self._attempts = Sealer(settings.session_key, "sign-in")

    def visitor(self, request: Request) -> Visitor:
        """Raises NotSignedIn."""
        content = self._sessions.opened(request.cookies.get(SESSION, ""), self._settings.session_seconds)
        if content is None:
            query = f"?{request.url.query}" if request.url.query else ""
            raise NotSignedIn("Sign in to see this.", "/sign-in?" + urlencode({"to": request.url.path + query}))
        return Visitor(Identity(content["user"], tuple(content["groups"])), content["token"])

    def addresses(self, say: Say) -> Sequence[Address]:
        """To go to the issuer, to come back, and to sign out."""

        async def sign_in(request: Request) -> Response:
            try:
                return await self._begin(request.query_params.get("to", "/"))
            except IssuerSilent as error:
                return _silent(error, say)

        async def callback(request: Request) -> Response:
            try:
                return await self._come_back(request)
            except Refused as error:
                return _without(ATTEMPT, say("You are not signed in", str(error), 403, ("Sign in again", "/sign-in")))
            except IssuerSilent as error:
                return _silent(error, say)

        async def sign_out(request: Request) -> Response:
            return await self._sign_out(request, say)

        return [
            Address("GET", "/sign-in", sign_in),
            Address("GET", CALLBACK, callback),
            Address("POST", "/sign-out", sign_out),
        ]

    async def _begin(self, to: str) -> Response:
        begun = attempt(to)
        published = await self._issuer.published()
        answer = RedirectResponse(authorization_address(published.authorization, self._settings, begun), 303)
        _set(answer, ATTEMPT, self._attempts.seal(begun.content()), _ATTEMPT_SECONDS)
        return answer

    async def _come_back(self, request: Request) -> Response:
        begun = attempt_of(self._attempts.opened(request.cookies.get(ATTEMPT, ""), _ATTEMPT_SECONDS))
        code = code_of(request.query_params, begun, self._settings.issuer)
        identity = identity_in(await self._issuer.claims(code, begun), self._settings)
        answer = RedirectResponse(self._settings.address + begun.to, 303)
        _set(answer, SESSION, self._session(identity), self._settings.session_seconds)
        return _without(ATTEMPT, answer)

    def _session(self, identity: Identity) -> str:
        """Raises Refused if the groups do not fit into a cookie."""
        content: dict[str, Any] = {"user": identity.user, "groups": identity.groups, "token": secrets.token_urlsafe(24)}
        sealed = self._sessions.seal(content)
        if len(sealed) > _MOST_COOKIE:
            raise Refused(
                f"Your {len(identity.groups)} groups do not fit into a session. Let the issuer send the client "
                f"{self._settings.client_id} only the groups that Kubernetes' RoleBindings name."
            )
        return sealed

    async def _sign_out(self, request: Request, say: Say) -> Response:
        """Only for a form of ours: it brings the session's token along, which no other site can read."""
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MOST_FORM:
                return say("Not signed out", "The form is too long.", 413, ("Back", "/"))
        try:
            visitor = self.visitor(request)
        except NotSignedIn:
            return say("You are signed out", "There was no session any more.", 200, ("Sign in", "/sign-in"))
        token = parse_qs(body.decode("ascii", "replace")).get("token", [""])[0]
        if not hmac.compare_digest(token.encode(), visitor.token.encode()):
            return say("Not signed out", "The request did not come from a page of the dashboard.", 403, ("Back", "/"))
        text = "The session in this browser has ended. At the issuer you may still be signed in."
        return _without(SESSION, say("You are signed out", text, 200, ("Sign in", "/sign-in")))


def _set(answer: Response, name: str, value: str, seconds: int) -> None:
    answer.set_cookie(name, value, max_age=seconds, path="/", secure=True, httponly=True, samesite="lax")


def _without(name: str, answer: Response) -> Response:
    answer.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")
    return answer


def _silent(error: IssuerSilent, say: Say) -> Response:
    """People are not told the addresses inside; the log is."""
    log.warning("the issuer could not be asked: %s", error)
    return say(
        "Signing in is not possible right now", "The issuer does not answer. Try again.", 503, ("Try again", "/sign-in")
    )
