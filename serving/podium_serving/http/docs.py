"""The /docs page: a form to try the model, its columns, and every way to ask it. Works offline. Pure."""

import html
import json
import math
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from podium_crds.package import Descriptor, InputSpec, OutputSpec
from podium_serving.http.endpoint import Endpoint
from podium_serving.http.examples import example_inputs, example_row

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; img-src data:"
)

_TEMPLATE = files("podium_serving.http").joinpath("docs.html").read_text(encoding="utf-8")
_SHOWN_CATEGORIES = 12
_CHOSEN_CATEGORIES = 500
"""A list to choose from is no help when it is longer: then a text field takes the value."""
_HEADERS = {"Open": "", "ApiKey": "X-Api-Key", "Jwt": "Authorization"}


def docs_page(endpoint: Endpoint) -> str:
    """The page while the endpoint's version serves. Every text of the package is escaped."""
    descriptor = endpoint.descriptor
    documentation = descriptor.documentation
    parts = {
        "root": endpoint.root,
        "model": html.escape(endpoint.model),
        "version": html.escape(endpoint.version),
        "documentation": f"<pre>{html.escape(documentation)}</pre>" if documentation else "",
        "training": _training(descriptor),
        "inputs": "".join(_input_row(spec) for spec in descriptor.inputs),
        "outputs": "".join(_output_row(spec) for spec in descriptor.outputs),
        "authentication": _authentication(endpoint),
        "grpc": _grpc(endpoint),
    }
    page = _TEMPLATE
    for name, text in parts.items():
        page = page.replace("{% " + name + " %}", text.replace("{%", "&#123;%"))  # a text of the package holds no marker
    return page.replace("{% page %}", _script_json(_page(endpoint)))


def list_page(models: list[str]) -> str:
    """Where /docs has several models to show: a link to the page of each."""
    items = "".join(f'<li><a href="models/{quote(model)}/docs">{html.escape(model)}</a>' for model in sorted(models))
    said = f"<ul>{items}</ul>" if items else "<p>No model is loaded.</p>"
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Models · Podium</title><style>'
        ":root { color-scheme: light dark } body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem }"
        f"</style><h1>Models</h1>{said}"
    )


def _page(endpoint: Endpoint) -> dict[str, Any]:
    """What the page's script works with."""
    descriptor = endpoint.descriptor
    row = example_row(descriptor, endpoint.golden)
    return {
        "model": endpoint.model,
        "root": endpoint.root,
        "score": endpoint.score_path,
        "explain": endpoint.explain_path if endpoint.golden else None,
        "infer": endpoint.infer_path,
        "predict": endpoint.predict_path,
        "header": _HEADERS[endpoint.access.authentication],
        "columns": [_column(spec) for spec in descriptor.inputs],
        "example": row,
        "inputs": example_inputs(descriptor, row),
    }


def _column(spec: InputSpec) -> dict[str, Any]:
    tail = spec.shape[1:]
    kind = {"BYTES": "text", "BOOL": "boolean"}.get(spec.datatype, "number" if spec.datatype.startswith("FP") else "integer")
    if math.prod(tail) != 1 or -1 in tail:
        kind = "list"
    categories = spec.categories if spec.categories and len(spec.categories) <= _CHOSEN_CATEGORIES else None
    return {"name": spec.name, "kind": kind, "nullable": spec.nullable, "categories": categories, "hint": _seen(spec, 0)}


def _training(descriptor: Descriptor) -> str:
    training = descriptor.training
    facts = [f"{training.framework} {training.framework_version}".strip()] if training.framework else []
    facts += [f"{training.rows:,} rows"] if training.rows else []
    facts += [f"{name} {value:.4g}" for name, value in training.metrics.items()]
    return f"<p class=quiet>Trained with {html.escape(', '.join(facts))}.</p>" if facts else ""


def _authentication(endpoint: Endpoint) -> str:
    header = _HEADERS[endpoint.access.authentication]
    if not header:
        return ""
    said = "an API key" if header == "X-Api-Key" else "a token of your identity provider, after the word Bearer,"
    return f"<p>Every request needs {said} in the header <code>{header}</code>. The form sends what you put in.</p>"


def _grpc(endpoint: Endpoint) -> str:
    access = endpoint.access
    if access.grpc_port is None:
        return ""
    plain = "" if access.tls else "-plaintext "
    return (
        f"<h3>gRPC</h3><p>Port {access.grpc_port} speaks <code>inference.GRPCInferenceService</code> of the Open Inference "
        f"Protocol, with health and reflection:</p><pre>grpcurl {plain}HOST:{access.grpc_port} list</pre>"
    )


def _input_row(spec: InputSpec) -> str:
    example = "" if spec.example is None else json.dumps(spec.example, ensure_ascii=False)
    seen = _seen(spec, _SHOWN_CATEGORIES)
    return _row(spec.name, spec.datatype, str(spec.shape), "yes" if spec.nullable else "", seen, example[:80])


def _seen(spec: InputSpec, categories: int) -> str:
    """What training saw, with at most so many categories."""
    if spec.categories:
        more = len(spec.categories) - categories
        named = ", ".join(spec.categories[:categories])
        return named + (f" and {more} more" if more > 0 and named else "")
    if spec.minimum is None and spec.maximum is None:
        return ""
    low = "…" if spec.minimum is None else f"{spec.minimum:g}"
    return f"{low} to " + ("…" if spec.maximum is None else f"{spec.maximum:g}")


def _output_row(spec: OutputSpec) -> str:
    kind = "" if spec.kind == "Raw" else spec.kind
    return _row(spec.name, spec.datatype, str(spec.shape), kind, ", ".join((spec.classes or [])[:_SHOWN_CATEGORIES]))


def _row(name: str, *cells: str) -> str:
    head = f"<th scope=row>{html.escape(name)}"
    return f"<tr>{head}" + "".join(f"<td>{html.escape(cell)}" for cell in cells) + "</tr>"


def _script_json(value: Any) -> str:
    """JSON inside a script element: no `<` of the package can end it."""
    return json.dumps(value, ensure_ascii=False).replace("<", "\\u003c")
