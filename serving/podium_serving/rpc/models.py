"""The calls of the Open Inference Protocol that ask about the server and its models, and that load and unload them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from podium_crds.package import TensorSpec
from podium_serving import __version__
from podium_serving.calls import NOT_YET, PLATFORM, Calls
from podium_serving.exchange import InvalidRequest, NotServing, ServingError
from podium_serving.repository import Repository, index
from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.call import Method, Reply, Unary
from podium_serving.rpc.metadata import CallHead
from podium_serving.served import Serving
from podium_serving.state import ServingState

logger = logging.getLogger(__name__)

Asked = TypeVar("Asked", bound=Message)


class Models:
    def __init__(self, calls: Calls, repository: Repository) -> None:
        self._calls = calls
        self._repository = repository
        self._changing: set[asyncio.Task[None]] = set()

    def methods(self) -> dict[str, Method]:
        """By the name after the service's."""
        return {
            "ServerLive": Method(answered_at_once(wire.ServerLiveRequest, self.live), open_to_all=True),
            "ServerReady": Method(answered_at_once(wire.ServerReadyRequest, self.ready), open_to_all=True),
            "ModelReady": Method(answered_at_once(wire.ModelReadyRequest, self.model_ready)),
            "ServerMetadata": Method(answered_at_once(wire.ServerMetadataRequest, self.server_metadata)),
            "ModelMetadata": Method(answered_at_once(wire.ModelMetadataRequest, self.model_metadata)),
            "RepositoryIndex": Method(answered_at_once(wire.RepositoryIndexRequest, self.index)),
            "RepositoryModelLoad": Method(self.load),
            "RepositoryModelUnload": Method(self.unload),
        }

    def live(self, request: wire.ServerLiveRequest) -> wire.ServerLiveResponse:
        return wire.ServerLiveResponse(live=True)

    def ready(self, request: wire.ServerReadyRequest) -> wire.ServerReadyResponse:
        return wire.ServerReadyResponse(ready=all(state.ready for state in self._calls.states.values()))

    def model_ready(self, request: wire.ModelReadyRequest) -> wire.ModelReadyResponse:
        """A model that is known and does not serve yet is no error: that is what was asked."""
        state, _ = self._named(request.name, request.version)
        return wire.ModelReadyResponse(ready=state.ready)

    def server_metadata(self, request: wire.ServerMetadataRequest) -> wire.ServerMetadataResponse:
        return wire.ServerMetadataResponse(name="podium", version=__version__)

    def model_metadata(self, request: wire.ModelMetadataRequest) -> wire.ModelMetadataResponse:
        _, serving = self._named(request.name, request.version)
        if serving is None:
            raise NotServing(NOT_YET)
        return wire.ModelMetadataResponse(
            name=request.name,
            versions=[serving.plan.champion.version.name],
            platform=PLATFORM,
            inputs=[_tensor(spec) for spec in serving.descriptor.inputs],
            outputs=[_tensor(spec) for spec in serving.descriptor.outputs],
        )

    def index(self, request: wire.RepositoryIndexRequest) -> wire.RepositoryIndexResponse:
        entries = index(self._calls.states, self._repository, only_ready=request.ready)
        return wire.RepositoryIndexResponse(
            models=[wire.RepositoryIndexResponse.ModelIndex(**entry._asdict()) for entry in entries]
        )

    def load(self, head: CallHead, message: bytes, reply: Reply, started_at: float) -> None:
        request = parsed(wire.RepositoryModelLoadRequest, message)
        self._change(self._repository.load, request.model_name, wire.RepositoryModelLoadResponse(), reply)

    def unload(self, head: CallHead, message: bytes, reply: Reply, started_at: float) -> None:
        request = parsed(wire.RepositoryModelUnloadRequest, message)
        self._change(self._repository.unload, request.model_name, wire.RepositoryModelUnloadResponse(), reply)

    def _change(self, change: Callable[[str], Awaitable[None]], model: str, done: Message, reply: Reply) -> None:
        task = asyncio.get_running_loop().create_task(_changed(change, model, done, reply))
        self._changing.add(task)
        task.add_done_callback(self._changing.discard)

    def _named(self, model: str, version: str) -> tuple[ServingState, Serving | None]:
        """Raises NotFound."""
        state = self._calls.states.get(model)
        serving = state.current if state is not None else None
        wrong = self._calls.wrong_target(model, version, serving)
        if wrong is not None and not (state is not None and serving is None):
            raise wrong
        assert state is not None, "else the target is wrong"
        return state, serving


async def _changed(change: Callable[[str], Awaitable[None]], model: str, done: Message, reply: Reply) -> None:
    try:
        await change(model)
    except ServingError as error:
        reply.fail(error)
    except Exception:
        logger.exception("model '%s' could not be loaded or unloaded", model[:80])
        reply.fail(ServingError("this server failed; its log says more"))
    else:
        reply.answer(done.SerializeToString())


def answered_at_once(kind: type[Asked], answer: Callable[[Asked], Message]) -> Unary:
    """A method that looks at its message alone. `answer` may raise ServingError."""

    def method(head: CallHead, message: bytes, reply: Reply, started_at: float) -> None:
        reply.answer(answer(parsed(kind, message)).SerializeToString())

    return method


def parsed(kind: type[Asked], message: bytes) -> Asked:
    """Raises InvalidRequest."""
    try:
        return kind.FromString(message)
    except DecodeError as error:
        raise InvalidRequest(f"the message is not a {kind.DESCRIPTOR.name}: {error}") from error


def _tensor(spec: TensorSpec) -> wire.ModelMetadataResponse.TensorMetadata:
    return wire.ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype, shape=spec.shape)
