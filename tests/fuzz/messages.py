"""Good requests to start from: every path and dialect of the public port, for the weighted sum of two inputs."""

import gzip
import json
import struct
from typing import Any

MODEL = "sum"
INFER = f"/v2/models/{MODEL}/infer"


def request(path: str, body: bytes, method: str = "POST", **headers: str) -> bytes:
    """Raw HTTP/1.1 with a right Content-Length. Header names are written with underscores."""
    lines = [f"{method} {path} HTTP/1.1", "Host: podium"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body or method == "POST":
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def tensor(name: str, data: Any, rows: int = 1, **more: Any) -> dict[str, Any]:
    return {"name": name, "datatype": "FP32", "shape": [rows, 1], "data": data, **more}


def good(left: float, right: float) -> bytes:
    """A request that answers left + right."""
    return request(INFER, _json({"inputs": [tensor("x0", [left]), tensor("x1", [right])]}), Content_Type="application/json")


def binary(left: float, right: float) -> bytes:
    inputs = [
        {"name": name, "datatype": "FP32", "shape": [1, 1], "parameters": {"binary_data_size": 4}} for name in ("x0", "x1")
    ]
    head = _json({"id": "b", "inputs": inputs, "parameters": {"binary_data_output": True}})
    body = head + struct.pack("<ff", left, right)
    return request(INFER, body, Inference_Header_Content_Length=str(len(head)))


def seeds() -> list[bytes]:
    nested = _json({"id": "n", "inputs": [tensor("x0", [[1], [2], [3]], 3), tensor("x1", [[1.5], [2.5], [3.5]], 3)]})
    wanted = {"inputs": [tensor("x0", [1]), tensor("x1", [2])], "outputs": [{"name": "score"}], "parameters": {"p": 1}}
    chunked = good(1, 2).replace(b"Content-Length", b"X-Length")
    head, _, body = chunked.partition(b"\r\n\r\n")
    chunks = b"%s\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (head, len(body), body)
    return [
        good(1, 2),
        good(0.25, -7e8),
        binary(1, 2),
        request(INFER, nested, X_Request_Id="r-1", Podium_Timeout_Milliseconds="900"),
        request(f"/v2/models/{MODEL}/versions/1/infer", _json(wanted), Accept="application/json"),
        request(INFER, gzip.compress(nested, 1), Content_Encoding="gzip"),
        chunks,
        good(1, 2) + good(3, 4),
        request(f"/v1/models/{MODEL}:predict", _json({"instances": [{"x0": 1.0, "x1": 2.0}]})),
        request("/score", _json({"x0": 1.5, "x1": 2})),
        request("/score", _json([{"x0": 1.5, "x1": 2}, {"x0": None, "x1": 2}])),
        request("/explain", _json({"x0": 1.5, "x1": 2})),
        request("/v2/repository/index", b"{}"),
        request(f"/v2/models/{MODEL}", b"", "GET"),
        request("/v2/health/ready", b"", "GET"),
        request("/openapi.json", b"", "GET"),
    ]


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()
