"""Certificates, mounted Secrets, and an issuer of tokens with a real HTTP server, for tests of who may ask."""

import asyncio
import base64
import itertools
import json
import shutil
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AUDIENCE = "churn"
_turns = itertools.count()


def mount(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes a Secret's volume as the kubelet does: a new folder, and `..data` pointed at it in one step."""
    folder.mkdir(exist_ok=True)
    data = folder / "..data"
    old = data.resolve() if data.is_symlink() else None
    version = folder / f"..{next(_turns)}"
    version.mkdir()
    for name, content in files.items():
        (version / name).write_bytes(content)
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(Path("..data") / name)
    fresh = folder / "..data_tmp"
    fresh.symlink_to(version.name)
    fresh.rename(data)
    for link in folder.iterdir():
        if link.is_symlink() and not link.exists():
            link.unlink()
    if old is not None:
        shutil.rmtree(old)


@dataclass(frozen=True)
class Made:
    """A self-signed certificate of 127.0.0.1 and localhost, as a kubernetes.io/tls Secret has it."""

    certificate: bytes
    key: bytes
    serial: int

    @property
    def files(self) -> dict[str, bytes]:
        return {"tls.crt": self.certificate, "tls.key": self.key}

    def client(self, **changes: Any) -> ssl.SSLContext:
        """A client's context that trusts this certificate and no other."""
        context = ssl.create_default_context(cadata=self.certificate.decode())
        for name, value in changes.items():
            setattr(context, name, value)
        return context


def make_certificate(*, days: float = 30, password: bytes | None = None) -> Made:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    end = datetime.now(UTC) + timedelta(days=days)
    names: list[x509.GeneralName] = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=60))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return Made(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden),
        certificate.serial_number,
    )


def served_serial(connection: ssl.SSLObject) -> int:
    """Which certificate a server showed."""
    shown = connection.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


def rsa_key(bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def jwk(key: Any, kid: str = "", **more: Any) -> dict[str, Any]:
    """The public half of a private key, as an issuer publishes it."""
    public = key.public_key()
    algorithm = RSAAlgorithm if isinstance(key, rsa.RSAPrivateKey) else ECAlgorithm
    if isinstance(key, ed25519.Ed25519PrivateKey):
        algorithm = OKPAlgorithm  # type: ignore[assignment]  # the three have nothing in common but these methods
    entry: dict[str, Any] = json.loads(algorithm.to_jwk(public))
    entry.pop("key_ops", None)
    return entry | ({"kid": kid} if kid else {}) | more


def claims(issuer: str, **changes: Any) -> dict[str, Any]:
    """Valid ones. A change to None leaves a claim out."""
    made = {"iss": issuer, "aud": AUDIENCE, "sub": "retention-app", "exp": int(time.time()) + 600} | changes
    return {name: value for name, value in made.items() if value is not None}


def unsigned(header: dict[str, Any], body: dict[str, Any], signature: bytes = b"") -> str:
    """A token of any header, also of those that no library would make."""
    parts = [json.dumps(header).encode(), json.dumps(body).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


@dataclass
class FakeIssuer:
    """An OpenID provider: discovery and keys. `status` is what it answers when it is not 200."""

    keys: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    status: int = 200
    configuration: dict[str, Any] = field(default_factory=dict)
    silent: bool = False
    """It takes questions and never answers."""
    fetches: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FakeIssuer"]:
        application = web.Application()
        application.router.add_get("/.well-known/openid-configuration", self._configuration)
        application.router.add_get("/keys", self._keys)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            yield self
        finally:
            await runner.cleanup()

    def token(self, key: Any, kid: str, algorithm: str, **changes: Any) -> str:
        return jwt.encode(claims(self.url, **changes), key, algorithm, headers={"kid": kid} if kid else {})

    async def _configuration(self, request: web.Request) -> web.Response:
        return web.json_response({"issuer": self.url, "jwks_uri": f"{self.url}/keys"} | self.configuration)

    async def _keys(self, request: web.Request) -> web.Response:
        self.fetches += 1
        if self.silent:
            await asyncio.Event().wait()
        return web.json_response({"keys": self.keys}, status=self.status)
