"""A real registry (Debian's docker-registry) on this machine, open, with passwords, or with a token server before it."""

import base64
import contextlib
import datetime
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from ports import free_port

USER, PASSWORD = "scientist", "secret"
_HTPASSWD = f"{USER}:$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"
_STARTS_WITHIN_SECONDS = 180.0
_ISSUER, _SERVICE = "test-issuer", "test-registry"


@dataclass(frozen=True)
class RunningRegistry:
    host: str
    folder: Path
    log: Path

    def manifest(self, repository: str, name: str, **options: Any) -> Any:
        headers = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
        return requests.get(f"http://{self.host}/v2/{repository}/manifests/{name}", headers=headers, timeout=60, **options)

    def requests_seen(self, method: str) -> int:
        return self.log.read_text().count(f"http.request.method={method} ")


@contextlib.contextmanager
def registry(folder: Path, auth: dict[str, Any] | None = None) -> Iterator[RunningRegistry]:
    """Runs docker-registry until the block ends. `auth` is that part of its configuration."""
    program = shutil.which("docker-registry")
    assert program, "docker-registry is missing: apt-get install docker-registry"
    port = free_port()
    configuration = {
        "version": "0.1",
        "log": {"level": "debug", "formatter": "text"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": f"127.0.0.1:{port}"},
    } | ({"auth": auth} if auth else {})
    (folder / "registry.yaml").write_text(yaml.safe_dump(configuration))
    log = folder / "registry.log"
    with log.open("wb") as sink:
        process = subprocess.Popen([program, "serve", str(folder / "registry.yaml")], stdout=sink, stderr=sink)
    try:
        _wait_until_up(process, port, log)
        yield RunningRegistry(f"127.0.0.1:{port}", folder, log)
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait_until_up(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise AssertionError(f"docker-registry did not start: {log.read_text()[-500:]}")


def password_auth(folder: Path) -> dict[str, Any]:
    (folder / "htpasswd").write_text(_HTPASSWD)
    return {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}}


def docker_config(folder: Path, host: str, password: str = PASSWORD) -> Path:
    """A DOCKER_CONFIG folder as `docker login` leaves it."""
    folder.mkdir(parents=True, exist_ok=True)
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return folder


@contextlib.contextmanager
def token_auth(folder: Path) -> Iterator[dict[str, Any]]:
    """The registry's configuration for a token server that grants exactly the scopes that are asked for, to USER only."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    certificate = _certificate(key)
    (folder / "root.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.headers.get("Authorization") != expected:
                self.send_response(401)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            scopes = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).get("scope", [])
            body = json.dumps({"token": _token(key, certificate, scopes)}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        realm = f"http://127.0.0.1:{server.server_address[1]}/token"
        yield {"token": {"realm": realm, "service": _SERVICE, "issuer": _ISSUER, "rootcertbundle": str(folder / "root.pem")}}
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _certificate(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _ISSUER)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - datetime.timedelta(hours=1))
    builder = builder.not_valid_after(now + datetime.timedelta(hours=1))
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())


def _token(key: rsa.RSAPrivateKey, certificate: x509.Certificate, scopes: list[str]) -> str:
    access = []
    for scope in " ".join(scopes).split():
        kind, name, actions = scope.split(":", 2)
        access.append({"type": kind, "name": name, "actions": actions.split(",")})
    now = int(datetime.datetime.now(datetime.UTC).timestamp())
    encoded = base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()
    header = {"typ": "JWT", "alg": "RS256", "x5c": [encoded]}
    claims = {
        "iss": _ISSUER,
        "sub": USER,
        "aud": _SERVICE,
        "exp": now + 300,
        "nbf": now - 60,
        "iat": now,
        "jti": "1",
        "access": access,
    }
    signed = f"{_part(header)}.{_part(claims)}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
