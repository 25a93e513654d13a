"""What kserve's InferenceRESTClient asks in both protocols. Runs in a venv of its own."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferOutput, InferRequest, RESTConfig
from kserve.utils.numpy_codec import to_np_dtype


def main(address: str, cases_file: str, answers_file: str) -> None:
    cases = json.loads(Path(cases_file).read_text(encoding="utf-8"))
    answers: dict[str, Any] = {}
    asyncio.run(ask(f"http://{address}", cases, answers))
    Path(answers_file).write_text(json.dumps(answers), encoding="utf-8")


async def ask(url: str, cases: Any, answers: dict[str, Any]) -> None:
    await first_protocol(url, cases, answers)
    await second_protocol(url, cases, answers)


async def first_protocol(url: str, cases: Any, answers: dict[str, Any]) -> None:
    """The client's default."""
    model = cases["model"]
    async with InferenceRESTClient() as client:
        told(answers, "v1 is_server_live", await client.is_server_live(url))
        told(answers, "v1 is_model_ready", await client.is_model_ready(url, model))
        told(answers, "v1 infer", await client.infer(url, {"instances": cases["instances"]}, model_name=model))
        try:
            await client.infer(url, {"instances": [{}]}, model_name=model)
        except httpx.HTTPStatusError as error:
            told(answers, "v1 an_input_is_missing", [error.response.status_code, str(error)])


async def second_protocol(url: str, cases: Any, answers: dict[str, Any]) -> None:
    model = cases["model"]
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        told(answers, "v2 is_server_live", await client.is_server_live(url))
        told(answers, "v2 is_server_ready", await client.is_server_ready(url))
        told(answers, "v2 is_model_ready", await client.is_model_ready(url, model))
        told(answers, "v2 is_model_ready_of_no_model", await client.is_model_ready(url, "nowhere"))
        plain = {"inputs": cases["inputs"]}
        told(answers, "v2 infer_dict", as_answer(await client.infer(url, plain, model_name=model)))
        for binary in (True, False):
            request = InferRequest(model, tensors(cases, binary=binary), request_id="r-1")
            name = "v2 infer_binary" if binary else "v2 infer_json"
            told(answers, name, as_answer(await client.infer(url, request, model_name=model)))


def tensors(cases: Any, *, binary: bool) -> list[Any]:
    made = []
    for tensor in cases["inputs"]:
        made.append(InferInput(tensor["name"], tensor["shape"], tensor["datatype"]))
        array = np.array(tensor["data"], to_np_dtype(tensor["datatype"])).reshape(tensor["shape"])
        made[-1].set_data_from_numpy(array, binary_data=binary)
    return made


def as_answer(response: Any) -> dict[str, Any]:
    return {
        "version": response.model_version,
        "id": response.id,
        "outputs": {output.name: values(output) for output in response.outputs},
    }


def values(output: InferOutput) -> list[Any]:
    listed: list[Any] = output.as_numpy().tolist()
    return [value.decode() if isinstance(value, bytes) else value for value in listed]


def told(answers: dict[str, Any], name: str, value: Any) -> None:
    answers[name] = value
    print(f"{name}: {json.dumps(value)}")


if __name__ == "__main__":
    main(*sys.argv[1:])
