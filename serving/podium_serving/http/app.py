"""Everything of the public port that is not hot: health, metadata, repository index, docs, metrics. FastAPI."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from podium_serving import __version__
from podium_serving.calls import Calls, why_not_ready
from podium_serving.exchange import ServingError
from podium_serving.http.docs import CONTENT_SECURITY_POLICY, docs_page, list_page
from podium_serving.http.endpoint import OPEN_ACCESS, Access, Endpoint, endpoint_of
from podium_serving.http.models import add_first_protocol, add_models, add_repository, serving_of
from podium_serving.http.openapi import openapi_document
from podium_serving.metrics import Exposition
from podium_serving.repository import IN_A_CLUSTER, Repository

CLIENT_GONE = 499
EXTENSIONS = ["binary_tensor_data", "model_configuration", "model_repository"]
"""Of the protocol, by the names that Triton gave them."""
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def public_app(
    calls: Calls, exposition: Exposition, repository: Repository = IN_A_CLUSTER, access: Access = OPEN_ACCESS
) -> FastAPI:
    """`exposition` gives the metrics' text, `access` is what /docs says of how to come in."""
    app = _plain_app()
    _add_health(app, calls)
    add_models(app, calls)
    add_first_protocol(app, calls)
    add_repository(app, calls, repository)
    _add_docs(app, calls, access)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(await exposition(), media_type=_METRICS_TYPE)

    return app


def forward_app() -> FastAPI:
    """The forward port has nothing but the lane's inference: whatever else comes is 404."""
    return _plain_app()


def _plain_app() -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ServingError, _serving_error)
    app.add_exception_handler(ClientDisconnect, _client_gone)
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


def _add_health(app: FastAPI, calls: Calls) -> None:
    @app.get("/v2")
    async def server() -> dict[str, Any]:
        return {"name": "podium", "version": __version__, "extensions": EXTENSIONS}

    @app.get("/v2/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v2/health/ready")
    async def ready() -> Response:
        waiting = next((state for state in calls.states.values() if not state.ready), None)
        if waiting is None:
            return JSONResponse({"ready": True})
        return JSONResponse({"ready": False, "error": why_not_ready(waiting)}, 503, headers={"retry-after": "1"})


def _add_docs(app: FastAPI, calls: Calls, access: Access) -> None:
    def endpoint(name: str) -> Endpoint:
        return endpoint_of(calls.model_named(name), serving_of(calls, name), access, named=bool(name))

    @app.get("/")
    async def root(request: Request) -> Response:
        """A browser reads the docs; for clients of the first protocol this path says that the server is alive."""
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("docs")
        return JSONResponse({"status": "alive"})

    @app.get("/docs")
    @app.get("/models/{name}/docs")
    async def docs(name: str = "") -> Response:
        headers = {"content-security-policy": CONTENT_SECURITY_POLICY}
        if not name and len(calls.states) != 1:
            return HTMLResponse(list_page(list(calls.states)), headers=headers)
        return HTMLResponse(docs_page(endpoint(name)), headers=headers)

    @app.get("/openapi.json")
    @app.get("/models/{name}/openapi.json")
    async def openapi(name: str = "") -> Response:
        return JSONResponse(openapi_document(endpoint(name)))

    @app.get("/score")
    @app.get("/explain")
    @app.get("/models/{name}/score")
    @app.get("/models/{name}/explain")
    async def named_columns(name: str = "") -> Response:
        return JSONResponse({"error": "rows are sent by POST; see /docs"}, 405, headers={"allow": "POST"})
