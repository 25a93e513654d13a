"""Writes the CRD YAML from the types: `python -m podium_crds.generate FOLDER...`, which `make generate` runs.

The API server takes less than pydantic's JSON schema says (no $ref, no null unions, no propertyNames) and more (list-maps,
CEL). What cannot be carried over raises, with its path: a keyword that is silently dropped is a promise that nobody keeps.
So does a string, list or map without a bound, because a CEL rule over it costs too much and an object with it grows too big.
"""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from podium_crds.names import GROUP, VERSION
from podium_crds.rule import Rule, text_rule
from podium_crds.rules import LIST_KEYS, LIST_RULES, ROOT_RULES, RULES
from podium_crds.v1alpha1.meta import Kubernetes
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec, ModelDeploymentStatus
from podium_crds.v1alpha1.model_version import ModelVersionSpec, ModelVersionStatus

Schema = dict[str, Any]

_HEADER = "# Written by `make generate` from crds/podium_crds: change the types and rules there, not this file.\n"
_COPIED = (
    "type",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "maxProperties",
    "minProperties",
)
_HANDLED = {
    "$ref", "additionalProperties", "anyOf", "const", "default", "description", "items", "pattern", "properties",
    "propertyNames", "required", "says", "title", "unless",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A printer column. Priority 1 shows with `kubectl get -o wide` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    priority: int = 0


@dataclass(frozen=True)
class Kind:
    kind: str
    plural: str
    short: str
    description: str
    spec: type[Kubernetes]
    status: type[Kubernetes]
    columns: tuple[Column, ...]

    @property
    def file_name(self) -> str:
        return f"{GROUP}_{self.plural}.yaml"


_READY = Column("Ready", '.status.conditions[?(@.type=="Ready")].status', "Whether it does what the spec asks for.")
_REASON = Column("Reason", ".status.reason", "Why it is ready or not: the reason of the condition Ready.")
_AGE = Column("Age", ".metadata.creationTimestamp", "Time since it was made.", type="date")

KINDS = (
    Kind(
        kind="ModelVersion",
        plural="modelversions",
        short="mv",
        description="An immutable record of one packaged model: where it lies, what it is, and what verification found.",
        spec=ModelVersionSpec,
        status=ModelVersionStatus,
        columns=(
            Column("Image", ".spec.image.type", "Generic, or Built for this version."),
            _READY,
            _REASON,
            Column("Used by", ".status.usedBy", "ModelDeployments that name it.", priority=1),
            Column("Digest", ".spec.artifact.digest", "The version's identity.", priority=1),
            _AGE,
        ),
    ),
    Kind(
        kind="ModelDeployment",
        plural="modeldeployments",
        short="mdep",
        description="A named endpoint: its champion, its challengers, and how traffic moves between them.",
        spec=ModelDeploymentSpec,
        status=ModelDeploymentStatus,
        columns=(
            Column("Champion", ".spec.champion.modelVersionRef.name", "The version that is asked for."),
            Column("Version", ".status.champion.modelVersion", "The version that answers."),
            Column("Challengers", ".status.challengerSummary", "Who is measured against the champion."),
            Column("Traffic", ".status.trafficSummary", "Who answered in the last minute, in percent."),
            _READY,
            _REASON,
            Column(
                "Replicas", ".status.champion.replicas", "Pods that answer with the champion.", type="integer", priority=1
            ),
            Column("Epoch", ".status.epoch", "Counts the committed plans.", type="integer", priority=1),
            Column("URL", ".status.endpoint.url", "Where to ask.", priority=1),
            _AGE,
        ),
    ),
)


def custom_resource_definition(kind: Kind) -> Schema:
    """The manifest of a kind's CRD."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": [kind.short],
                "categories": ["podium"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_printer_column(column) for column in kind.columns],
                    "schema": {"openAPIV3Schema": _root(kind)},
                }
            ],
        },
    }


def _printer_column(column: Column) -> Schema:
    shown = {"name": column.name, "type": column.type, "jsonPath": column.path, "description": column.description}
    return {**shown, "priority": column.priority} if column.priority else shown


def _root(kind: Kind) -> Schema:
    return {
        "description": kind.description,
        "type": "object",
        "required": ["metadata", "spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            # Restates a bound of every Kubernetes name: rules on the name are costed by it.
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 253}}},
            "spec": structural(kind.spec),
            "status": structural(kind.status),
        },
        "x-kubernetes-validations": [rule.schema() for rule in ROOT_RULES[kind.kind]],
    }


def structural(model: type[Kubernetes]) -> Schema:
    """The structural schema of a type. Raises ValueError, with the field's path, on what the API server cannot express."""
    schema = model.model_json_schema(by_alias=True)
    types = {found.__name__: found for found in _reachable(Kubernetes)}
    return _Translation(schema.get("$defs", {}), types).translate({**schema, "$type": model.__name__}, model.__name__)


def _reachable(parent: type[Kubernetes]) -> Iterator[type[Kubernetes]]:
    for child in parent.__subclasses__():
        yield child
        yield from _reachable(child)


@dataclass(frozen=True)
class _Translation:
    definitions: Mapping[str, Schema]
    types: Mapping[str, type[Kubernetes]]

    def translate(self, schema: Schema, path: str) -> Schema:
        schema = self._resolved(schema, path)
        name = schema.pop("$type", "")
        unknown = set(schema) - set(_COPIED) - _HANDLED - {"$defs"}
        if unknown:
            raise ValueError(f"{path}: a CRD cannot say {sorted(unknown)}")
        found: Schema = {"description": _one_paragraph(schema["description"])} if "description" in schema else {}
        found |= {keyword: schema[keyword] for keyword in _COPIED if keyword in schema}
        if "const" in schema:
            found["enum"] = [schema["const"]]
        found |= getattr(self, f"_{found['type']}")(schema, found, path)
        rules = [*_text_rules(schema), *(RULES.get(self.types[name], ()) if name else ())]
        if rules:
            found.setdefault("x-kubernetes-validations", []).extend(rule.schema() for rule in rules)
        return found | _default(schema.get("default"), found)

    def _resolved(self, schema: Schema, path: str) -> Schema:
        """References replaced by what they name, and `T | None` by T: absent is the only null that Kubernetes knows."""
        if "anyOf" in schema:
            alternatives = [option for option in schema["anyOf"] if option != {"type": "null"}]
            if len(alternatives) != 1:
                raise ValueError(f"{path}: a CRD has no unions; give it a `type` and optional fields")
            schema = {**alternatives[0], **{key: value for key, value in schema.items() if key != "anyOf"}}
        if "$ref" in schema:
            name = schema["$ref"].rsplit("/", 1)[-1]
            own = {key: value for key, value in schema.items() if key != "$ref"}
            return {**self.definitions[name], **own, "$type": name}
        return schema

    def _object(self, schema: Schema, found: Schema, path: str) -> Schema:
        if "properties" not in schema:
            return self._map(schema, found, path)
        properties = {key: self.translate(value, f"{path}.{key}") for key, value in schema["properties"].items()}
        required = {"required": schema["required"]} if schema.get("required") else {}
        return required | {"properties": properties}

    def _map(self, schema: Schema, found: Schema, path: str) -> Schema:
        if "maxProperties" not in found:
            raise ValueError(f"{path}: a map needs max_length, the number of its keys")
        longest = schema.get("propertyNames", {}).get("maxLength")
        if longest is None:
            raise ValueError(f"{path}: the keys of a map need max_length")
        says = Rule(f"self.all(key, size(key) <= {longest})", f"a key here has at most {longest} characters")
        values = self.translate(schema["additionalProperties"], f"{path}.*")
        return {"additionalProperties": values, "x-kubernetes-validations": [says.schema()]}

    def _array(self, schema: Schema, found: Schema, path: str) -> Schema:
        if "maxItems" not in found:
            raise ValueError(f"{path}: a list needs max_length")
        item_type = self.types.get(schema["items"].get("$ref", "").rsplit("/", 1)[-1])
        items = self.translate(schema["items"], f"{path}[]")
        extra: Schema = {"x-kubernetes-list-type": "atomic"}
        if item_type and item_type in LIST_KEYS:
            extra = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [LIST_KEYS[item_type]]}
        rules = LIST_RULES.get(item_type, ()) if item_type else ()
        return {"items": items} | extra | ({"x-kubernetes-validations": [rule.schema() for rule in rules]} if rules else {})

    def _string(self, schema: Schema, found: Schema, path: str) -> Schema:
        if "maxLength" not in found and "enum" not in found:
            raise ValueError(f"{path}: a string needs max_length or an enum")
        if "pattern" in schema and "says" not in schema:
            raise ValueError(f"{path}: a pattern needs the sentence that people read: make the type with meta.text")
        return {}

    def _integer(self, schema: Schema, found: Schema, path: str) -> Schema:
        return {"format": "int64"}

    def _boolean(self, schema: Schema, found: Schema, path: str) -> Schema:
        raise ValueError(f"{path}: an enum says more than a boolean and can grow")

    def _number(self, schema: Schema, found: Schema, path: str) -> Schema:
        raise ValueError(f"{path}: floats differ between clients; write a fraction as a string")


def _text_rules(schema: Schema) -> list[Rule]:
    if "pattern" not in schema:
        return []
    return [text_rule(schema["pattern"], schema["says"], schema.get("unless"))]


def _default(value: Any, found: Schema) -> Schema:
    """Defaults that say something. An object's is made of its fields' defaults; empty values stay absent."""
    if found["type"] == "object" and value is not None:
        value = {key: field["default"] for key, field in found.get("properties", {}).items() if "default" in field}
    return {} if value in (None, "", [], {}) else {"default": value}


def _one_paragraph(description: str) -> str:
    return " ".join(description.split())


class _Plain(yaml.SafeDumper):
    """Writes equal parts twice: anchors are hard on readers."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def rendered(kind: Kind) -> str:
    """The YAML file of a kind."""
    manifest = custom_resource_definition(kind)
    return _HEADER + yaml.dump(manifest, Dumper=_Plain, sort_keys=False, width=125, allow_unicode=True)


def main(folders: list[str]) -> None:
    for folder in folders:
        Path(folder).mkdir(parents=True, exist_ok=True)
        for kind in KINDS:
            Path(folder, kind.file_name).write_text(rendered(kind), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
