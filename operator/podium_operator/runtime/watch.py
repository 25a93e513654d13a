"""The watch: kopf streams events, and all that is done with one is to put its owner's key in the queue.

kopf runs in a thread of its own, with its own event loop: when it ends it cancels every task of its loop that it finds, and
it installs signal handlers where it may. Only `on.event` handlers are registered, so kopf writes nothing: no finalizers, no
annotations, no Events, no peering. Streams are reopened after idle and total timeouts; what is lost in between, kopf lists
again or the resync brings.
"""

import asyncio
import itertools
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import kopf

from podium_crds.names import LABEL_DEPLOYMENT, LABEL_VERSION
from podium_operator.cluster import Credentials
from podium_operator.kinds import KINDS, Manifest
from podium_operator.settings import Settings

log = logging.getLogger(__name__)

OnEvent = Callable[[str, Manifest, bool], None]
"""kind, the object as the event brought it, whether it is gone. Called in the main event loop."""

WATCHED: dict[str, str] = {
    "ModelVersion": "",
    "ModelDeployment": "",
    "Job": LABEL_VERSION,
    "ConfigMap": LABEL_DEPLOYMENT,
    "Deployment": LABEL_DEPLOYMENT,
    "EndpointSlice": LABEL_DEPLOYMENT,
    "HorizontalPodAutoscaler": LABEL_DEPLOYMENT,
    "NetworkPolicy": LABEL_DEPLOYMENT,
    "Pod": LABEL_DEPLOYMENT,
    "PodDisruptionBudget": LABEL_DEPLOYMENT,
    "Service": LABEL_DEPLOYMENT,
}
"""Kind to the label that must be there: the API server filters, we never see the rest of the cluster. Secrets are not
watched: that would need the right to read them all; their drift is found by the next reconcile."""

_STREAM_SECONDS = 600
_CONNECT_SECONDS = 10.0
_LOGIN_BACK_OFF_SECONDS = 2.0
"""kopf's own is a minute: for so long a token that is being replaced would blind the watch."""

_CREDENTIALS_TASK = "credentials retriever"
"""The name that kopf gives it. Should another kopf name it otherwise, the watch fails at its start, in every test."""


class Watch:
    """Made in the main event loop; `run` once."""

    def __init__(self, settings: Settings, credentials: Callable[[], Awaitable[Credentials]], on_event: OnEvent) -> None:
        self._settings = settings
        self._credentials = credentials
        self._on_event = on_event
        self._loop = asyncio.get_running_loop()
        self._stop = threading.Event()
        self._ended = asyncio.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    async def run(self) -> None:
        """Streams until cancelled. Raises RuntimeError when kopf ended: without a watch this process is of no use."""
        self._thread.start()
        try:
            await self._ended.wait()
        finally:
            self._stop.set()
        raise RuntimeError("the watch ended") from self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._stream())
        except BaseException as error:
            self._tell_the_end(error)

    async def _stream(self) -> None:
        """Until one of kopf's tasks ends. Not `kopf.operator`: when credentials are refused it waits for tasks that do not
        end, and it does not look at the task that fetches them, so that a blind watch would seem to run."""
        # kopf leaves failed tasks behind when it ends; the failure that ended it is told by `run`.
        asyncio.get_running_loop().set_exception_handler(lambda _, context: log.debug("kopf: %s", context["message"]))
        tasks = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=kopf_settings(),
            standalone=True,
            stop_flag=self._stop,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
        )
        [credentials] = [task for task in asyncio.all_tasks() if task.get_name() == _CREDENTIALS_TASK]
        done, _ = await asyncio.wait({*tasks, credentials}, return_when=asyncio.FIRST_COMPLETED)
        failures = [failure for task in done if not task.cancelled() and (failure := task.exception())]
        # Told before the loop is closed: closing waits for all of kopf's tasks.
        self._tell_the_end(failures[0] if failures else None)

    def _tell_the_end(self, failure: BaseException | None) -> None:
        self._failure = self._failure or failure
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended.set)

    @property
    def _namespaces(self) -> tuple[str, ...]:
        """The operator's own one too: build Jobs run there."""
        watched = self._settings.watch_namespaces
        return tuple(sorted({*watched, self._settings.namespace})) if watched else ()

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry, backoff=_LOGIN_BACK_OFF_SECONDS)(self._login)
        for kind in WATCHED:
            known = KINDS[kind]
            kopf.on.event(group=known.group, version=known.version, plural=known.plural, id=kind, registry=registry)(
                self._handler(kind)
            )
        return registry

    def _handler(self, kind: str) -> Callable[..., Any]:
        async def handle(event: kopf.RawEvent, **_: object) -> None:
            gone = event["type"] == "DELETED"
            if not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._on_event, kind, dict(event["object"]), gone)

        return handle

    async def _login(self, **_: object) -> kopf.ConnectionInfo:
        found = await self._credentials()
        return kopf.ConnectionInfo(
            server=found.server,
            ca_path=found.ca_path,
            certificate_path=found.certificate_path,
            private_key_path=found.private_key_path,
            token=found.token,
        )


class _ForEver:
    """Back-offs without an end: an API server that restarts for minutes must not end the watch. kopf iterates it anew."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.5, 1.0, 2.0, 3.0), itertools.repeat(5.0))


def kopf_settings() -> kopf.OperatorSettings:
    """Streams only: nothing is posted, nothing is scanned for while running, no handler state is kept."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = _STREAM_SECONDS
    settings.watching.client_timeout = _STREAM_SECONDS + 30
    settings.watching.connect_timeout = _CONNECT_SECONDS
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = _ForEver()
    for kind, label in WATCHED.items():
        if label:
            known = KINDS[kind]
            settings.watching.label_selectors[known.group, known.version, known.plural] = label
    return settings
