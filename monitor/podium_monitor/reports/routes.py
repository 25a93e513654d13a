"""Reports over HTTP: for programs with a bearer token, and for people who are signed in on the dashboard.

    GET /v1/namespaces/<namespace>/deployments/<name>/reports/health.html?week=2026-W47      or .pdf
    GET /v1/namespaces/<namespace>/deployments/<name>/reports/model.html?version=churn-3     or .pdf

Without `week` the newest whole one; without `version` the champion.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from fastapi import APIRouter, Request, Response

from podium_monitor.access import AccessUnknown, Reviews
from podium_monitor.bearers import Bearers
from podium_monitor.dashboard.sources import Sources
from podium_monitor.refusals import refusal
from podium_monitor.reports.report import Known, health_report, modelling_report, week_named, week_of
from podium_monitor.sign_in.visitors import NotSignedIn, Reception, Refused, visible
from podium_monitor.world import Watched, World
from podium_pages.html import html
from podium_pages.pdf import pdf
from podium_pages.report import Report

_PRINTED = {"html": (html, "text/html; charset=utf-8"), "pdf": (pdf, "application/pdf")}
_AT_ONCE = 2
"""Reports that are made at a time: a PDF takes a second of a core."""
_MOST_WAITING = 20
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

logger = logging.getLogger(__name__)

Permit = Callable[[Request, str], Awaitable[Response | None]]
"""None: whoever asks may know what there is to know of this namespace."""


class NotToBeHad(ValueError):
    """What was asked for does not exist. The text says what does."""


def router(world: World, sources: Sources, permit: Permit) -> APIRouter:
    routes = APIRouter()
    places, turns = asyncio.Semaphore(_MOST_WAITING), asyncio.Semaphore(_AT_ONCE)

    async def report(request: Request, namespace: str, name: str, kind: str, form: str) -> Response:
        refused = await permit(request, namespace)
        if refused is not None:
            return refused
        watched = world.find(namespace, name)
        if watched is None:
            return refusal(404, f"there is no deployment {namespace}/{name}")
        if kind not in ("health", "model") or form not in _PRINTED:
            return refusal(404, f"there is no report {kind}.{form}: ask for health or model, as html or pdf")
        printed, media = _PRINTED[form]

        def made() -> tuple[str, bytes]:
            found, stem = _report(watched, sources, kind, request)
            return stem, printed(found)

        if places.locked():
            return refusal(503, f"{_MOST_WAITING} reports are being made or waited for: come later")
        try:
            async with places, turns:
                stem, content = await asyncio.to_thread(made)
        except NotToBeHad as error:
            return refusal(404, str(error))
        except OSError as error:
            logger.warning("the report of %s/%s cannot be made: %s", namespace, name, error)
            return refusal(503, "the lake cannot be read, the evaluator's log says why")
        shown = "inline" if form == "html" else "attachment"
        disposition = {"Content-Disposition": f'{shown}; filename="{stem}.{form}"'}
        return Response(content, media_type=media, headers=_HEADERS | disposition)

    path = "/v1/namespaces/{namespace}/deployments/{name}/reports/{kind}.{form}"
    routes.add_api_route(path, report, methods=["GET"])
    return routes


def _report(watched: Watched, sources: Sources, kind: str, request: Request) -> tuple[Report, str]:
    """And the stem of its file's name."""
    now = datetime.now(UTC)
    evaluation = sources.evaluation(watched.namespace, watched.name)
    evidence = sources.evidence(watched.namespace, watched.name)
    known = Known(watched, evaluation, evidence, sources.findings(watched, evaluation))
    if kind == "health":
        asked = request.query_params.get("week", "")
        try:
            week = week_named(asked) if asked else week_of(now - timedelta(days=7))
        except ValueError as error:
            raise NotToBeHad(str(error)) from error
        return health_report(known, week, now), f"{watched.name}-health-{week.name}"
    name = request.query_params.get("version") or watched.spec.champion.model_version_ref.name
    version = watched.versions.get(name)
    if version is None:
        listed = ", ".join(sorted(watched.versions)) or "no version"
        raise NotToBeHad(f"{watched.namespace}/{watched.name} names no version {name!r} that exists; it names {listed}")
    card = sources.card(watched.namespace, watched.name, version.spec.artifact.digest)
    return modelling_report(known, version, card, now), f"{version.name}-model"


def permit_of(bearers: Bearers, reception: Reception, reviews: Reviews) -> Permit:
    """A bearer token where there is one, else whoever is signed in on the dashboard."""

    async def permit(request: Request, namespace: str) -> Response | None:
        if "authorization" in request.headers:
            return await bearers.refusal(request, namespace)
        try:
            if namespace in await visible(reception.visitor(request), [namespace], reviews):
                return None
        except NotSignedIn:
            return refusal(401, "send Authorization: Bearer with a Kubernetes token, or sign in on the dashboard")
        except Refused as error:
            return refusal(403, str(error))
        except AccessUnknown as error:
            logger.warning("the API server could not be asked who may have a report: %s", error)
            return refusal(503, "the API server cannot be asked what you may see, the evaluator's log says why")
        return refusal(403, f"you may not get modeldeployments in the namespace {namespace}")

    return permit
