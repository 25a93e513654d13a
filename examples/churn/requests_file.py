"""Production traffic of the churn example as a file: who asks, and the body as an application sends it."""

from pathlib import Path
from typing import Any

from data import CUSTOMER

from podium_cli.columns import Column, json_row
from podium_cli.folder import read_package
from podium_crds.package import canonical_json


def production_requests(rows: Any, package: Path, path: Path) -> int:
    """Writes a JSON object a line, in the rows' order: `customer` for X-Customer-Id, `body` to be sent. Returns how many."""
    specs = read_package(package).descriptor.inputs
    columns = [Column(spec.name, spec.datatype, spec.nullable) for spec in specs]
    lines = []
    for position, customer in enumerate(rows[CUSTOMER]):
        values = json_row(rows, position, columns)
        inputs = [{"name": c.name, "shape": [1, 1], "datatype": c.datatype, "data": [values[c.name]]} for c in columns]
        body = {"id": f"{customer}-{position}", "inputs": inputs}
        lines.append(canonical_json({"customer": customer, "body": body}) + b"\n")
    path.write_bytes(b"".join(lines))
    return len(lines)
