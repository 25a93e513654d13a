"""What pods, labellers and the collector agree on: event types, media type, and the tokens of a source."""

import base64
import hashlib
import hmac

CONTENT_TYPE = "application/cloudevents-batch+json"
PREDICTION = "dev.podium.prediction.v1"
SHADOW = "dev.podium.shadow.v1"
LABEL = "dev.podium.label.v1"
"""In topics of Kafka alone: over HTTP a label is no event."""


def capture_source(namespace: str, deployment: str, uid: str) -> str:
    """The value of the header Podium-Source."""
    return f"{namespace}/{deployment}/{uid}"


def capture_token(collector_key: bytes, source: str) -> str:
    """The bearer token of a source, base64url(HMAC-SHA256(collector key, source)). Secret."""
    return base64.urlsafe_b64encode(hmac.digest(collector_key, source.encode(), hashlib.sha256)).decode()


def label_token(collector_key: bytes, source: str) -> str:
    """The bearer token of whoever posts labels of a source: it says for which, `<source>/<mac>`, the mac being
    base64url(HMAC-SHA256(collector key, "podium labels <source>")). It opens nothing else. Secret."""
    mac = hmac.digest(collector_key, f"podium labels {source}".encode(), hashlib.sha256)
    return f"{source}/{base64.urlsafe_b64encode(mac).decode()}"


def erasure_token(collector_key: bytes) -> str:
    """The bearer token of whoever has rows erased, of any deployment. Secret.

    base64url(HMAC-SHA256(collector key, "podium erasure"))."""
    return base64.urlsafe_b64encode(hmac.digest(collector_key, b"podium erasure", hashlib.sha256)).decode()


def hash_key(token: str) -> bytes:
    """The key of a source's hashes. It follows from the capture token, so the pods of a deployment and the collector have
    it without another secret: it stays as it is until the collector's key or the deployment's uid changes. Secret."""
    return hmac.digest(token.encode(), b"podium capture hash", hashlib.sha256)


def hashed(key: bytes, value: bytes) -> str:
    """What is kept of a value in its place: the first 32 hexadecimal digits of HMAC-SHA256.

    `value` is its text as sticky keys are compared (docs/architecture.md, "Capture"): equal values have equal hashes, in
    inputs, outputs and join keys, so labels are found by the hash of their key.
    """
    return hmac.digest(key, value, hashlib.sha256).hex()[:32]
