"""The CRD YAML and the types say the same, and nothing that a type says is lost on the way."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from podium_crds import generate
from podium_crds.kinds import KINDS, Kind
from podium_crds.rule import Rule
from podium_crds.v1alpha1.meta import Kubernetes, text

REPOSITORY = Path(__file__).parents[3]


@pytest.mark.parametrize("folder", ["crds", "charts/podium/files/crds"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_yaml_in_the_repository_is_what_the_types_say(kind: Kind, folder: str) -> None:
    written = (REPOSITORY / folder / kind.file_name).read_text(encoding="utf-8")
    assert written == generate.rendered(kind), "the types changed: run `make generate`"


@pytest.mark.parametrize("folder", ["crds", "charts/podium/files/crds"])
def test_no_yaml_of_a_kind_that_is_gone_lies_about(folder: str) -> None:
    names = {path.name for path in (REPOSITORY / folder).glob("*.yaml")}
    assert names == {"podium.dev_modelversions.yaml", "podium.dev_modeldeployments.yaml"}


class Part(Kubernetes):
    """A part
    on two lines."""

    size: Annotated[int, Field(ge=1, le=9)] = 3
    """In metres."""


class Whole(Kubernetes):
    part: Part = Part()
    other_part: Part | None = None
    names: Annotated[tuple[Annotated[str, Field(max_length=5)], ...], Field(max_length=2)] = ()
    word: Annotated[str, text("^[a-z]+$", "is no word: use a to z", max_length=7)] | None = None


def test_a_type_becomes_a_structural_schema() -> None:
    part = {
        "description": "A part on two lines.",
        "type": "object",
        "properties": {
            "size": {
                "description": "In metres.",
                "type": "integer",
                "minimum": 1,
                "maximum": 9,
                "format": "int64",
                "default": 3,
            }
        },
    }
    assert generate.structural(Whole) == {
        "type": "object",
        "properties": {
            "part": part | {"default": {"size": 3}},
            "otherPart": part,
            "names": {
                "type": "array",
                "maxItems": 2,
                "items": {"type": "string", "maxLength": 5},
                "x-kubernetes-list-type": "atomic",
            },
            "word": {
                "type": "string",
                "maxLength": 7,
                "x-kubernetes-validations": [
                    {
                        "rule": "self.matches(r'^[a-z]+$')",
                        "messageExpression": '"\'" + self + "\' is no word: use a to z"',
                        "reason": "FieldValueInvalid",
                    }
                ],
            },
        },
    }


class UnboundedString(Kubernetes):
    a: str


class UnboundedList(Kubernetes):
    a: list[int]


class UnboundedMap(Kubernetes):
    a: dict[Annotated[str, Field(max_length=3)], Annotated[str, Field(max_length=3)]]


class UnboundedKeys(Kubernetes):
    a: Annotated[dict[str, Annotated[str, Field(max_length=3)]], Field(max_length=3)]


class SilentPattern(Kubernetes):
    a: Annotated[str, Field(max_length=3, pattern="^a$")]


class Union(Kubernetes):
    a: int | Annotated[str, Field(max_length=3)]


class Float(Kubernetes):
    a: float


class Boolean(Kubernetes):
    a: bool


class Multiple(Kubernetes):
    a: Annotated[int, Field(multiple_of=2)]


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (UnboundedString, "UnboundedString.a: a string needs max_length or an enum"),
        (UnboundedList, "UnboundedList.a: a list needs max_length"),
        (UnboundedMap, "UnboundedMap.a: a map needs max_length"),
        (UnboundedKeys, "UnboundedKeys.a: the keys of a map need max_length"),
        (SilentPattern, "SilentPattern.a: a pattern needs the sentence"),
        (Union, "Union.a: a CRD has no unions"),
        (Float, "Float.a: floats differ between clients"),
        (Boolean, "Boolean.a: an enum says more than a boolean"),
        (Multiple, r"Multiple.a: a CRD cannot say \['multipleOf'\]"),
    ],
)
def test_what_a_crd_cannot_say_is_refused_with_its_path(model: type[Kubernetes], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        generate.structural(model)


def schemas(schema: Any, path: str) -> list[tuple[str, dict[str, Any]]]:
    found = [(path, schema)]
    for name, field in schema.get("properties", {}).items():
        found += schemas(field, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        found += schemas(schema[inner], f"{path}.{inner}") if inner in schema else []
    return found


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_field_of_a_spec_that_has_a_meaning_beyond_its_name_is_explained(kind: Kind) -> None:
    spec = generate.structural(kind.spec)
    silent = [path for path, schema in schemas(spec, "spec") if schema["type"] == "object" and "description" not in schema]
    assert [path for path in silent if not path.endswith("nodeSelector")] == []


def test_a_message_with_holes_becomes_an_expression() -> None:
    assert Rule("true", "a '{self.b}' c {self.d}").schema()["messageExpression"] == '"a \'" + self.b + "\' c " + self.d'
    assert Rule("true", "plain").schema() == {"rule": "true", "message": "plain", "reason": "FieldValueInvalid"}
