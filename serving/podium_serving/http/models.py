"""What the protocols say of models beside inference: metadata, readiness, the repository. Nothing of it is hot."""

from typing import Any, TypeVar

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from podium_crds.package import TensorSpec
from podium_serving.calls import NOT_YET, PLATFORM, Calls
from podium_serving.exchange import InvalidRequest, NotFound, NotServing
from podium_serving.repository import Repository, index
from podium_serving.served import Serving

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


def model_routes(calls: Calls) -> list[Route]:
    """`/v2/models/...`."""

    def asked(request: Request) -> tuple[str, Serving]:
        name = request.path_params["name"]
        return name, serving_of(calls, name, request.path_params.get("version", ""))

    async def metadata(request: Request) -> Response:
        return JSONResponse(_metadata(*asked(request)))

    async def model_ready(request: Request) -> Response:
        name, serving = asked(request)
        ready = calls.states[name].ready
        body = {"name": name, "version": serving.plan.champion.version.name, "ready": ready}
        return JSONResponse(body, 200 if ready else 503)

    async def config(request: Request) -> Response:
        return JSONResponse(_triton_config(*asked(request)))

    async def statistics(request: Request) -> Response:
        raise NotFound("what this server counts is at /metrics, per version and for Prometheus")

    async def infer(request: Request) -> Response:
        return _by_post()

    paths = {"": metadata, "/ready": model_ready, "/config": config, "/stats": statistics, "/infer": infer}
    prefixes = ("/v2/models/{name}", "/v2/models/{name}/versions/{version}")
    return [Route(prefix + path, answer) for path, answer in paths.items() for prefix in prefixes]


def first_protocol_routes(calls: Calls) -> list[Route]:
    """`/v1/models/...`, as clients of KServe's and TensorFlow Serving's first protocol ask before they predict."""

    async def models(request: Request) -> Response:
        return JSONResponse({"models": [name for name, state in calls.states.items() if state.ready]})

    async def model(request: Request) -> Response:
        name = request.path_params["name"]
        if name.endswith(":predict"):
            return _by_post()
        serving_of(calls, name)
        ready = calls.states[name].ready
        return JSONResponse({"name": name, "ready": ready}, 200 if ready else 503)

    return [Route("/v1/models", models), Route("/v1/models/{name}", model)]


def repository_routes(calls: Calls, repository: Repository) -> list[Route]:
    """`/v2/repository/...`."""

    async def listed(request: Request) -> Response:
        asked = _read(_IndexRequest, await _body(request))
        entries = index(calls.states, repository, only_ready=asked.ready)
        return JSONResponse([entry._asdict() for entry in entries])

    async def load(request: Request) -> Response:
        _check_parameters(await _body(request))
        await repository.load(request.path_params["name"])
        return JSONResponse({})

    async def unload(request: Request) -> Response:
        _check_parameters(await _body(request))
        await repository.unload(request.path_params["name"])
        return JSONResponse({})

    paths = {"index": listed, "models/{name}/load": load, "models/{name}/unload": unload}
    return [Route(f"/v2/repository/{path}", answer, methods=["POST"]) for path, answer in paths.items()]


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


def _metadata(name: str, serving: Serving) -> dict[str, Any]:
    return {
        "name": name,
        "versions": [serving.plan.champion.version.name],
        "platform": PLATFORM,
        "inputs": [_tensor(spec) for spec in serving.descriptor.inputs],
        "outputs": [_tensor(spec) for spec in serving.descriptor.outputs],
    }


def _triton_config(name: str, serving: Serving) -> dict[str, Any]:
    """As Triton words it, for clients that size their requests by it. The batch is an axis like any other here."""
    return {
        "name": name,
        "platform": PLATFORM,
        "backend": "onnxruntime",
        "max_batch_size": 0,
        "input": [_triton_tensor(spec) for spec in serving.descriptor.inputs],
        "output": [_triton_tensor(spec) for spec in serving.descriptor.outputs],
    }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "datatype": spec.datatype, "shape": spec.shape}


def _triton_tensor(spec: TensorSpec) -> dict[str, Any]:
    datatype = "STRING" if spec.datatype == "BYTES" else spec.datatype
    return {"name": spec.name, "data_type": f"TYPE_{datatype}", "dims": spec.shape}
