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

from podium_crds.kinds import KINDS, Column, Kind
from podium_crds.names import GROUP, VERSION
from podium_crds.rule import Rule, text_rule
from podium_crds.rules import LIST_KEYS, LIST_RULES, ROOT_RULES, RULES
from podium_crds.v1alpha1.meta import LIST_TYPE, Kubernetes

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
    "$ref", "additionalProperties", "anyOf", "const", "default", "description", "items", LIST_TYPE, "pattern", "properties",
    "propertyNames", "required", "says", "title", "unless",
}  # fmt: skip


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
        extra: Schema = {"x-kubernetes-list-type": schema.get(LIST_TYPE, "atomic")}
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
