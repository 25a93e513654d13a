"""One rule as the API server takes it: CEL, and the sentence that the user reads when it does not hold."""

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

Reason = Literal["FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired"]
_HOLE = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True)
class Rule:
    """`rule`, in CEL, must be true. `message` may hold CEL expressions of type string in braces.

    Not `string(a number)`: the API server takes its length for unbounded and refuses the cost.
    """

    rule: str
    message: str
    reason: Reason = "FieldValueInvalid"
    field: str = ""
    """Path below the object that the rule is on, where the user should look: `.percent`."""

    def schema(self) -> dict[str, Any]:
        """The rule as an item of x-kubernetes-validations."""
        found: dict[str, Any] = {"rule": self.rule}
        if _HOLE.search(self.message):
            found["messageExpression"] = _expression(self.message)
        else:
            found["message"] = self.message
        found["reason"] = self.reason
        if self.field:
            found["fieldPath"] = self.field
        return found


def _expression(template: str) -> str:
    """`a {x} b` as the CEL expression "a " + x + " b"."""
    pieces = _HOLE.split(template)
    terms = [piece if odd else json.dumps(piece, ensure_ascii=False) for odd, piece in _numbered(pieces) if piece]
    return " + ".join(terms)


def _numbered(pieces: list[str]) -> list[tuple[bool, str]]:
    return [(index % 2 == 1, piece) for index, piece in enumerate(pieces)]


def text_rule(pattern: str, says: str, unless: str | None = None) -> Rule:
    """The rule of a string made with `meta.text`."""
    matches = f"self.matches(r'{pattern}')"
    return Rule(rule=f"{unless} || {matches}" if unless else matches, message=f"'{{self}}' {says}")


def only_with(field: str, kind: str, what: str) -> tuple[Rule, Rule]:
    """A part of a union: required with its type, forbidden with any other."""
    return (
        Rule(
            rule=f"self.type != '{kind}' || has(self.{field})",
            message=f"type: {kind} needs {field}, {what}",
            reason="FieldValueRequired",
            field=f".{field}",
        ),
        Rule(
            rule=f"self.type == '{kind}' || !has(self.{field})",
            message=f"{field} has no meaning with type: {{self.type}}: remove it, or set type: {kind}",
            reason="FieldValueForbidden",
            field=f".{field}",
        ),
    )
