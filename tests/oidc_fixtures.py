"""An OpenID provider that signs people in without asking, and the authorities that a proxy needs."""

import asyncio
import base64
import hashlib
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import jwt
from aiohttp import web
from aiohttp.typedefs import Handler
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from security_fixtures import jwk

CLIENT = "podium"
SECRET = "s3cret:of+the client"
CALLBACK_ADDRESS = "https://podium.example.com"


@dataclass
class Provider:
    """Checks what a provider must check (RFC 6749, RFC 7636): the code once, its verifier, the client's secret."""

    key: rsa.RSAPrivateKey
    claims: dict[str, Any] = field(default_factory=lambda: {"email": "ada@example.com", "groups": ["analysts"]})
    url: str = ""
    kid: str = "one"
    algorithm: str = "RS256"
    changed: dict[str, Any] = field(default_factory=dict)
    """Of the ID token; None leaves a claim out."""
    published: dict[str, Any] = field(default_factory=dict)
    """Of the discovery document."""
    signing_key: Any = None
    """Another than the published one."""
    silent: set[str] = field(default_factory=set)
    """Paths that take a question and never answer."""
    asked: Counter[str] = field(default_factory=Counter)
    key_fetches: int = 0
    exchanges: int = 0
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Provider"]:
        application = web.Application(middlewares=[self._perhaps_silent])
        application.router.add_get("/.well-known/openid-configuration", self._configuration)
        application.router.add_get("/keys", self._keys)
        application.router.add_get("/authorize", self._authorize)
        application.router.add_post("/token", self._token)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            yield self
        finally:
            await runner.cleanup()

    @web.middleware
    async def _perhaps_silent(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.asked[request.path] += 1
        if request.path in self.silent:
            await asyncio.Event().wait()
        return await handler(request)

    async def _configuration(self, request: web.Request) -> web.Response:
        found = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
        }
        return web.json_response(found | self.published)

    async def _keys(self, request: web.Request) -> web.Response:
        self.key_fetches += 1
        return web.json_response({"keys": [jwk(self.key, self.kid, alg=self.algorithm, use="sig")]})

    async def _authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        raise web.HTTPSeeOther(f"{asked['redirect_uri']}?code={code}&state={asked['state']}")

    async def _token(self, request: web.Request) -> web.Response:
        self.exchanges += 1
        form = dict(await request.post())
        asked = self._codes.pop(str(form.get("code")), None)
        expected = base64.b64encode(b"podium:s3cret%3Aof%2Bthe%20client").decode()
        if asked is None or request.headers.get("Authorization") != f"Basic {expected}":
            return web.json_response({"error": "invalid_grant"}, status=400)
        digest = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"access_token": "unused", "token_type": "Bearer", "id_token": self.token(asked["nonce"])})

    def token(self, nonce: str) -> str:
        now = int(time.time())
        made = {"iss": self.url, "aud": CLIENT, "sub": "42", "iat": now, "exp": now + 300, "nonce": nonce}
        claims = {name: value for name, value in {**made, **self.claims, **self.changed}.items() if value is not None}
        return jwt.encode(claims, self.signing_key or self.key, self.algorithm, headers={"kid": self.kid})


@dataclass(frozen=True)
class Held:
    """A certificate with its key, on disk."""

    certificate: Path
    key: Path


class Authority:
    """Signs certificates of servers and clients, into `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.file = folder / f"{name}.crt"
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        own = self._builder(self._name, self._key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        made = own.add_extension(usage, critical=True).sign(self._key, hashes.SHA256())
        self.file.write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def signed(self, common_name: str, *dns: str) -> Held:
        """Good for servers and clients; `dns` are its subject alternative names, 127.0.0.1 too if there are none."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(one) for one in dns] or [x509.IPAddress(IPv4Address("127.0.0.1"))]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]), key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
            )
            .add_extension(issuer, critical=False)
        )
        made = builder.sign(self._key, hashes.SHA256())
        held = Held(self._folder / f"{common_name}.pem", self._folder / f"{common_name}.key")
        held.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        hidden = serialization.NoEncryption()
        held.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, hidden))
        return held

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
