"""Templates and static files, read once, and the answers that are made of them."""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from jinja2 import ChoiceLoader, PackageLoader
from starlette.requests import Request
from starlette.responses import Response

from podium_pages.html import STYLES, environment, templates

_MEDIA = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_LEAST_GZIP = 2048

SECURITY: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer of the dashboard. The policy allows files of ours alone: what was captured can never be a script."""


@dataclass(frozen=True)
class StaticFile:
    content: bytes
    media: str
    version: str
    """Of its content: an address with it may be kept for ever."""


class Pages:
    def __init__(self) -> None:
        self.files = {path.name: _static(path.name, path.read_bytes()) for path in _folder("static").iterdir()}
        self.files["podium.css"] = _static("podium.css", STYLES)
        self._templates = environment(ChoiceLoader([PackageLoader("podium_monitor.dashboard", "templates"), templates()]))
        self._templates.globals.update(static=self._address)
        for name in self._templates.list_templates(["html"]):
            self._templates.get_template(name)  # compiled now: it takes longer than a page

    def _address(self, name: str) -> str:
        return f"/static/{name}?v={self.files[name].version}"

    def rendered(self, template: str, content: Mapping[str, Any]) -> bytes:
        return self._templates.get_template(template).render(content).encode()


def answer(content: bytes, request: Request, status: int = 200) -> Response:
    """With an ETag, packed if the browser can unpack it. Nothing of it is stored: it is for one person and one moment."""
    etag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
    headers = {"ETag": etag, "Cache-Control": "no-store", "Vary": "Cookie, Accept-Encoding"}
    if status == 200 and request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    if len(content) >= _LEAST_GZIP and "gzip" in request.headers.get("accept-encoding", ""):
        content = gzip.compress(content, 4)
        headers["Content-Encoding"] = "gzip"
    return Response(content, status, headers, "text/html; charset=utf-8")


def _folder(name: str) -> Any:
    return resources.files("podium_monitor.dashboard") / name


def _static(name: str, content: bytes) -> StaticFile:
    return StaticFile(content, _MEDIA[name.rpartition(".")[2]], hashlib.sha256(content).hexdigest()[:16])
