"""Pod addresses in URLs: the control client and the scraper ask the same pods."""


def url_host(address: str) -> str:
    """An IPv6 address stands in brackets."""
    return f"[{address}]" if ":" in address else address
