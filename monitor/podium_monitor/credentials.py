"""Who may write or count what: a source's bearer tokens follow from the collector key. Pure."""

import hmac
import re
from dataclasses import dataclass

from podium_crds.capture import capture_source, capture_token, label_token

_NAME = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_SOURCE = re.compile(rf"(?P<namespace>{_NAME})/(?P<name>{_NAME})/(?P<uid>[A-Za-z0-9-]{{1,64}})")
"""Kubernetes names: none of them can leave its folder of the lake."""


class Refused(Exception):
    """The request is not from the source that it names. The text is for the client."""


@dataclass(frozen=True, slots=True)
class Source:
    """A deployment, as `Podium-Source` names it."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return capture_source(self.namespace, self.name, self.uid)

    @property
    def event_source(self) -> str:
        """What the CloudEvents of this deployment have as `source`."""
        return f"/namespaces/{self.namespace}/modeldeployments/{self.name}"


def authenticated_source(collector_key: bytes, authorization: str, source: str) -> Source:
    """The source whose token `authorization` carries. Raises Refused."""
    match = _SOURCE.fullmatch(source)
    if match is None:
        raise Refused("the header Podium-Source must be <namespace>/<deployment>/<uid>")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not _is_same(capture_token(collector_key, source), token):
        raise Refused("the header Authorization must be Bearer with the capture token of the deployment in Podium-Source")
    return Source(match["namespace"], match["name"], match["uid"])


def labelling_source(collector_key: bytes, authorization: str) -> Source:
    """The source whose label token `authorization` carries: the token itself says which. Raises Refused."""
    scheme, _, token = authorization.partition(" ")
    source = token.strip().rpartition("/")[0]
    match = _SOURCE.fullmatch(source)
    if scheme.lower() != "bearer" or match is None or not _is_same(label_token(collector_key, source), token):
        raise Refused(
            "the header Authorization must be Bearer with the label token of a deployment, `token` in its Secret "
            "<deployment>-labels-…; tokens of Kubernetes are not taken here"
        )
    return Source(match["namespace"], match["name"], match["uid"])


def _is_same(expected: str, given: str) -> bool:
    """Of base64 with or without its padding."""
    return hmac.compare_digest(given.strip().rstrip("=").encode(), expected.rstrip("=").encode())
