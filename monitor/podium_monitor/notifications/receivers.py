"""Who is told of what: a YAML file that an administrator keeps in a Secret, because addresses of webhooks are secrets.

receivers:
- {name: on-call, type: Slack, url: https://hooks.example.com/services/…, minimumSeverity: Critical}
- {name: audit, type: CloudEvents, url: https://audit.example.com/podium, namespaces: [retention], headers: {…}}
"""

from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from podium_evaluation.documents import Severity

SEVERITIES: tuple[Severity, ...] = ("None", "Warning", "Critical")


class InvalidReceivers(ValueError):
    """The file cannot be used. The text says where, and what would be right; it never holds an address."""


class Receiver(BaseModel):
    """One webhook. Its address and headers are secrets: neither is ever logged."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$")]
    type: Literal["Slack", "CloudEvents"]
    """Slack: `{"text": …}`, which Mattermost and others take as well. CloudEvents: one event in structured mode."""
    url: SecretStr
    namespaces: list[str] = []
    """Empty: all."""
    minimum_severity: Severity = "Warning"
    """Of a finding. Decisions about challengers and ends of findings that were told are always told."""
    headers: dict[str, SecretStr] = {}

    @field_validator("url")
    @classmethod
    def _is_http(cls, url: SecretStr) -> SecretStr:
        if not url.get_secret_value().startswith(("https://", "http://")):
            raise ValueError("must begin with https:// or http://")
        return url

    def wants(self, namespace: str) -> bool:
        return not self.namespaces or namespace in self.namespaces


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")
    receivers: list[Receiver] = Field(default=[], max_length=50)


def receivers_of(text: str) -> list[Receiver]:
    """The file's receivers. Raises InvalidReceivers."""
    try:
        found = _File.model_validate(yaml.safe_load(text) or {}).receivers
    except yaml.YAMLError as error:
        raise InvalidReceivers(f"it is not YAML: {getattr(error, 'problem', 'it cannot be read')}") from None
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False))
        raise InvalidReceivers(said) from None
    names = [one.name for one in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InvalidReceivers(f"receivers share the name {twice[0]!r}: give each its own")
    return found
