"""Changes in the words of each kind of receiver. Pure."""

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from podium_monitor.notifications.changes import Change
from podium_monitor.notifications.receivers import Receiver

_NAMESPACE = uuid.UUID("4d8f3c5e-6d0f-5a53-9c2b-2f0f6a0f6d51")
_SIGNS = {"Critical": ":red_circle:", "Warning": ":large_orange_circle:", "None": ":white_circle:"}


@dataclass(frozen=True)
class About:
    """What a change is about, and the how-manieth telling of its deployment to a receiver it is."""

    namespace: str
    deployment: str
    uid: str
    at: datetime
    page: str
    """The deployment's address on the dashboard, empty where that is not known."""
    sequence: int


def message(receiver: Receiver, change: Change, about: About) -> tuple[str, bytes]:
    """Content type and body."""
    if receiver.type == "Slack":
        return "application/json", json.dumps(_slack(change, about)).encode()
    return "application/cloudevents+json", json.dumps(_event(receiver, change, about)).encode()


def _slack(change: Change, about: About) -> dict[str, Any]:
    sign = ":large_green_circle:" if change.over else _SIGNS[change.severity]
    where = f"{about.namespace}/{about.deployment}"
    text = f"{sign} *{_plain(where)}: {_plain(change.title)}*\n{_plain(change.text)}"
    # Addresses in the names of categories stay text, and nothing is fetched to be shown: the one link is the one below.
    quiet = {"parse": "none", "link_names": False, "unfurl_links": False, "unfurl_media": False}
    return {"text": f"{text}\n<{about.page}|dashboard>" if about.page else text, **quiet}


def _event(receiver: Receiver, change: Change, about: About) -> dict[str, Any]:
    """CloudEvents 1.0, structured mode. The id is by sequence: what is told again after a crash is known as the same."""
    page = about.page
    return {
        "specversion": "1.0",
        "id": str(uuid.uuid5(_NAMESPACE, f"{about.uid} {receiver.name} {about.sequence}")),
        "source": f"/namespaces/{about.namespace}/modeldeployments/{about.deployment}",
        "type": f"dev.podium.{change.kind.lower()}.v1",
        "subject": change.subject,
        "time": about.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "datacontenttype": "application/json",
        "data": {
            "namespace": about.namespace,
            "deployment": about.deployment,
            "severity": change.severity,
            "state": change.state,
            "over": change.over,
            "title": change.title,
            "message": change.text,
            "page": page,
        },
    }


def _plain(text: str) -> str:
    """Slack's own escapes: names of categories come from clients and must not become links or mentions."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
