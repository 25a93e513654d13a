"""What a team writes in an afternoon: FastAPI, a pydantic model of the request, one ONNX Runtime session.

python naive_fastapi.py PORT MODEL.onnx
"""

import sys
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Tensor(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    data: list[float]


class InferRequest(BaseModel):
    id: str | None = None
    inputs: list[Tensor]


def application(model_file: str) -> FastAPI:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model_file, options)
    app = FastAPI()

    @app.post("/v2/models/bench/infer")
    async def infer(request: InferRequest) -> dict[str, Any]:
        tensor = request.inputs[0]
        rows = np.array(tensor.data, dtype=np.float32).reshape(tensor.shape)
        label, probabilities = session.run(None, {"x": rows})
        return {
            "model_name": "bench",
            "id": request.id,
            "outputs": [
                {"name": "label", "datatype": "INT64", "shape": list(label.shape), "data": label.tolist()},
                {
                    "name": "probabilities",
                    "datatype": "FP32",
                    "shape": list(probabilities.shape),
                    "data": probabilities.ravel().tolist(),
                },
            ],
        }

    return app


if __name__ == "__main__":
    uvicorn.run(application(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
