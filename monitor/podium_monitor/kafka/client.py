"""How librdkafka is told to reach brokers, and how it is known whether it does.

A client that reached nobody for a minute is made anew: its files of credentials and certificates are read again then, so a
renewed Secret is taken up without a restart.
"""

import json
import logging
import time
from typing import Any

from confluent_kafka import KafkaError

from podium_monitor.kafka.metrics import Side
from podium_monitor.kafka.settings import Access

logger = logging.getLogger(__name__)
LIBRARY = logging.getLogger(f"{__name__}.librdkafka")
"""What librdkafka says itself, but for each failed connection, which it tells us too."""
LIBRARY.addFilter(lambda record: not record.getMessage().lstrip().startswith("FAIL"))

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Brokers say what is too large, not the client."""

_STATISTICS_MILLISECONDS = 2000
_GIVE_UP_SECONDS = 60.0
_PROTOCOLS = {
    (False, False): "PLAINTEXT",
    (True, False): "SSL",
    (False, True): "SASL_PLAINTEXT",
    (True, True): "SASL_SSL",
}
"""By (TLS, SASL)."""


class Gone(Exception):
    """The client reaches no broker, or cannot go on: another one is made."""


class Link:
    """Whether a client reaches a broker, as librdkafka tells it while it is polled; and when the last step was made."""

    def __init__(self, side: Side) -> None:
        self._side = side
        self._since = self._step = time.monotonic()
        self._fatal = ""
        self._misses = 0
        self._told_of: set[object] = set()
        self.connected = False
        self.why = "no broker has answered yet"
        """What was last heard, while it is not connected."""

    def configuration(self, access: Access) -> dict[str, Any]:
        """For a client that tells this link. Raises InvalidKafka if a file of `access` is missing."""
        self._fatal = ""
        self._since = time.monotonic()
        return {
            **configuration_of(access),
            "statistics.interval.ms": _STATISTICS_MILLISECONDS,
            "stats_cb": self._told,
            "error_cb": self._failed,
            "logger": LIBRARY,
        }

    def answered(self) -> None:
        """A broker did."""
        self._set(True)

    def lost(self, why: str, kind: object) -> None:
        """Each `kind` of trouble is told once, until a broker answers again."""
        if kind not in self._told_of:
            logger.warning("Kafka %s: %s", self._side, why)
        self._told_of.add(kind)
        self.why = why
        self._set(False)

    def step(self) -> None:
        """Something was finished, or there is nothing to do."""
        self._step = time.monotonic()

    def stalled_seconds(self) -> float:
        return max(0.0, time.monotonic() - self._step)

    def check(self) -> None:
        """Raises Gone."""
        if self._fatal:
            raise Gone(self._fatal)
        if not self.connected and time.monotonic() - self._since > _GIVE_UP_SECONDS:
            raise Gone(self.why)

    def _set(self, connected: bool) -> None:
        if connected != self.connected:
            self._since = time.monotonic()
            if connected:
                self._told_of.clear()
                logger.info("Kafka %s: connected", self._side)
        self.connected = connected

    def _told(self, statistics: str) -> None:
        brokers = json.loads(statistics).get("brokers", {}).values()
        if any(broker.get("state") == "UP" for broker in brokers):
            self._misses = 0
            self._set(True)
            return
        self._misses += 1  # one may be the moment between two connections
        if self.connected and self._misses > 1:
            self.lost("the connection to all brokers is lost", "statistics")

    def _failed(self, error: KafkaError) -> None:
        if error.fatal():
            self._fatal = error.str()
        if error.code() == KafkaError._ALL_BROKERS_DOWN or not self.connected:
            self.lost(error.str(), error.code())


def configuration_of(access: Access) -> dict[str, Any]:
    """Properties of librdkafka. Holds secrets: never logged. Raises InvalidKafka if a file of `access` is missing."""
    found: dict[str, Any] = {
        "bootstrap.servers": access.brokers,
        "client.id": "podium-collector",
        "security.protocol": _PROTOCOLS[access.tls, access.sasl is not None],
        "socket.keepalive.enable": True,
        "reconnect.backoff.max.ms": 5000,
    }
    if access.ca_file is not None:
        found["ssl.ca.location"] = str(access.ca_file)
    if access.certificate_dir is not None:
        found["ssl.certificate.location"] = str(access.certificate_dir / "tls.crt")
        found["ssl.key.location"] = str(access.certificate_dir / "tls.key")
    if access.sasl is not None:
        name, secret = access.credentials()
        found["sasl.mechanism"] = access.sasl
        if access.sasl == "OAUTHBEARER":
            found |= {
                "sasl.oauthbearer.method": "oidc",
                "sasl.oauthbearer.client.id": name,
                "sasl.oauthbearer.client.secret": secret,
                "sasl.oauthbearer.token.endpoint.url": access.token_url,
            }
            if access.scope:
                found["sasl.oauthbearer.scope"] = access.scope
        else:
            found |= {"sasl.username": name, "sasl.password": secret}
    return found


def reason(error: Exception) -> str:
    """Why, without the codes that librdkafka's errors show."""
    first = error.args[0] if error.args else error
    return first.str() if isinstance(first, KafkaError) else str(error)
