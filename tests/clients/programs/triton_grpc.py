"""What tritonclient's gRPC client asks, with its defaults and with what its parameters offer. Runs in a venv of its own."""

import json
import queue
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException, triton_to_np_dtype


def main(address: str, cases_file: str, answers_file: str) -> None:
    cases = json.loads(Path(cases_file).read_text(encoding="utf-8"))
    model = cases["model"]
    client = triton.InferenceServerClient(address)
    answers: dict[str, Any] = {}
    told(answers, "is_server_live", client.is_server_live())
    told(answers, "is_server_ready", client.is_server_ready())
    told(answers, "is_model_ready", client.is_model_ready(model))
    told(answers, "get_server_metadata", client.get_server_metadata(as_json=True))
    told(answers, "get_model_metadata", client.get_model_metadata(model, as_json=True))
    told(answers, "get_model_repository_index", client.get_model_repository_index(as_json=True))
    inputs = tensors(cases)
    outputs = [triton.InferRequestedOutput(name) for name in cases["outputs"]]
    asks: dict[str, Any] = {
        "defaults": lambda: client.infer(model, inputs),
        "requested_outputs": lambda: client.infer(model, inputs, outputs=outputs, model_version=cases["version"]),
        "parameters": lambda: client.infer(
            model, inputs, request_id="r-1", sequence_id=5, sequence_start=True, priority=1, timeout=5_000_000
        ),
        "client_timeout": lambda: client.infer(model, inputs, client_timeout=10.0),
        "gzip": lambda: client.infer(model, inputs, compression_algorithm="gzip"),
        "async_infer": lambda: called_back(lambda told: client.async_infer(model, inputs, told)),
        "stream": lambda: streamed(client, model, inputs),
    }
    for name, ask in asks.items():
        told(answers, name, as_answer(ask(), cases["outputs"]))
    told(answers, "unload_model", client.unload_model(model))
    told(
        answers,
        "is_model_loaded",
        [line.name for line in client.get_model_repository_index().models if line.state == "READY"],
    )
    told(answers, "load_model", client.load_model(model))
    told(answers, "is_model_ready_when_loaded", client.is_model_ready(model))
    try:
        client.infer(model, inputs[1:])
    except InferenceServerException as error:
        told(answers, "an_input_is_missing", [error.status(), error.message()])
    client.close()
    Path(answers_file).write_text(json.dumps(answers), encoding="utf-8")


def called_back(ask: Any) -> Any:
    results: queue.Queue[Any] = queue.Queue()
    ask(lambda result, error: results.put(error or result))
    result = results.get(timeout=120)
    if isinstance(result, Exception):
        raise result
    return result


def streamed(client: Any, model: str, inputs: list[Any]) -> Any:
    def ask(told: Any) -> None:
        client.start_stream(told)
        client.async_stream_infer(model, inputs)

    try:
        return called_back(ask)
    finally:
        client.stop_stream()


def tensors(cases: Any) -> list[Any]:
    made = []
    for tensor in cases["inputs"]:
        made.append(triton.InferInput(tensor["name"], tensor["shape"], tensor["datatype"]))
        array = np.array(tensor["data"], triton_to_np_dtype(tensor["datatype"])).reshape(tensor["shape"])
        made[-1].set_data_from_numpy(array)
    return made


def as_answer(result: Any, outputs: list[str]) -> dict[str, Any]:
    response = result.get_response()
    arrays = {name: result.as_numpy(name) for name in outputs}
    values = {
        name: [value.decode() for value in array.tolist()] if array.dtype.kind in "OS" else array.tolist()
        for name, array in arrays.items()
    }
    return {"version": response.model_version, "id": response.id, "outputs": values}


def told(answers: dict[str, Any], name: str, value: Any) -> None:
    answers[name] = value
    print(f"{name}: {json.dumps(value)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
