"""Everything of the public port that is not hot: health, metadata, repository index, docs, metrics. Starlette.

FastAPI would add nothing but 10 MB to every pod: what is asked here has no bodies to speak of, and the document at
/openapi.json is made of the model's own schema.
"""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from podium_serving import __version__
from podium_serving.calls import Calls, why_not_ready
from podium_serving.exchange import ServingError
from podium_serving.http.endpoint import OPEN_ACCESS, Access, Endpoint, endpoint_of
from podium_serving.http.models import first_protocol_routes, model_routes, repository_routes, serving_of
from podium_serving.metrics import Exposition
from podium_serving.repository import IN_A_CLUSTER, Repository

CLIENT_GONE = 499
EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository"]
"""Of the protocol, by the names that Triton gave them."""
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def public_app(
    calls: Calls, exposition: Exposition, repository: Repository = IN_A_CLUSTER, access: Access = OPEN_ACCESS
) -> Starlette:
    """`exposition` gives the metrics' text, `access` is what /docs says of how to come in."""

    async def metrics(request: Request) -> Response:
        return Response(await exposition(), media_type=_METRICS_TYPE)

    return _plain_app(
        [
            *_health_routes(calls),
            *model_routes(calls),
            *first_protocol_routes(calls),
            *repository_routes(calls, repository),
            *_docs_routes(calls, access),
            Route("/metrics", metrics),
        ]
    )


def forward_app() -> Starlette:
    """The forward port has nothing but the lane's inference: whatever else comes is 404."""
    return _plain_app([])


def _plain_app(routes: list[Route]) -> Starlette:
    errors = {HTTPException: _http_error, ServingError: _serving_error, ClientDisconnect: _client_gone}
    app = Starlette(routes=routes, exception_handlers=errors)
    app.router.redirect_slashes = False
    return app


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    text = f"{request.method} {request.url.path}: {error.detail.lower()}"
    if error.status_code == 404:
        text = f"nothing is at {request.url.path}; see /docs"
    if error.status_code == 405:
        text = f"{request.url.path} does not take {request.method}"
    return JSONResponse({"error": text}, error.status_code, headers=error.headers)


async def _client_gone(request: Request, error: Exception) -> Response:
    """Nobody reads it; without it each client that leaves within its body would be a stack trace in the log."""
    return Response(status_code=CLIENT_GONE)


async def _serving_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServingError)
    headers = {} if error.retry_after_seconds is None else {"retry-after": str(error.retry_after_seconds)}
    return JSONResponse({"error": str(error)}, error.http_status, headers=headers)


def _health_routes(calls: Calls) -> list[Route]:
    async def server(request: Request) -> Response:
        return JSONResponse({"name": "podium", "version": __version__, "extensions": EXTENSIONS})

    async def live(request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(request: Request) -> Response:
        waiting = next((state for state in calls.states.values() if not state.ready), None)
        if waiting is None:
            return JSONResponse({"ready": True})
        return JSONResponse({"ready": False, "error": why_not_ready(waiting)}, 503, headers={"retry-after": "1"})

    return [Route("/v2", server), Route("/v2/health/live", live), Route("/v2/health/ready", ready)]


def _docs_routes(calls: Calls, access: Access) -> list[Route]:
    def endpoint(name: str) -> Endpoint:
        return endpoint_of(calls.model_named(name), serving_of(calls, name), access, named=bool(name))

    async def root(request: Request) -> Response:
        """A browser reads the docs; for clients of the first protocol this path says that the server is alive."""
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("docs")
        return JSONResponse({"status": "alive"})

    async def docs(request: Request) -> Response:
        # Imported when somebody looks: a page and its template are for people, and most pods are asked by programs.
        from podium_serving.http.docs import CONTENT_SECURITY_POLICY, docs_page, list_page

        name = request.path_params.get("name", "")
        headers = {"content-security-policy": CONTENT_SECURITY_POLICY}
        if not name and len(calls.states) != 1:
            return HTMLResponse(list_page(list(calls.states)), headers=headers)
        return HTMLResponse(docs_page(endpoint(name)), headers=headers)

    async def openapi(request: Request) -> Response:
        from podium_serving.http.openapi import openapi_document

        return JSONResponse(openapi_document(endpoint(request.path_params.get("name", ""))))

    async def named_columns(request: Request) -> Response:
        return JSONResponse({"error": "rows are sent by POST; see /docs"}, 405, headers={"allow": "POST"})

    paths = {"/docs": docs, "/openapi.json": openapi, "/score": named_columns, "/explain": named_columns}
    return [
        Route("/", root),
        *(Route(prefix + path, answer) for path, answer in paths.items() for prefix in ("", "/models/{name}")),
    ]
