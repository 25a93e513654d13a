"""Where a request goes, from text to values: addresses, what is written first, what a redirect leads to. Pure."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote, urljoin, urlsplit

_PORTS = {"http": 80, "https": 443}
_IPV4 = re.compile(r"[0-9]+(\.[0-9]+){3}")
_KEPT = "%/:?#[]@!$&'()*+,;=-._~"
"""Characters that an address keeps; it is taken to be escaped already."""


class NoAddress(ValueError):
    """The text names nothing that could be asked by HTTP."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who is spoken to. What was meant for one is not shown to another."""

    scheme: str
    host: str
    port: int

    @property
    def secure(self) -> bool:
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def is_numeric(self) -> bool:
        """The host is an address, not a name that may have several."""
        return ":" in self.host or _IPV4.fullmatch(self.host) is not None


@dataclass(frozen=True, slots=True)
class Address:
    origin: Origin
    target: str
    """Path and query, escaped."""

    @property
    def absolute(self) -> str:
        return f"{self.origin.url}{self.target}"


@dataclass(frozen=True, slots=True)
class Proxy:
    origin: Origin
    authorization: str = ""
    """For Proxy-Authorization; empty: none."""


def address_of(url: str) -> Address:
    """Raises NoAddress."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
        target = quote(parts.path, safe=_KEPT) or "/"
        query = quote(parts.query, safe=_KEPT)
    except ValueError as error:
        raise NoAddress(f"{url[:200]!r} is no address: {error}") from error
    if parts.scheme not in _PORTS or not host:
        raise NoAddress(f"{url[:200]!r} is no address: it is http:// or https:// and a host")
    origin = Origin(parts.scheme, host, _PORTS[parts.scheme] if port is None else port)
    return Address(origin, f"{target}?{query}" if query else target)


def proxy_of(url: str) -> Proxy:
    """A proxy as the environment writes it, perhaps without a scheme. Raises NoAddress."""
    url = url if "://" in url else f"http://{url}"
    origin = address_of(url).origin
    user, at, _ = urlsplit(url).netloc.rpartition("@")
    return Proxy(origin, "Basic " + base64.b64encode(unquote(user).encode()).decode() if at else "")


def redirected(address: Address, location: str, headers: Mapping[str, str]) -> tuple[Address, dict[str, str]]:
    """Where a redirect leads, and what is sent along: no credential to another origin. Raises NoAddress."""
    to = address_of(urljoin(address.absolute, location))
    same = to.origin == address.origin
    return to, {name: value for name, value in headers.items() if same or name.lower() not in ("authorization", "cookie")}


def request_head(method: str, target: str, headers: Mapping[str, str]) -> bytes:
    """The first bytes of a request. Raises ValueError for a header that would be read as two."""
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    for line in lines:
        if "\r" in line or "\n" in line or "\0" in line:
            raise ValueError(f"{line.partition(':')[0][:100]!r} holds a line break")
    return "\r\n".join([*lines, "", ""]).encode(errors="surrogateescape")
