"""What tritonclient's HTTP client asks, with its defaults and with what its parameters offer. Runs in a venv of its own."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, triton_to_np_dtype


def main(address: str, cases_file: str, answers_file: str) -> None:
    cases = json.loads(Path(cases_file).read_text(encoding="utf-8"))
    model = cases["model"]
    client = triton.InferenceServerClient(address, verbose=False)
    answers: dict[str, Any] = {}
    for name, asked in {
        "is_server_live": client.is_server_live,
        "is_server_ready": client.is_server_ready,
        "get_server_metadata": client.get_server_metadata,
        "get_model_repository_index": client.get_model_repository_index,
    }.items():
        told(answers, name, asked())
    told(answers, "is_model_ready", client.is_model_ready(model))
    told(answers, "is_model_ready_version", client.is_model_ready(model, cases["version"]))
    told(answers, "get_model_metadata", client.get_model_metadata(model))
    told(answers, "get_model_config", client.get_model_config(model))
    inputs = tensors(cases, binary=True)
    plain = tensors(cases, binary=False)
    outputs = [triton.InferRequestedOutput(name) for name in cases["outputs"]]
    in_json = [triton.InferRequestedOutput(name, binary_data=False) for name in cases["outputs"]]
    asks: dict[str, Any] = {
        "defaults": lambda: client.infer(model, inputs),
        "requested_outputs": lambda: client.infer(model, inputs, outputs=outputs, model_version=cases["version"]),
        "json_in_json_out": lambda: client.infer(model, plain, outputs=in_json),
        "json_in_binary_out": lambda: client.infer(model, plain),
        "one_of_each": lambda: client.infer(model, inputs, outputs=[outputs[0], in_json[1]]),
        "gzip": lambda: client.infer(
            model, inputs, request_compression_algorithm="gzip", response_compression_algorithm="gzip"
        ),
        "deflate": lambda: client.infer(
            model, plain, request_compression_algorithm="deflate", response_compression_algorithm="deflate"
        ),
        "parameters": lambda: client.infer(
            model,
            inputs,
            request_id="r-1",
            sequence_id=5,
            sequence_start=True,
            priority=1,
            timeout=5_000_000,
            parameters={"of the client": "its own"},
        ),
        "async_infer": lambda: client.async_infer(model, inputs).get_result(),
    }
    for name, ask in asks.items():
        told(answers, name, as_answer(ask(), cases["outputs"]))
    told(answers, "unload_model", client.unload_model(model))
    told(answers, "is_model_ready_when_unloaded", client.is_model_ready(model))
    told(answers, "load_model", client.load_model(model))
    told(answers, "is_model_ready_when_loaded", client.is_model_ready(model))
    try:
        client.infer(model, inputs[1:])
    except InferenceServerException as error:
        told(answers, "an_input_is_missing", [error.status(), error.message()])
    client.close()
    Path(answers_file).write_text(json.dumps(answers), encoding="utf-8")


def tensors(cases: Any, *, binary: bool) -> list[Any]:
    made = []
    for tensor in cases["inputs"]:
        made.append(triton.InferInput(tensor["name"], tensor["shape"], tensor["datatype"]))
        array = np.array(tensor["data"], triton_to_np_dtype(tensor["datatype"])).reshape(tensor["shape"])
        made[-1].set_data_from_numpy(array, binary_data=binary)
    return made


def as_answer(result: Any, outputs: list[str]) -> dict[str, Any]:
    response = result.get_response()
    arrays = {name: result.as_numpy(name) for name in outputs}
    texts = {
        name: [value.decode() if isinstance(value, bytes) else value for value in array.tolist()]
        for name, array in arrays.items()
        if array.dtype.kind in "OS"
    }
    numbers = {name: array.tolist() for name, array in arrays.items() if name not in texts}
    return {"version": response["model_version"], "id": response.get("id", ""), "outputs": numbers | texts}


def told(answers: dict[str, Any], name: str, value: Any) -> None:
    answers[name] = value
    print(f"{name}: {json.dumps(value)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
