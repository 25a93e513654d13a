"""How our converters write nodes: constants and nodes under names that are unique in the graph that skl2onnx is building."""

from typing import Any

import numpy as np
from onnx import TensorProto

_Array = np.ndarray[Any, np.dtype[Any]]


class GraphBuilder:
    """Adds nodes under names that are unique in the graph being converted."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container

    def constant(self, value: _Array) -> str:
        name = self._scope.get_unique_variable_name("podium_constant")
        types = {"f": TensorProto.DOUBLE, "i": TensorProto.INT64, "O": TensorProto.STRING}
        flat = [str(v).encode() for v in value.ravel()] if value.dtype.kind == "O" else value.ravel().tolist()
        self._container.add_initializer(name, types[value.dtype.kind], list(value.shape), flat)
        return str(name)

    def node(self, op: str, *inputs: str, output: str | None = None, domain: str = "", **attributes: Any) -> str:
        name = output or self._scope.get_unique_variable_name(f"podium_{op.lower()}")
        version = self._container.target_opset_any_domain(domain)
        self._container.add_node(op, list(inputs), [name], op_domain=domain, op_version=version, **attributes)
        return str(name)

    def column(self, variable: Any, index: int) -> str:
        """Column `index` of a matrix, as shape [-1, 1]."""
        if variable.type.shape[1] == 1:
            return str(variable.full_name)
        return self.node("Gather", variable.full_name, self.constant(np.array([index])), axis=1)
