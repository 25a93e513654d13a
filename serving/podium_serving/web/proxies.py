"""Which proxy the environment names for an address: http_proxy, https_proxy, all_proxy, no_proxy."""

from podium_serving.web.addresses import Origin, Proxy, proxy_of


def proxy_for(origin: Origin) -> Proxy | None:
    """None: it is spoken to directly. Raises NoAddress for a proxy that is none."""
    import urllib.request  # imports http.client, email and more: for those who fetch over a proxy's reach

    if urllib.request.proxy_bypass(origin.authority):
        return None
    named = urllib.request.getproxies()
    url = named.get(origin.scheme) or named.get("all")
    return proxy_of(url) if url else None
