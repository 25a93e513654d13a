"""Models and messages for tests of what gRPC reads and writes."""

from podium_crds.package import Datatype, Descriptor, InputSpec, OutputSpec
from podium_serving.exchange import Columns
from podium_serving.oip.binary import bytes_of_array
from podium_serving.oip.codec import Codec
from podium_serving.rpc import inference_pb2 as wire
from podium_serving.rpc.reading import CONTENTS, Decoded, RequestReader, opened


def descriptor(*inputs: InputSpec) -> Descriptor:
    """A model whose outputs are its inputs."""
    outputs = [OutputSpec(name=spec.name, datatype=spec.datatype, shape=spec.shape, kind="Value") for spec in inputs]
    return Descriptor(name="m", version="1", task="Regression", inputs=list(inputs), outputs=outputs)


def spec(name: str, datatype: Datatype, shape: list[int] | None = None, *, nullable: bool = False) -> InputSpec:
    return InputSpec(name=name, datatype=datatype, shape=shape or [-1, 2], nullable=nullable)


def read(codec: Codec, request: wire.ModelInferRequest) -> Decoded:
    message = request.SerializeToString()
    return RequestReader(codec).decode(opened(message), message)


def request_of(codec: Codec, columns: Columns, *, raw: bool) -> wire.ModelInferRequest:
    request = wire.ModelInferRequest(model_name="m")
    for name, schema in codec.inputs.items():
        column = columns[name]
        tensor = request.inputs.add(name=name, datatype=schema.datatype, shape=column.shape)
        if raw:
            request.raw_input_contents.append(bytes_of_array(column))
        else:
            values = column.ravel().tolist()
            values = [value.encode() for value in values] if schema.datatype == "BYTES" else values
            getattr(tensor.contents, CONTENTS[schema.datatype]).extend(values)
    return request
