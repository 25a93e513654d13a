"""What is kept of predictions: how many, without which fields, and by what key labels find them.

Apart from `model_deployment` because all of it goes to the pods by the plan: a change reaches them with the next commit, and
no pod is replaced for it.
"""

from typing import Annotated, Literal

from pydantic import Field

from podium_crds.v1alpha1.meta import ColumnName, HeaderName, Kubernetes, names


class JoinKey(Kubernetes):
    """What the label of a prediction is found by."""

    type: Literal["Sticky", "Input", "Header", "Request"] = "Sticky"
    """Sticky: the key of stickyBy; where there is none, as Request. Request: the request's id, and the row's number where a
    request has several."""
    input: ColumnName | None = None
    """Input only, and required there: the model's input that holds the key."""
    header: HeaderName | None = None
    """Header only, and required there: the header that holds the key."""


class Capture(Kubernetes):
    """Which share of the predictions is kept, and what of them."""

    percent: Annotated[int, Field(ge=0, le=100)] = 100
    redact: Annotated[list[ColumnName], names(max_length=50)] = []
    """Inputs and outputs that never leave the pod."""
    hash: Annotated[list[ColumnName], names(max_length=50)] = []
    """Inputs and outputs of which only a keyed hash leaves the pod (HMAC-SHA256, a key per deployment): equal values stay
    equal, and nobody can read them. A header that is a key is hashed if it is named here."""
    join_key: JoinKey = JoinKey()
    always: Annotated[list[Literal["Fallback", "Header"]], names(max_length=2)] = []
    """What is kept beyond the percentage, and told apart from the sample by `sampled: false`. Fallback: what the champion
    answered in a challenger's place. Header: requests that ask for it by `Podium-Capture: always`."""
