"""`GET /v1/namespaces/<namespace>/deployments/<name>/evidence`: for the operator, and for whoever may get the deployment."""

import asyncio
import hmac
import re

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from podium_crds.evidence import monitor_token
from podium_monitor.access import AccessUnknown, Reviews
from podium_monitor.evidence.updating import evidence_of
from podium_monitor.lake.store import Store

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "5"}}


def router(store: Store, collector_key: bytes, reviews: Reviews) -> APIRouter:
    """The operator's token is made of `collector_key`; any other is asked of `reviews`."""
    routes = APIRouter()
    operator = monitor_token(collector_key).encode()

    async def evidence(request: Request, namespace: str, name: str) -> Response:
        refused = await _refusal(request, namespace, operator, reviews)
        if refused is not None:
            return refused
        if not (_NAME.fullmatch(namespace) and _NAME.fullmatch(name)):
            return _error(404, "a namespace and a name are lower-case letters, digits and '-'")
        try:
            found = await asyncio.to_thread(evidence_of, store, namespace, name)
        except OSError as error:
            return _error(503, f"the lake cannot be read: {error.strerror or error}")
        if found is None:
            return _error(404, f"nothing is known of the deployment {namespace}/{name} yet")
        return Response(found.model_dump_json(), media_type="application/json")

    routes.add_api_route("/v1/namespaces/{namespace}/deployments/{name}/evidence", evidence, methods=["GET"])
    return routes


async def _refusal(request: Request, namespace: str, operator: bytes, reviews: Reviews) -> Response | None:
    """None: whoever asks may know."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return _error(401, "the header Authorization must be Bearer with the operator's or a Kubernetes token")
    if hmac.compare_digest(token.strip().encode(), operator):
        return None
    try:
        identity = await reviews.who(token.strip())
        if identity is None:
            return _error(401, "the bearer token is neither the operator's nor one that the API server knows")
        if await reviews.may(identity.user, identity.groups, "get", "modeldeployments", namespace):
            return None
    except AccessUnknown as error:
        return _error(503, f"the API server cannot be asked who this is: {error}")
    return _error(403, f"{identity.user} may not get modeldeployments in the namespace {namespace}")


def _error(status: int, text: str) -> Response:
    return JSONResponse({"error": text}, status, _HEADERS.get(status))
