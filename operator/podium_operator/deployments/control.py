"""The operator's side of the control port: signed messages to pods, and what they answer.

Nothing here raises because of a pod: what a pod does is a fact for the decision, not an error. LeaseLost does pass: a leader
that is none any more says nothing to anybody.
"""

import asyncio
import json
from collections.abc import Callable
from datetime import datetime

import aiohttp
from pydantic import ValidationError

from podium_crds.names import CONTROL_PORT
from podium_crds.plan import (
    Abort,
    Commit,
    ControlStatus,
    Credential,
    DeploymentKey,
    Envelope,
    HeldPlan,
    Inquiry,
    MessageRefused,
    PeerState,
    Plan,
    Prepare,
    RegistryCredential,
    SigningKey,
    open_envelope,
)
from podium_operator.cluster import Fence
from podium_operator.deployments.addresses import url_host
from podium_operator.deployments.bounded import bounded_body
from podium_operator.deployments.steps import Sealed, Silence

Answer = ControlStatus | Silence

MESSAGE_SECONDS = 30.0
"""A message is taken for so long after it was signed."""
LAPSE_SECONDS = 120.0
"""A pod drops a preparation that nobody renewed or committed for so long."""
_CONNECT_SECONDS = 1.0
_INQUIRY_SECONDS = 3.0
_PREPARE_SECONDS = 8.0
"""A pod answers a Prepare within 5 s, done or not."""
_COMMIT_SECONDS = 3.0
_MAX_CONNECTIONS = 200
_MOST_BODY_BYTES = 2**20
"""A signed plan with ten routes of fragmented slots is some 300 KB."""


class ControlClient:
    """Use from one event loop; `close` it."""

    def __init__(self, signing_key: SigningKey, fence: Fence, now: Callable[[], datetime]) -> None:
        self._signing_key = signing_key
        self._fence = fence
        self._now = now
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def seal(self, plan: Plan) -> Sealed:
        commit = Commit(plan=plan)
        return Sealed(commit, self._signing_key.sign(commit))

    def opened(self, envelope: Envelope, key: DeploymentKey) -> Sealed | None:
        """The commit in an envelope, if we signed it for this deployment."""
        try:
            message = open_envelope(envelope, [self._signing_key.public], key.uid, self._seconds())
        except MessageRefused:
            return None
        return Sealed(message, envelope) if isinstance(message, Commit) else None

    async def inquire(self, address: str, pod_uid: str, key: DeploymentKey) -> Answer:
        inquiry = Inquiry(deployment=key, expires_at=self._seconds() + MESSAGE_SECONDS)
        return await self._send(address, pod_uid, self._signing_key.sign(inquiry), _INQUIRY_SECONDS)

    async def prepare(
        self, address: str, pod_uid: str, plan: Plan, memory_limit_bytes: int, credential: RegistryCredential | None
    ) -> Answer:
        message = Prepare(
            plan=plan,
            expires_at=self._seconds() + MESSAGE_SECONDS,
            lapse_seconds=LAPSE_SECONDS,
            memory_limit_bytes=memory_limit_bytes,
            credential=credential,
        )
        return await self._send(address, pod_uid, self._signing_key.sign(message), _PREPARE_SECONDS)

    async def commit(self, address: str, pod_uid: str, envelope: Envelope) -> Answer:
        return await self._send(address, pod_uid, envelope, _COMMIT_SECONDS)

    async def abort(self, address: str, pod_uid: str, key: DeploymentKey, term: int, held: HeldPlan | Plan) -> Answer:
        """`term` is this leader's: pods refuse an abort from below the term that they heard last."""
        digest = held.plan_digest if isinstance(held, HeldPlan) else held.digest
        expires_at = self._seconds() + MESSAGE_SECONDS
        abort = Abort(deployment=key, term=term, epoch=held.epoch, plan_digest=digest, expires_at=expires_at)
        return await self._send(address, pod_uid, self._signing_key.sign(abort), _COMMIT_SECONDS)

    async def hand_credential(
        self, address: str, pod_uid: str, key: DeploymentKey, credential: RegistryCredential
    ) -> Answer:
        message = Credential(deployment=key, credential=credential, expires_at=self._seconds() + MESSAGE_SECONDS)
        return await self._send(address, pod_uid, self._signing_key.sign(message), _INQUIRY_SECONDS)

    async def peer_commit(self, address: str, token: str, key: DeploymentKey) -> Sealed | None:
        """The signed commit that a pod holds, checked."""
        url = f"http://{url_host(address)}:{CONTROL_PORT}/peer/v1/state"
        try:
            async with self._http().get(
                url,
                headers={"Authorization": f"Bearer {token}"},
                timeout=_timeout(_INQUIRY_SECONDS),
                allow_redirects=False,
            ) as got:
                state = (
                    PeerState.model_validate_json(await bounded_body(got, _MOST_BODY_BYTES))
                    if got.status == 200
                    else PeerState()
                )
        except (TimeoutError, aiohttp.ClientError, OSError, ValidationError):
            return None
        return self.opened(state.committed, key) if state.committed is not None else None

    async def _send(self, address: str, pod_uid: str, envelope: Envelope, seconds: float) -> Answer:
        self._fence()
        url = f"http://{url_host(address)}:{CONTROL_PORT}/control/v1/messages"
        try:
            # User code runs in pods: none may send this request on to where only the operator can reach.
            async with self._http().post(
                url, data=envelope.model_dump_json(), timeout=_timeout(seconds), allow_redirects=False
            ) as response:
                status, body = response.status, await bounded_body(response, _MOST_BODY_BYTES)
        except (TimeoutError, asyncio.IncompleteReadError, aiohttp.ClientError, OSError):
            return Silence.UNREACHABLE
        return read_answer(status, body, pod_uid)

    def _seconds(self) -> float:
        return self._now().timestamp()

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=_MAX_CONNECTIONS, keepalive_timeout=15)
            headers = {"Content-Type": "application/json"}
            self._session = aiohttp.ClientSession(connector=connector, headers=headers, trust_env=False)
        return self._session


def read_answer(status: int, body: bytes, pod_uid: str) -> Answer:
    """What an HTTP answer of the control port says. Another pod's answer (its address was reused) is silence of this one."""
    if status == 403:
        return Silence.DENIED
    try:
        found = json.loads(body)
        answer = ControlStatus.model_validate(found.get("status") if status == 409 else found)
    except (ValueError, AttributeError):
        return Silence.UNREACHABLE
    return answer if answer.pod_uid == pod_uid else Silence.UNREACHABLE


def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=seconds, connect=min(seconds, _CONNECT_SECONDS), sock_connect=_CONNECT_SECONDS)
