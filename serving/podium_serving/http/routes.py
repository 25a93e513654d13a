"""Which paths the lane answers itself, and in which dialect. Pure."""

from dataclasses import dataclass, field
from urllib.parse import unquote

from podium_serving.http.dialects.dialect import Dialect
from podium_serving.http.dialects.infer import Infer

_INFER = Infer()


@dataclass(frozen=True, slots=True)
class Target:
    """What a path asks for."""

    model: str
    """Empty: the only one that is here."""
    version: str
    """Empty: none was named."""
    dialect: Dialect
    url: bytes = field(default=b"", compare=False)
    """As it came. For whoever writes down what was asked."""


def target_of(url: bytes) -> Target | None:
    """`/v2/models/{m}[/versions/{v}]/infer`, with or without a query; None for any path that is the application's."""
    parts = url.partition(b"?")[0].split(b"/")
    if parts[:3] != [b"", b"v2", b"models"] or parts[-1] != b"infer":
        return None
    if len(parts) == 5:
        return Target(_unquoted(parts[3]), "", _INFER, url)
    if len(parts) == 7 and parts[4] == b"versions":
        return Target(_unquoted(parts[3]), _unquoted(parts[5]), _INFER, url)
    return None


def _unquoted(part: bytes) -> str:
    return unquote(part.decode("latin-1"))
