"""What all kinds share: camel-cased models that forbid unknown fields, conditions, references."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

DnsLabel = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=63)]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$", max_length=71)]


class Kubernetes(BaseModel):
    """Python names inside, Kubernetes' camelCase outside. Validates what was already admitted: status may lag a version."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class NameRef(Kubernetes):
    """A reference to an object in the same namespace."""

    name: ObjectName


class Condition(Kubernetes):
    type: Annotated[str, Field(max_length=316)]
    status: Literal["True", "False", "Unknown"]
    observed_generation: int | None = None
    last_transition_time: Annotated[str, Field(max_length=32)]
    reason: Annotated[str, Field(max_length=256)]
    message: Annotated[str, Field(max_length=8192)]
