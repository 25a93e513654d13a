"""The certificate of the public port and of gRPC, from a mounted Secret of type kubernetes.io/tls.

A new certificate is a new context, made whole before it is used, so that a bad one changes nothing; the listening socket's
own context hands every handshake over to the newest. Connections that are open keep what they began with.
"""

import logging
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from podium_serving.security.folder import Folder, InvalidContent
from podium_serving.security.upkeep import Upkeep
from podium_serving.settings import InvalidSettings

logger = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 10.0
"""From the connection to the end of its handshake. asyncio's 60 s would let slow clients hold six times the sockets."""
SHUTDOWN_SECONDS = 2.0
"""How long a client may take to say goodbye."""
PROTOCOLS = ("http/1.1", "h2")
"""Of the public port, of gRPC."""
_DAY_SECONDS = 86_400
_WARN_DAYS = 7


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate chain with its key, in a context per protocol that shows them."""

    contexts: Mapping[str, ssl.SSLContext]
    serial: int
    ends_at: float
    """Unix seconds."""


class Certificate:
    """The newest good certificate. `on_end` is told when it ends (Unix seconds), whenever another takes its place."""

    def __init__(self, path: Path, on_end: Callable[[float], None] = lambda ends_at: None) -> None:
        """Raises InvalidSettings when the folder holds no certificate with its key."""
        self._on_end = on_end
        self._pair: Pair | None = None
        self._folder = Folder(path, self._read, self._take, "the certificate")
        self._upkeep = Upkeep(self._folder.watch)
        self.start, self.close = self._upkeep.start, self._upkeep.close
        try:
            self._folder.load()
        except (OSError, InvalidContent) as error:
            raise InvalidSettings(f"PODIUM_TLS_DIR: cannot use {path}: {error}") from error

    @property
    def pair(self) -> Pair:
        assert self._pair is not None, "loaded by the constructor"
        return self._pair

    def context(self, protocol: str) -> ssl.SSLContext:
        """For a listening socket that speaks `protocol`, one of PROTOCOLS."""

        def hand_over(connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
            """OpenSSL asks at every handshake, also of a client that names no server."""
            connection.context = self.pair.contexts[protocol]

        listening = _server_context(protocol)
        listening.sni_callback = hand_over
        return listening

    def _read(self, folder: Path) -> Pair:
        pair = read_pair(folder)
        now = time.time()
        if self._pair is not None and pair.ends_at <= now < self._pair.ends_at:
            raise InvalidContent(f"tls.crt ended on {_date(pair.ends_at)}, the one in use is valid")
        return pair

    def _take(self, pair: Pair) -> None:
        left = pair.ends_at - time.time()
        if left < _WARN_DAYS * _DAY_SECONDS:
            logger.warning("the certificate %s on %s", "ended" if left <= 0 else "ends", _date(pair.ends_at))
        logger.info("the certificate with serial number %x ends on %s", pair.serial, _date(pair.ends_at))
        self._pair = pair
        self._on_end(pair.ends_at)


def read_pair(folder: Path) -> Pair:
    """Raises OSError when a file is missing, InvalidContent when the two are no certificate with its key."""
    from cryptography import x509  # 2 MB, for those who speak TLS

    chain, key = folder / "tls.crt", folder / "tls.key"
    pem = chain.read_bytes()
    key.stat()  # both before OpenSSL reads them, which says of a missing file only that it is missing
    contexts = {protocol: _server_context(protocol) for protocol in PROTOCOLS}
    try:
        for context in contexts.values():
            # Without a password here an encrypted key would be asked for at the terminal, for ever.
            context.load_cert_chain(chain, key, password="")
        certificate = x509.load_pem_x509_certificates(pem)[0]
    except (ssl.SSLError, ValueError, IndexError) as error:
        raise InvalidContent(f"tls.crt and tls.key are no certificate with its unencrypted key, as PEM: {error}") from error
    return Pair(contexts, certificate.serial_number, certificate.not_valid_after_utc.timestamp())


def _server_context(protocol: str) -> ssl.SSLContext:
    """Ciphers are OpenSSL's choice as Python narrows it: forward secrecy, no known-weak ones."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols([protocol])
    return context


def _date(unix_seconds: float) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).isoformat()
