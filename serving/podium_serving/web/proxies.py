"""Which proxy the environment names for an origin: http_proxy, https_proxy, all_proxy, no_proxy, as curl reads them.

urllib knows the same, and brings http.client and email with it: 2 MB in every pod that fetched a package.
"""

from collections.abc import Mapping

from podium_serving.web.addresses import Origin, Proxy, proxy_of


def proxy_for(origin: Origin, environment: Mapping[str, str]) -> Proxy | None:
    """None: it is spoken to directly. Names in lower case win. Raises NoAddress for a proxy that is none."""
    named = {name.lower(): value for name, value in environment.items() if value and name.isupper()}
    named |= {name: value for name, value in environment.items() if value and name.islower()}
    if any(_names(entry.strip().lower(), origin) for entry in named.get("no_proxy", "").split(",")):
        return None
    url = named.get(f"{origin.scheme}_proxy") or named.get("all_proxy")
    return proxy_of(url) if url else None


def _names(entry: str, origin: Origin) -> bool:
    """Whether an entry of no_proxy means the origin: itself or a domain above it, for one port or for all."""
    if entry == "*":
        return True
    for host in (origin.host, f"{origin.host}:{origin.port}", origin.authority):
        if entry and (host == entry.lstrip(".") or host.endswith("." + entry.lstrip("."))):
            return True
    return False
