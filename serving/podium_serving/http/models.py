"""What the protocols say of models beside inference: metadata, readiness, the repository. FastAPI; nothing of it is hot."""

from typing import Any, TypeVar

import msgspec
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from podium_crds.package import TensorSpec
from podium_serving.calls import NOT_YET, PLATFORM, Calls
from podium_serving.exchange import InvalidRequest, NotFound, NotServing
from podium_serving.repository import Repository, index
from podium_serving.state import Serving

Asked = TypeVar("Asked", bound=msgspec.Struct)

_MAX_BODY_BYTES = 65_536
_TAKEN_PARAMETERS = {"unload_dependents"}


class _IndexRequest(msgspec.Struct):
    ready: bool = False


class _ChangeRequest(msgspec.Struct):
    parameters: dict[str, Any] = {}


def serving_of(calls: Calls, model: str, version: str = "") -> Serving:
    """What answers for `model` now. Raises NotFound or NotServing."""
    name = calls.model_named(model)
    state = calls.states.get(name)
    serving = state.current if state is not None else None
    wrong = calls.wrong_target(name, version, serving)
    if wrong is not None:
        raise wrong
    if serving is None:
        raise NotServing(NOT_YET)
    return serving


def add_models(app: FastAPI, calls: Calls) -> None:
    """`/v2/models/...`."""

    @app.get("/v2/models/{name}")
    @app.get("/v2/models/{name}/versions/{version}")
    async def metadata(name: str, version: str = "") -> dict[str, Any]:
        serving = serving_of(calls, name, version)
        return {
            "name": name,
            "versions": [serving.plan.champion.version.name],
            "platform": PLATFORM,
            "inputs": [_tensor(spec) for spec in serving.descriptor.inputs],
            "outputs": [_tensor(spec) for spec in serving.descriptor.outputs],
        }

    @app.get("/v2/models/{name}/ready")
    @app.get("/v2/models/{name}/versions/{version}/ready")
    async def model_ready(name: str, version: str = "") -> Response:
        serving = serving_of(calls, name, version)
        ready = calls.states[name].ready
        body = {"name": name, "version": serving.plan.champion.version.name, "ready": ready}
        return JSONResponse(body, 200 if ready else 503)

    @app.get("/v2/models/{name}/config")
    @app.get("/v2/models/{name}/versions/{version}/config")
    async def config(name: str, version: str = "") -> dict[str, Any]:
        """As Triton words it, for clients that size their requests by it. The batch is an axis like any other here."""
        serving = serving_of(calls, name, version)
        return {
            "name": name,
            "platform": PLATFORM,
            "backend": "onnxruntime",
            "max_batch_size": 0,
            "input": [_triton_tensor(spec) for spec in serving.descriptor.inputs],
            "output": [_triton_tensor(spec) for spec in serving.descriptor.outputs],
        }

    @app.get("/v2/models/{name}/stats")
    @app.get("/v2/models/{name}/versions/{version}/stats")
    async def statistics(name: str = "", version: str = "") -> Response:
        raise NotFound("what this server counts is at /metrics, per version and for Prometheus")

    @app.get("/v2/models/{name}/infer")
    @app.get("/v2/models/{name}/versions/{version}/infer")
    async def infer(name: str, version: str = "") -> Response:
        return _by_post()


def add_first_protocol(app: FastAPI, calls: Calls) -> None:
    """`/v1/models/...`, as clients of KServe's and TensorFlow Serving's first protocol ask before they predict."""

    @app.get("/v1/models")
    async def models() -> dict[str, list[str]]:
        return {"models": [name for name, state in calls.states.items() if state.ready]}

    @app.get("/v1/models/{name}")
    async def model(name: str) -> Response:
        if name.endswith(":predict"):
            return _by_post()
        serving_of(calls, name)
        ready = calls.states[name].ready
        return JSONResponse({"name": name, "ready": ready}, 200 if ready else 503)


def add_repository(app: FastAPI, calls: Calls, repository: Repository) -> None:
    """`/v2/repository/...`."""

    @app.post("/v2/repository/index")
    async def listed(request: Request) -> Response:
        asked = _read(_IndexRequest, await _body(request))
        entries = index(calls.states, repository, only_ready=asked.ready)
        return JSONResponse([entry._asdict() for entry in entries])

    @app.post("/v2/repository/models/{name}/load")
    async def load(name: str, request: Request) -> Response:
        _check_parameters(await _body(request))
        await repository.load(name)
        return JSONResponse({})

    @app.post("/v2/repository/models/{name}/unload")
    async def unload(name: str, request: Request) -> Response:
        _check_parameters(await _body(request))
        await repository.unload(name)
        return JSONResponse({})


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY_BYTES:
            raise HTTPException(413)
    return body


def _read(kind: type[Asked], body: bytes) -> Asked:
    """An empty body asks for the defaults. Raises InvalidRequest."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidRequest(f"the body is not what this path takes: {error}") from error


def _check_parameters(body: bytes) -> None:
    """Raises InvalidRequest for a configuration or files that should replace a package's own."""
    for name in _read(_ChangeRequest, body).parameters:
        if name not in _TAKEN_PARAMETERS:
            raise InvalidRequest(f"parameter '{name[:80]}' is not taken: a model is loaded as its package says")


def _by_post() -> Response:
    return JSONResponse({"error": "inference is asked by POST; see /docs"}, 405, headers={"allow": "POST"})


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


def _triton_tensor(spec: TensorSpec) -> dict[str, Any]:
    datatype = "STRING" if spec.datatype == "BYTES" else spec.datatype
    return {"name": spec.name, "data_type": f"TYPE_{datatype}", "dims": spec.shape}
