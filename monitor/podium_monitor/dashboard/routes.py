"""The dashboard's addresses: who asks, what they may see, and the page that is made of it."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlencode

from fastapi import APIRouter
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from podium_evaluation.documents import Period, with_outlines
from podium_monitor.access import AccessUnknown, Identity, Reviews
from podium_monitor.dashboard.pages import SECURITY, Pages, answer
from podium_monitor.dashboard.sections import KeptSections, Key, Sections, key_of
from podium_monitor.dashboard.shelf import Shelf
from podium_monitor.dashboard.sources import Sources
from podium_monitor.dashboard.views.deployment import deployment_page, deployment_sections
from podium_monitor.dashboard.views.overview import SORT_KEYS, Row, SortKey, ordered, selected
from podium_monitor.dashboard.views.version import version_page
from podium_monitor.sign_in.opening import addresses_of
from podium_monitor.sign_in.sessions import Address, Say
from podium_monitor.sign_in.visitors import NotSignedIn, Reception, Refused, Visitor, visible
from podium_monitor.world import Watched, World
from podium_pages.parts import Empty, Level

log = logging.getLogger(__name__)

_MOST_TEXT = 200
_NOBODY = Visitor(Identity(""))
_HEADS: Sequence[tuple[str, str]] = (
    ("name", "Deployment"),
    ("health", "Health"),
    ("champion", "Champion"),
    ("", "Challengers"),
    ("drift", "Drift"),
    ("performance", "Performance"),
    ("value", "Value"),
    ("labels", "Labels"),
)
_TALLY: dict[Level, str] = {"Critical": "critical", "Warning": "to look at", "Unknown": "unknown", "Good": "healthy"}
_NOTHING = Empty(
    "There is no deployment that you may see.",
    "Either none is there yet, or you may not read ModelDeployments in any namespace that has some. To make one:",
    "kubectl apply -f modeldeployment.yaml",
)
_NO_CARD = Empty(
    "The card is not here yet.",
    "Pods hand a version's card and reference to the monitor once they serve it with capture on.",
)
_NOT_THERE = "It does not exist, or you may not see it."


@dataclass(frozen=True)
class Query:
    """What the overview was asked for."""

    text: str
    namespace: str
    sort: SortKey
    backwards: bool

    def sorted_by(self, key: SortKey) -> str:
        """The address that sorts by `key`, the other way round if it does already."""
        backwards = key == self.sort and not self.backwards
        asked = {"q": self.text, "namespace": self.namespace, "sort": key, "order": "desc" if backwards else ""}
        return "/?" + urlencode({name: value for name, value in asked.items() if value})


def dashboard(receives: Reception, world: World, sources: Sources, reviews: Reviews) -> APIRouter:
    """To be included at the root of an application: the pages, the static files, and the addresses of the sign-in."""
    pages = Pages()
    say = partial(_say, pages)
    shown = _Shown(world, sources, reviews, pages, receives)
    router = APIRouter()
    for address in [
        Address("GET", "/", shown.overview),
        Address("GET", "/deployments/{namespace}/{name}", shown.deployment),
        Address("GET", "/versions/{namespace}/{name}", shown.version),
        Address("GET", "/static/{name}", shown.static),
        *addresses_of(receives, say),
    ]:
        guarded = _guarded(address.answer, say)
        router.add_api_route(address.path, guarded, methods=[address.method], response_model=None)
    return router


def _guarded(ask: Callable[[Request], Awaitable[Response]], say: Say) -> Callable[[Request], Awaitable[Response]]:
    """`ask` with the answers to who may not, and with the headers that keep browsers from harm."""

    async def answered(request: Request) -> Response:
        try:
            found = await ask(request)
        except NotSignedIn as error:
            found = RedirectResponse(error.sign_in_at, 303) if error.sign_in_at else say("Sign in", error.says, 401, None)
        except Refused as error:
            found = say("You are not let in", str(error), 403, None)
        except AccessUnknown as error:
            log.warning("the API server could not be asked who may see what: %s", error)
            found = say("Try again", "The API server does not answer: nobody knows what you may see.", 503, None)
        except OSError as error:
            log.warning("the lake cannot be read: %s", error)
            found = say("Try again", "The lake cannot be read right now.", 503, None)
        for name, value in SECURITY.items():
            found.headers.setdefault(name, value)
        found.headers.setdefault("Cache-Control", "no-store")
        return found

    return answered


def _say(pages: Pages, title: str, text: str, status: int, link: tuple[str, str] | None) -> Response:
    """A page of one message."""
    content = {"title": title, "text": text, "link": link, "viewer": _NOBODY}
    return Response(pages.rendered("message.html", content), status, media_type="text/html; charset=utf-8")


class _Shown:
    """What each address shows. Documents are read and pages made in threads."""

    def __init__(self, world: World, sources: Sources, reviews: Reviews, pages: Pages, receives: Reception) -> None:
        self._world = world
        self._sources = sources
        self._reviews = reviews
        self._pages = pages
        self._receives = receives
        self._shelf = Shelf(sources)
        self._sections = KeptSections()

    async def overview(self, request: Request) -> Response:
        viewer = self._receives.visitor(request)
        everything = self._world.deployments()
        allowed = await visible(viewer, (one.namespace for one in everything), self._reviews)
        shown = [one for one in everything if one.namespace in allowed]
        rows = await self._shelf.rows(everything, shown)
        query = query_of(request.query_params)

        def made() -> Response:
            return answer(self._pages.rendered("overview.html", overview_content(rows, len(shown), query, viewer)), request)

        return await asyncio.to_thread(made)

    async def deployment(self, request: Request) -> Response:
        viewer = self._receives.visitor(request)
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        watched = self._world.find(namespace, name) if await self._may(viewer, namespace) else None
        if watched is None:
            return _say(self._pages, f"There is no deployment {namespace}/{name}", _NOT_THERE, 404, ("All deployments", "/"))
        period: Period = "Hour" if request.query_params.get("period") == "Hour" else "Day"

        return await asyncio.to_thread(self._deployment, watched, period, viewer, request)

    def _deployment(self, watched: Watched, period: Period, viewer: Visitor, request: Request) -> Response:
        place = watched.namespace, watched.name
        evaluation, evidence = self._sources.outlined(*place), self._sources.evidence(*place)
        page = deployment_page(watched, evaluation, evidence, self._sources.findings(watched, evaluation), period)

        def made() -> tuple[Key, Sections]:
            whole = self._sources.evaluation(*place)
            found = deployment_sections(watched, whole, evidence, period)
            headings = [(one.identity, one.title) for one in found]
            markup = Markup(self._pages.rendered("sections.html", {"sections": found}).decode())  # noqa: S704  our template
            if whole is not None and evaluation is not None and whole.evaluated_at == evaluation.evaluated_at:
                return asked, Sections(headings, markup)
            head = with_outlines(whole) if whole is not None else None
            return key_of(watched, head, evidence, period), Sections(headings, markup)

        asked = key_of(watched, evaluation, evidence, period)
        sections = self._sections.of(asked, made)
        content = {"viewer": viewer, "page": page, "sections": sections}
        return answer(self._pages.rendered("deployment.html", content), request)

    async def version(self, request: Request) -> Response:
        viewer = self._receives.visitor(request)
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        users = []
        if await self._may(viewer, namespace):
            users = [one for one in self._world.deployments() if one.namespace == namespace and name in one.versions]
        if not users:
            return _say(self._pages, f"There is no version {namespace}/{name}", _NOT_THERE, 404, ("All deployments", "/"))

        def made() -> Response:
            version = users[0].versions[name]
            digest = version.spec.artifact.digest
            cards = (self._sources.card(namespace, one.name, digest) for one in users)
            card = next((card for card in cards if card is not None), None)
            page = version_page(namespace, version, users, card)
            return answer(
                self._pages.rendered("version.html", {"viewer": viewer, "page": page, "no_card": _NO_CARD}), request
            )

        return await asyncio.to_thread(made)

    async def static(self, request: Request) -> Response:
        """Ours and public: no sign-in. Kept for ever under the address that pages name."""
        file = self._pages.files.get(request.path_params["name"])
        if file is None:
            return Response(status_code=404)
        kept = request.query_params.get("v") == file.version
        headers = {"Cache-Control": "public, max-age=31536000, immutable" if kept else "no-cache"}
        return Response(file.content, headers=headers, media_type=file.media)

    async def _may(self, viewer: Visitor, namespace: str) -> bool:
        """Asked only of namespaces that have deployments: others are not there for anybody."""
        known = any(one.namespace == namespace for one in self._world.deployments())
        return known and namespace in await visible(viewer, [namespace], self._reviews)


def overview_content(rows: Sequence[Row], total: int, query: Query, viewer: Visitor) -> dict[str, object]:
    """What the template of the overview shows; `rows` are those that are known of the `total` that the viewer may see."""
    tally = Counter(one.health.level for one in rows)
    return {
        "viewer": viewer,
        "rows": ordered(selected(rows, query.namespace, query.text), query.sort, query.backwards),
        "total": total,
        "waiting": total - len(rows),
        "tally": [(level, tally[level]) for level in _TALLY if tally[level]],
        "tally_words": _TALLY,
        "namespaces": sorted({one.namespace for one in rows}),
        "query": query,
        "heads": _HEADS,
        "nothing": _NOTHING,
        "now": f"{datetime.now(UTC):%H:%M} UTC",
    }


def query_of(asked: Mapping[str, str]) -> Query:
    """What is not understood is not asked for."""
    sort: SortKey = next((key for key in SORT_KEYS if key == asked.get("sort")), "health")
    return Query(asked.get("q", "")[:_MOST_TEXT], asked.get("namespace", ""), sort, asked.get("order") == "desc")
