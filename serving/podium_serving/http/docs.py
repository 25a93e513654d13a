"""The /docs page: this model's columns, an example that answers, and a form to try it. Works offline. Pure."""

import html
import json
from importlib.resources import files
from typing import Any

from podium_crds.package import Descriptor, InputSpec, OutputSpec
from podium_serving.http.openapi import example_request

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"
)

_TEMPLATE = files("podium_serving.http").joinpath("docs.html").read_text(encoding="utf-8")
_SHOWN_CATEGORIES = 12


def docs_page(descriptor: Descriptor, model: str, version: str) -> str:
    """The page for `model` while `version` serves it. Every text of the package is escaped."""
    parts = {
        "model": html.escape(model),
        "version": html.escape(version),
        "documentation": f"<pre>{html.escape(descriptor.documentation)}</pre>" if descriptor.documentation else "",
        "training": _training(descriptor),
        "inputs": "".join(_input_row(spec) for spec in descriptor.inputs),
        "outputs": "".join(_output_row(spec) for spec in descriptor.outputs),
    }
    page = _TEMPLATE
    for name, text in parts.items():
        page = page.replace("{% " + name + " %}", text.replace("{%", "&#123;%"))  # a text of the package holds no marker
    script = _script_json({"path": f"/v2/models/{model}/infer", "example": example_request(descriptor)})
    return page.replace("{% page %}", script)


def _training(descriptor: Descriptor) -> str:
    training = descriptor.training
    facts = [f"{training.framework} {training.framework_version}".strip()] if training.framework else []
    facts += [f"{training.rows:,} rows"] if training.rows else []
    facts += [f"{name} {value:.4g}" for name, value in training.metrics.items()]
    return f"<p class=quiet>Trained with {html.escape(', '.join(facts))}.</p>" if facts else ""


def _input_row(spec: InputSpec) -> str:
    seen = ""
    if spec.categories:
        more = len(spec.categories) - _SHOWN_CATEGORIES
        seen = ", ".join(spec.categories[:_SHOWN_CATEGORIES]) + (f" and {more} more" if more > 0 else "")
    elif spec.minimum is not None or spec.maximum is not None:
        low = "…" if spec.minimum is None else f"{spec.minimum:g}"
        high = "…" if spec.maximum is None else f"{spec.maximum:g}"
        seen = f"{low} to {high}"
    example = "" if spec.example is None else json.dumps(spec.example, ensure_ascii=False)
    return _row(spec.name, spec.datatype, str(spec.shape), "yes" if spec.nullable else "", seen, example[:80])


def _output_row(spec: OutputSpec) -> str:
    kind = "" if spec.kind == "Raw" else spec.kind
    return _row(spec.name, spec.datatype, str(spec.shape), kind, ", ".join((spec.classes or [])[:_SHOWN_CATEGORIES]))


def _row(*cells: str) -> str:
    return "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>"


def _script_json(value: Any) -> str:
    """JSON inside a script element: no `<` of the package can end it."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
