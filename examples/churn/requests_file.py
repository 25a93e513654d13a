"""Production traffic of the churn example as a file: who asks, and the body as an application sends it."""

from pathlib import Path

from data import CUSTOMER

from podium_cli.columns import Column, json_row
from podium_cli.folder import read_package
from podium_crds.package import canonical_json


def production_requests(rows, package: Path, path: Path) -> int:
    """Writes one JSON object a line, in the rows' order: `customer` for X-Customer-Id, `body` for POST …/infer. Returns how many."""
    inputs = read_package(package).descriptor.inputs
    columns = [Column(spec.name, spec.datatype, spec.nullable) for spec in inputs]
    lines = []
    for position, customer in enumerate(rows[CUSTOMER]):
        values = json_row(rows, position, columns)
        tensors = [
            {"name": column.name, "shape": [1, 1], "datatype": column.datatype, "data": [values[column.name]]} for column in columns
        ]
        lines.append(canonical_json({"customer": customer, "body": {"id": f"{customer}-{position}", "inputs": tensors}}) + b"\n")
    path.write_bytes(b"".join(lines))
    return len(lines)
