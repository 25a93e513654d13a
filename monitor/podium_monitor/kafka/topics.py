"""Which topic holds what, of which deployments: the list that the installer writes. Pure.

The broker tells who may write to a topic; this tells what a topic may say. Together they are what a deployment's token is
over HTTP: a record of another deployment than the topic's is refused.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from podium_monitor.lake.tables import Place, Table

Holding = Literal["Predictions", "Labels"]
_HOLDING_OF: Mapping[Table, Holding] = {"predictions": "Predictions", "shadows": "Predictions", "labels": "Labels"}

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?")
"""Of Kubernetes: none can leave its folder of the lake."""
_DEPLOYMENTS = re.compile(rf"(?:{NAME.pattern}|\*)/(?:{NAME.pattern}|\*)")


class InvalidTopics(ValueError):
    """The list of topics cannot be used. The text says what would be right."""


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A topic of a source or a sink."""

    topic: str
    deployments: tuple[str, ...]
    """`<namespace>/<name>`; `*` stands for all, in either place."""
    holds: tuple[Holding, ...] = ("Predictions", "Labels")
    join_key_hashing: Literal["None", "Apply"] = "None"
    """Of a source's labels. Apply: keys come as people know them, predictions have the pods' hashes of them."""

    def covers(self, namespace: str, deployment: str) -> bool:
        wanted = {f"{namespace}/{deployment}", f"{namespace}/*", f"*/{deployment}", "*/*"}
        return not wanted.isdisjoint(self.deployments)

    def takes(self, place: Place) -> bool:
        """Whether rows of this place are published to it."""
        return _HOLDING_OF[place.table] in self.holds and self.covers(place.namespace, place.deployment)

    @property
    def only(self) -> tuple[str, str] | None:
        """(namespace, name) of the one deployment that this topic is of. None: there may be several."""
        if len(self.deployments) != 1 or "*" in self.deployments[0]:
            return None
        namespace, _, name = self.deployments[0].partition("/")
        return namespace, name


def topics_in(text: str) -> tuple[Topic, ...]:
    """From JSON; an empty text is an empty list. Raises InvalidTopics."""
    if not text.strip():
        return ()
    try:
        found = msgspec.json.decode(text, type=tuple[Topic, ...])
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidTopics(f'must be a JSON list of {{"topic", "deployments", "holds"}}: {error}') from error
    names = [one.topic for one in found]
    for one in found:
        if names.count(one.topic) > 1:
            raise InvalidTopics(f"the topic {one.topic} is there twice, must have one entry")
        _check(one)
    return found


def topic_name(text: str) -> str:
    """The same. Raises InvalidTopics if Kafka would not have it."""
    if not _TOPIC.fullmatch(text) or text in (".", ".."):
        raise InvalidTopics(f"{text[:80]!r} is no topic, must be 1 to 249 of letters, digits, '.', '_' and '-'")
    return text


def overlapping(sources: Sequence[Topic], sinks: Sequence[Topic], dead_letters: str) -> str | None:
    """The topic that is read from and written to: it would feed itself for ever."""
    written = {one.topic for one in sinks} | {dead_letters}
    return next((one.topic for one in sources if one.topic in written), None)


def _check(one: Topic) -> None:
    topic_name(one.topic)
    if not one.deployments:
        raise InvalidTopics(f"the topic {one.topic} has no deployments, must have '<namespace>/<name>', or '*' for all")
    for named in one.deployments:
        if not _DEPLOYMENTS.fullmatch(named):
            raise InvalidTopics(f"the topic {one.topic} has the deployment {named[:130]!r}, must be '<namespace>/<name>'")
    if not one.holds:
        raise InvalidTopics(f"the topic {one.topic} holds nothing, must hold Predictions or Labels")
