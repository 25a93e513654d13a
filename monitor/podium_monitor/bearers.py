"""Who may ask the evaluator's API: the operator by its own token, and whoever the API server lets get ModelDeployments."""

import hmac
import logging

from fastapi import Request, Response

from podium_crds.evidence import monitor_token
from podium_monitor.access import AccessUnknown, Reviews, TooManyQuestions
from podium_monitor.refusals import refusal

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 10


class Bearers:
    """The operator's token is made of `collector_key`; any other is asked of `reviews`."""

    def __init__(self, collector_key: bytes, reviews: Reviews) -> None:
        self._operator = monitor_token(collector_key).encode()
        self._reviews = reviews

    async def refusal(self, request: Request, namespace: str) -> Response | None:
        """None: whoever asks may know what there is to know of this namespace."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return refusal(401, "the header Authorization must be Bearer with the operator's or a Kubernetes token")
        if hmac.compare_digest(token.strip().encode(), self._operator):
            return None
        try:
            identity = await self._reviews.who(token.strip(), request.client.host if request.client else "")
            if identity is None:
                return refusal(401, "the bearer token is neither the operator's nor one that the API server knows")
            if await self._reviews.may(identity.user, identity.groups, "get", "modeldeployments", namespace):
                return None
        except TooManyQuestions as error:
            logger.warning("the API server is not asked: %s", error)
            text = "too many tokens that are nobody's come from here, or too many namespaces are asked for"
            return refusal(429, text, _PATIENCE_SECONDS)
        except AccessUnknown as error:  # it names addresses inside
            logger.warning("the API server could not be asked who shows a token: %s", error)
            return refusal(503, "the API server cannot be asked who this is, the evaluator's log says why")
        return refusal(403, f"{identity.user} may not get modeldeployments in the namespace {namespace}")
