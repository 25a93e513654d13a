"""What all kinds share: camel-cased models that forbid unknown fields, bounded strings, conditions, references.

A pattern tells a machine what fits; `text` couples it with the sentence that tells a person. The generator writes both into
one CEL rule, because the API server's own answer to a broken pattern is the pattern.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

LIST_TYPE = "listType"
"""Key of a list's `json_schema_extra`: what its x-kubernetes-list-type is where it is not atomic."""


def text(pattern: str, says: str, *, max_length: int, unless: str = "") -> Any:
    """A string that fits `pattern`, of at most `max_length` characters. `says` completes the sentence "'<value>' …".

    `unless` is CEL: true for values that another rule refuses with a better sentence.
    """
    spoken = {"says": says, "unless": unless} if unless else {"says": says}
    return Field(pattern=pattern, max_length=max_length, json_schema_extra=dict(spoken))


def names(*, max_length: int, min_length: int = 0) -> Any:
    """A list in which nothing stands twice; server-side apply merges its owners' entries."""
    return Field(max_length=max_length, min_length=min_length or None, json_schema_extra={LIST_TYPE: "set"})


ObjectName = Annotated[
    str,
    text(
        r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "is no name of an object: use lower-case letters, digits, '-' and '.', with a letter or digit at both ends",
        max_length=63,
    ),
]
SecretName = Annotated[
    str,
    text(
        r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$",
        "is no name of a Secret: use lower-case letters, digits, '-' and '.', with a letter or digit at both ends",
        max_length=253,
    ),
]
ColumnName = Annotated[str, Field(min_length=1, max_length=128)]
"""An input or output of the model, as the package names it."""
HeaderName = Annotated[
    str,
    text(
        r"^[A-Za-z0-9-]+$",
        "is no name of a header: use letters, digits and '-', as in X-Customer-Id",
        max_length=64,
    ),
]
Digest = Annotated[
    str,
    text(
        r"^sha256:[0-9a-f]{64}$",
        "is no digest: write sha256: and 64 lower-case hexadecimal digits, as `podium push` prints them",
        max_length=71,
    ),
]


class Kubernetes(BaseModel):
    """Python names inside, Kubernetes' camelCase outside. Validates what was already admitted: status may lag a version."""

    model_config = ConfigDict(
        alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True, use_attribute_docstrings=True
    )


class NameRef(Kubernetes):
    """A reference to an object in the same namespace."""

    name: ObjectName


class SecretRef(Kubernetes):
    """A reference to a Secret in the same namespace."""

    name: SecretName


class Condition(Kubernetes):
    """One aspect of the object's state, as kstatus and `kubectl wait` read it."""

    type: Annotated[str, Field(max_length=316)]
    status: Literal["True", "False", "Unknown"]
    observed_generation: int | None = None
    last_transition_time: Annotated[str, Field(max_length=32)]
    reason: Annotated[str, Field(max_length=256)]
    """One CamelCase word."""
    message: Annotated[str, Field(max_length=8192)]
    """A sentence: what, where, and what would be right."""
