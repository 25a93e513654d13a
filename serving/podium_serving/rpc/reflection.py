"""`grpc.reflection`: lets grpcurl and its like find out what can be called (grpc/grpc, doc/server-reflection.md).

Its two versions differ in their names only. The descriptors are imported when somebody asks for the first time.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from podium_serving.exchange import Overloaded
from podium_serving.rpc.call import Load, Method
from podium_serving.rpc.http2.stream import Receiver, Stream
from podium_serving.rpc.metadata import CallHead
from podium_serving.rpc.models import parsed
from podium_serving.rpc.status import Code
from podium_serving.rpc.streaming import UNREAD, StreamingCall

REFLECTION = "grpc.reflection.v1alpha.ServerReflection"
REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"


class Reflection:
    """`services` are the full names of what the port has."""

    def __init__(self, services: Sequence[str], load: Load) -> None:
        self._services = tuple(services)
        self._load = load

    def methods(self) -> dict[str, Method]:
        return {"ServerReflectionInfo": Method(streaming=self.info)}

    def info(self, head: CallHead, stream: Stream) -> Receiver:
        return _Info(head, stream, self._load, self._services)


class _Info(StreamingCall):
    def __init__(self, head: CallHead, stream: Stream, load: Load, services: Sequence[str]) -> None:
        super().__init__(head, stream, load)
        self._services = services

    def on_message(self, message: bytes) -> None:
        if self.stream.waiting >= UNREAD:  # an answer is hundreds of times as large as its question
            self.fail(Overloaded("the answers so far are not read; read them before you ask more"))
            return
        from grpc_reflection.v1alpha import reflection_pb2 as wire

        request = parsed(wire.ServerReflectionRequest, message)
        response = wire.ServerReflectionResponse(valid_host=request.host, original_request=request)
        match request.WhichOneof("message_request"):
            case "list_services":
                for name in self._services:
                    response.list_services_response.service.add(name=name)
            case "file_by_filename":
                self._put(response, "FindFileByName", request.file_by_filename)
            case "file_containing_symbol":
                self._put(response, "FindFileContainingSymbol", request.file_containing_symbol)
            case "file_containing_extension" | "all_extension_numbers_of_type":
                response.error_response.error_code = Code.NOT_FOUND
                response.error_response.error_message = "there are no extensions here"
            case _:
                response.error_response.error_code = Code.INVALID_ARGUMENT
                response.error_response.error_message = "the request asks nothing"
        self.send(response.SerializeToString())

    def on_end(self) -> None:
        self.finish()

    def _put(self, response: Any, find: str, name: str) -> None:
        from google.protobuf import descriptor_pool

        try:
            file = getattr(descriptor_pool.Default(), find)(name)
        except KeyError:
            response.error_response.error_code = Code.NOT_FOUND
            response.error_response.error_message = f"nothing is called '{name[:200]}' here"
            return
        response.file_descriptor_response.file_descriptor_proto.extend(dict.fromkeys(_serialized(file)))


def _serialized(file: Any) -> Iterator[bytes]:
    """A file, and all that it imports."""
    yield file.serialized_pb
    for imported in file.dependencies:
        yield from _serialized(imported)
