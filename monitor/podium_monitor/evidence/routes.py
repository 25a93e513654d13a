"""`GET /v1/namespaces/<namespace>/deployments/<name>/evidence`: for the operator, and for whoever may get the deployment."""

import asyncio
import re

from fastapi import APIRouter, Request, Response

from podium_monitor.bearers import Bearers
from podium_monitor.evidence.updating import evidence_of
from podium_monitor.lake.store import Store
from podium_monitor.refusals import refusal

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def router(store: Store, bearers: Bearers) -> APIRouter:
    routes = APIRouter()

    async def evidence(request: Request, namespace: str, name: str) -> Response:
        refused = await bearers.refusal(request, namespace)
        if refused is not None:
            return refused
        if not (_NAME.fullmatch(namespace) and _NAME.fullmatch(name)):
            return refusal(404, "a namespace and a name are lower-case letters, digits and '-'")
        try:
            found = await asyncio.to_thread(evidence_of, store, namespace, name)
        except OSError as error:
            return refusal(503, f"the lake cannot be read: {error.strerror or error}")
        if found is None:
            return refusal(404, f"nothing is known of the deployment {namespace}/{name} yet")
        return Response(found.model_dump_json(), media_type="application/json")

    routes.add_api_route("/v1/namespaces/{namespace}/deployments/{name}/evidence", evidence, methods=["GET"])
    return routes
