"""Telling people's requests from those of the cluster, on the port that both use."""

from starlette.requests import Request

_SIGNS = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


def came_through_a_proxy(request: Request) -> bool:
    """Whether an ingress or a gateway brought it: they all add one of these, and no client can take it off.

    What scrapes metrics connects to the pod itself. Metrics name every namespace, so whoever comes by the way of people must
    not get them; NetworkPolicy keeps the rest of the cluster out.
    """
    return any(name in request.headers for name in _SIGNS)
