"""What pods, labellers and the collector agree on: event types, media type, and the tokens of a source."""

import base64
import hashlib
import hmac

CONTENT_TYPE = "application/cloudevents-batch+json"
PREDICTION = "dev.podium.prediction.v1"
SHADOW = "dev.podium.shadow.v1"


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
