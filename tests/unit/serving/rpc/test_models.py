"""What can be asked about server and models; loading and unloading."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from podium_serving import __version__
from podium_serving.exchange import NotFound
from podium_serving.repository import Entry
from podium_serving.rpc import inference_pb2 as wire
from rpc_fixtures import RpcSite, rpc_site

pytestmark = pytest.mark.process


async def code_of(pod: RpcSite, method: str, request: Any, answer: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await pod.call(method, request, answer)
    return error.value.code(), str(error.value.details())


async def ready(pod: RpcSite) -> bool:
    return bool((await pod.call("ServerReady", wire.ServerReadyRequest(), wire.ServerReadyResponse)).ready)


async def test_a_pod_is_live_before_it_is_ready_and_not_ready_while_it_drains(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        assert (await pod.call("ServerLive", wire.ServerLiveRequest(), wire.ServerLiveResponse)).live
        assert not await ready(pod)
        await pod.site.serve("1")
        assert await ready(pod)
        pod.site.state.draining = True
        assert not await ready(pod)


async def test_a_model_is_ready_by_name_and_version(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        asked = wire.ModelReadyRequest(name="churn")
        assert not (await pod.call("ModelReady", asked, wire.ModelReadyResponse)).ready
        await pod.site.serve("1")
        for request in (asked, wire.ModelReadyRequest(name="churn", version="churn-1")):
            assert (await pod.call("ModelReady", request, wire.ModelReadyResponse)).ready
        for request in (wire.ModelReadyRequest(name="other"), wire.ModelReadyRequest(name="churn", version="churn-2")):
            code, _ = await code_of(pod, "ModelReady", request, wire.ModelReadyResponse)
            assert code is grpc.StatusCode.NOT_FOUND


async def test_metadata_tells_server_and_model(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        server = await pod.call("ServerMetadata", wire.ServerMetadataRequest(), wire.ServerMetadataResponse)
        assert (server.name, server.version) == ("podium", __version__)
        asked = wire.ModelMetadataRequest(name="churn")
        assert (await code_of(pod, "ModelMetadata", asked, wire.ModelMetadataResponse))[0] is grpc.StatusCode.UNAVAILABLE
        await pod.site.serve("1", key_input="customer")
        model = await pod.call("ModelMetadata", asked, wire.ModelMetadataResponse)
        assert (model.name, list(model.versions), model.platform) == ("churn", ["churn-1"], "onnxruntime_onnx")
        assert [(tensor.name, tensor.datatype, list(tensor.shape)) for tensor in model.inputs] == [
            ("x0", "FP32", [-1, 1]),
            ("x1", "FP32", [-1, 1]),
            ("customer", "BYTES", [-1, 1]),
        ]
        assert [(tensor.name, list(tensor.shape)) for tensor in model.outputs] == [("score", [-1, 1])]


async def test_the_index_says_what_is_here_and_why_it_cannot_be_asked(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        asked = wire.RepositoryIndexRequest()
        (entry,) = (await pod.call("RepositoryIndex", asked, wire.RepositoryIndexResponse)).models
        assert (entry.name, entry.state) == ("churn", "UNAVAILABLE")
        assert entry.reason
        only_ready = wire.RepositoryIndexRequest(ready=True)
        assert not (await pod.call("RepositoryIndex", only_ready, wire.RepositoryIndexResponse)).models
        await pod.site.serve("1")
        (entry,) = (await pod.call("RepositoryIndex", only_ready, wire.RepositoryIndexResponse)).models
        assert (entry.name, entry.version, entry.state) == ("churn", "churn-1", "READY")


async def test_in_a_cluster_the_plan_says_what_is_loaded(tmp_path: Path) -> None:
    async with rpc_site(tmp_path) as pod:
        load = wire.RepositoryModelLoadRequest(model_name="churn")
        code, text = await code_of(pod, "RepositoryModelLoad", load, wire.RepositoryModelLoadResponse)
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert "deployment" in text
        unload = wire.RepositoryModelUnloadRequest(model_name="churn")
        code, _ = await code_of(pod, "RepositoryModelUnload", unload, wire.RepositoryModelUnloadResponse)
        assert code is grpc.StatusCode.PERMISSION_DENIED


class _Shelf:
    """Models by name, as a laptop has them."""

    def __init__(self) -> None:
        self.loaded = {"churn"}

    def unloaded(self) -> list[Entry]:
        return [Entry("more", "", "UNAVAILABLE", "not loaded")]

    async def load(self, model: str) -> None:
        if model == "unknown":
            raise NotFound("no model 'unknown' here")
        if model == "broken":
            raise OSError("disk")
        self.loaded.add(model)

    async def unload(self, model: str) -> None:
        self.loaded.discard(model)


async def test_where_there_is_a_repository_models_are_loaded_and_unloaded(tmp_path: Path) -> None:
    shelf = _Shelf()
    async with rpc_site(tmp_path, repository=shelf) as pod:
        listed = (await pod.call("RepositoryIndex", wire.RepositoryIndexRequest(), wire.RepositoryIndexResponse)).models
        assert [(entry.name, entry.state) for entry in listed] == [("churn", "UNAVAILABLE"), ("more", "UNAVAILABLE")]
        load = wire.RepositoryModelLoadRequest(model_name="more")
        await pod.call("RepositoryModelLoad", load, wire.RepositoryModelLoadResponse)
        unload = wire.RepositoryModelUnloadRequest(model_name="churn")
        await pod.call("RepositoryModelUnload", unload, wire.RepositoryModelUnloadResponse)
        assert shelf.loaded == {"more"}
        for model, code in (("unknown", grpc.StatusCode.NOT_FOUND), ("broken", grpc.StatusCode.INTERNAL)):
            request = wire.RepositoryModelLoadRequest(model_name=model)
            assert (await code_of(pod, "RepositoryModelLoad", request, wire.RepositoryModelLoadResponse))[0] is code
