"""Files of requests for the load generator, made when first asked for: a form, rows per request, an output, versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from bench.serving.generator import Load
from bench.serving.messages import MODEL, Expected, binary_body, grpc_body, json_body, line, named_body
from bench.serving.models import Models, Rows

PATH = f"/v2/models/{MODEL}/infer"
METHOD = "/inference.GRPCInferenceService/ModelInfer"
REQUESTS = 400
_NEAR_HALF = 2e-3
"""Rows whose label a rounding could flip are not asked."""


@dataclass(frozen=True)
class Asked:
    folder: Path
    models: Models

    @cached_property
    def rows(self) -> Rows:
        rows = self.models.rows()
        probability = self.models.version("rf-1").probabilities(rows)[:, 1]
        sure: Rows = rows[np.abs(probability - 0.5) > _NEAR_HALF]
        return sure

    def file(self, form: str, rows: int, output: str, versions: Sequence[str]) -> Path:
        """`form` is json, named, binary or grpc. Answers of each of `versions` are known by name; the first one's also
        without, for servers that say no version."""
        path = self.folder / f"asked-{form}-{rows}-{output or 'any'}-{'-'.join(versions)}.jsonl"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            lines = self._lines(form, rows, output, versions)
            path.write_bytes(b"\n".join(lines))
        return path

    def _lines(self, form: str, count: int, output: str, versions: Sequence[str]) -> list[bytes]:
        requests = REQUESTS if count == 1 else REQUESTS // 4
        rng = np.random.default_rng(2)
        chosen = [rng.permutation(len(self.rows))[:count] for _ in range(requests)]
        if count == 1:  # neighbours must not have the same answer
            chosen = list(rng.permutation(len(self.rows))[:requests, None])
        answers = {name: self.models.version(name).probabilities(self.rows) for name in versions}
        lines = []
        for number, at in enumerate(chosen):
            rows = self.rows[at]
            expected: dict[str, Sequence[float]] = {name: _expected(answers[name][at], output) for name in versions}
            lines.append(_line(form, number, rows, {"": expected[versions[0]], **expected}))
        return lines

    def load(self, form: str, rows: int, address: str, output: str, versions: Sequence[str] = ("rf-1",)) -> Load:
        """What clients of one server ask. Without an output only the status is looked at."""
        return Load(
            address=address,
            path=METHOD if form == "grpc" else PATH,
            bodies=self.file(form, rows, output, versions),
            output=output,
            form=("json" if form == "named" else form) if output else "",
            protocol="grpc" if form == "grpc" else "http",
        )


def _expected(probabilities: Rows, output: str) -> Sequence[float]:
    said = probabilities.argmax(axis=1) if output == "predict" else probabilities.ravel()
    return [float(number) for number in said]


def _line(form: str, number: int, rows: Rows, expected: Expected) -> bytes:
    match form:
        case "json":
            return line(json_body(number, rows), expected)
        case "named":
            return line(named_body(number, rows), expected)
        case "binary":
            body, headers = binary_body(number, rows)
            return line(body, expected, headers)
        case "grpc":
            return line(grpc_body(number, rows), expected)
    raise ValueError(f"there is no form {form!r}; there are json, named, binary and grpc")
