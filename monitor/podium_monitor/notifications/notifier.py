"""Sends what changed to those who want to know it, and remembers what each was told.

What was told is kept in the lake's store, by deployment: a new process tells nothing twice but what it was telling when
the old one died. A receiver that does not answer is asked again at the next evaluation, no sooner than its pause is over.
"""

import http.client
import logging
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

import msgspec

from podium_crds.evidence import DeploymentEvidence
from podium_monitor.lake.store import Store
from podium_monitor.notifications.changes import Change, changes
from podium_monitor.notifications.messages import About, message
from podium_monitor.notifications.receivers import Receiver

logger = logging.getLogger(__name__)

_SILENT_SECONDS = 10.0
_POST_SECONDS = 20.0
"""In all: who answers a byte at a time is not waited for."""
_FIRST_PAUSE_SECONDS = 15.0
_LONGEST_PAUSE_SECONDS = 900.0

Count = Callable[[str, str], None]
"""Of a receiver's name and an outcome: Sent, Failed."""


class Memory(msgspec.Struct):
    """What one receiver was told of one deployment."""

    sequence: int = 0
    told: dict[str, str] = {}


class _Document(msgspec.Struct):
    uid: str
    receivers: dict[str, Memory] = {}


@dataclass
class _Pause:
    until: float = 0.0
    seconds: float = 0.0


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A webhook's secret address is not for another host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> None:
        return None


_open = urllib.request.build_opener(_NoRedirects).open


@dataclass
class Notifier:
    """Blocking, for the evaluator's thread. `pages` is the dashboard's address, empty where that is not known."""

    store: Store
    receivers: Sequence[Receiver]
    pages: str = ""
    count: Count = lambda _receiver, _outcome: None
    _pauses: dict[str, _Pause] = field(default_factory=dict)
    _documents: dict[str, _Document] = field(default_factory=dict)
    """By path: nobody else writes them, so each is read once."""

    def tell(self, evidence: DeploymentEvidence) -> None:
        """Tells each receiver what it does not know yet. Never raises for a receiver's fault; OSError for the store's."""
        wanted = [one for one in self.receivers if one.wants(evidence.namespace)]
        if not wanted:
            return
        path = f"notifications/namespace={evidence.namespace}/deployment={evidence.deployment}.json"
        document = self._document(path, evidence.uid)
        changed = False
        for receiver in wanted:
            memory = document.receivers.setdefault(receiver.name, Memory())
            for change in changes(evidence, memory.told, receiver.minimum_severity):
                if not self._send(receiver, change, self._about(evidence, memory)):
                    break
                memory.sequence += 1
                memory.told[change.subject] = change.state
                changed = True
        if changed:
            del self._documents[path]  # until it is kept, what the store has is what counts
            self.store.replace(path, msgspec.json.encode(document))
            self._documents[path] = document

    def _about(self, evidence: DeploymentEvidence, memory: Memory) -> About:
        namespace, name = evidence.namespace, evidence.deployment
        page = f"{self.pages.rstrip('/')}/deployments/{namespace}/{name}" if self.pages else ""
        return About(namespace, name, evidence.uid, evidence.evaluated_at, page, memory.sequence)

    def _document(self, path: str, uid: str) -> _Document:
        """A deployment that was deleted and made anew has been told nothing."""
        document = self._documents.get(path)
        if document is None:
            try:
                document = msgspec.json.decode(self.store.read(path), type=_Document)
            except FileNotFoundError:
                document = _Document(uid)
        if document.uid != uid:
            document = _Document(uid)
        self._documents[path] = document
        return document

    def _send(self, receiver: Receiver, change: Change, about: About) -> bool:
        pause = self._pauses.setdefault(receiver.name, _Pause())
        if time.monotonic() < pause.until:
            return False
        trouble = post(receiver, *message(receiver, change, about))
        self.count(receiver.name, "Failed" if trouble else "Sent")
        if not trouble:
            if pause.seconds:
                logger.info("receiver %s takes notifications again", receiver.name)
            self._pauses.pop(receiver.name)
            return True
        if not pause.seconds:
            logger.warning("receiver %s was not told (%s): it is tried again", receiver.name, trouble)
        pause.seconds = min(max(pause.seconds * 2, _FIRST_PAUSE_SECONDS), _LONGEST_PAUSE_SECONDS)
        pause.until = time.monotonic() + pause.seconds
        return False


def post(receiver: Receiver, content_type: str, body: bytes) -> str:
    """Empty when it was taken, else what went wrong, without the address. Within seconds whatever the receiver does."""
    troubles: list[str] = []
    asking = threading.Thread(target=lambda: troubles.append(_post(receiver, content_type, body)), daemon=True)
    asking.start()
    asking.join(_POST_SECONDS)
    return troubles[0] if troubles else f"no answer within {_POST_SECONDS:.0f} s"


def _post(receiver: Receiver, content_type: str, body: bytes) -> str:
    headers = {name: value.get_secret_value() for name, value in receiver.headers.items()}
    request = urllib.request.Request(  # noqa: S310  only http and https pass Receiver
        receiver.url.get_secret_value(), body, {**headers, "Content-Type": content_type}, method="POST"
    )
    try:
        with _open(request, timeout=_SILENT_SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        error.close()
        return f"status {error.code}"
    except urllib.error.URLError as error:
        return type(error.reason).__name__ if isinstance(error.reason, BaseException) else "no connection"
    except (OSError, ValueError, http.client.HTTPException) as error:
        return type(error).__name__
