"""Everything of the public port that is not hot: health, metadata, repository index, docs, metrics. FastAPI."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from podium_crds.package import TensorSpec
from podium_serving import __version__
from podium_serving.calls import NOT_YET, PLATFORM, why_not_ready
from podium_serving.exchange import NotFound, NotServing, ServingError
from podium_serving.http.docs import CONTENT_SECURITY_POLICY, docs_page
from podium_serving.http.openapi import openapi_document
from podium_serving.metrics import Exposition
from podium_serving.state import Serving, ServingState

CLIENT_GONE = 499
_MAX_BODY_BYTES = 65_536
_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def public_app(state: ServingState, model: str, exposition: Exposition) -> FastAPI:
    """`model` is the name that the endpoint has; `exposition` gives the metrics' text."""
    app = _plain_app()
    _add_health(app, state)
    _add_model(app, state, model)
    _add_docs(app, state, model)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(await exposition(), media_type=_METRICS_TYPE)

    return app


def forward_app() -> FastAPI:
    """The forward port has nothing but the lane's inference: whatever else comes is 404."""
    return _plain_app()


def _plain_app() -> FastAPI:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
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


def _add_health(app: FastAPI, state: ServingState) -> None:
    @app.get("/v2")
    async def server() -> dict[str, Any]:
        return {"name": "podium", "version": __version__, "extensions": []}

    @app.get("/v2/health/live")
    async def live() -> dict[str, bool]:
        return {"live": True}

    @app.get("/v2/health/ready")
    async def ready() -> Response:
        if state.ready:
            return JSONResponse({"ready": True})
        return JSONResponse({"ready": False, "error": why_not_ready(state)}, 503, headers={"retry-after": "1"})


def _add_model(app: FastAPI, state: ServingState, model: str) -> None:
    def named(name: str, version: str | None) -> Serving:
        if name != model:
            raise NotFound(f"no model '{name[:80]}' here; this endpoint serves '{model}'")
        if state.current is None:
            raise NotServing(NOT_YET)
        serving = state.current.plan.champion.version.name
        if version is not None and version != serving:
            raise NotFound(f"version '{version[:80]}' of model '{model}' does not serve; '{serving}' does")
        return state.current

    @app.get("/v2/models/{name}")
    @app.get("/v2/models/{name}/versions/{version}")
    async def metadata(name: str, version: str | None = None) -> dict[str, Any]:
        serving = named(name, version)
        return {
            "name": model,
            "versions": [serving.plan.champion.version.name],
            "platform": PLATFORM,
            "inputs": [_tensor(spec) for spec in serving.descriptor.inputs],
            "outputs": [_tensor(spec) for spec in serving.descriptor.outputs],
        }

    @app.get("/v2/models/{name}/ready")
    @app.get("/v2/models/{name}/versions/{version}/ready")
    async def model_ready(name: str, version: str | None = None) -> Response:
        serving = named(name, version)
        body = {"name": model, "version": serving.plan.champion.version.name, "ready": state.ready}
        return JSONResponse(body, 200 if state.ready else 503)

    @app.get("/v2/models/{name}/infer")
    @app.get("/v2/models/{name}/versions/{version}/infer")
    async def infer(name: str, version: str | None = None) -> Response:
        return JSONResponse({"error": "inference is asked by POST; see /docs"}, 405, headers={"allow": "POST"})

    @app.post("/v2/repository/index")
    async def index(request: Request) -> Response:
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > _MAX_BODY_BYTES:
                raise HTTPException(413)
        only_ready = b'"ready"' in body and b"true" in body
        entries = [_index_entry(state, model)]
        return JSONResponse([entry for entry in entries if not only_ready or entry["state"] == "READY"])


def _index_entry(state: ServingState, model: str) -> dict[str, str]:
    version = state.current.plan.champion.version.name if state.current else ""
    if state.ready:
        return {"name": model, "version": version, "state": "READY", "reason": ""}
    return {"name": model, "version": version, "state": "UNAVAILABLE", "reason": why_not_ready(state)}


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


def _add_docs(app: FastAPI, state: ServingState, model: str) -> None:
    def current() -> Serving:
        if state.current is None:
            raise NotServing(NOT_YET)
        return state.current

    @app.get("/")
    async def root() -> Response:
        return RedirectResponse("docs")

    @app.get("/docs")
    async def docs() -> Response:
        serving = current()
        page = docs_page(serving.descriptor, model, serving.plan.champion.version.name)
        return HTMLResponse(page, headers={"content-security-policy": CONTENT_SECURITY_POLICY})

    @app.get("/openapi.json")
    async def openapi() -> Response:
        serving = current()
        return JSONResponse(openapi_document(serving.descriptor, model, serving.plan.champion.version.name))
