"""Which paths the lane answers itself, and in which dialect. Pure."""

from dataclasses import dataclass, field
from urllib.parse import unquote

from podium_serving.http.dialects.dialect import Dialect
from podium_serving.http.dialects.explain import Explain
from podium_serving.http.dialects.infer import Infer
from podium_serving.http.dialects.predict import Predict
from podium_serving.http.dialects.score import Score

_INFER = Infer()
_PREDICT = Predict()
_PREDICT_VERB = b":predict"
_NAMED_COLUMNS: dict[bytes, Dialect] = {b"score": Score(), b"explain": Explain()}


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
    """`/v2/models/{m}[/versions/{v}]/infer`, `/v1/models/{m}:predict`, `[/models/{m}]/score` and `…/explain`, with or
    without a query.

    None for any path that is the application's.
    """
    parts = url.partition(b"?")[0].split(b"/")
    named = _NAMED_COLUMNS.get(parts[-1])
    if named is not None:
        return _named_columns(url, parts, named)
    if parts[-1].endswith(_PREDICT_VERB) and len(parts) == 4 and parts[:3] == [b"", b"v1", b"models"]:
        return Target(_unquoted(parts[3].removesuffix(_PREDICT_VERB)), "", _PREDICT, url)
    if parts[:3] != [b"", b"v2", b"models"] or parts[-1] != b"infer":
        return None
    if len(parts) == 5:
        return Target(_unquoted(parts[3]), "", _INFER, url)
    if len(parts) == 7 and parts[4] == b"versions":
        return Target(_unquoted(parts[3]), _unquoted(parts[5]), _INFER, url)
    return None


def _named_columns(url: bytes, parts: list[bytes], dialect: Dialect) -> Target | None:
    if len(parts) == 2 and parts[0] == b"":
        return Target("", "", dialect, url)
    if len(parts) == 4 and parts[:2] == [b"", b"models"]:
        return Target(_unquoted(parts[2]), "", dialect, url)
    return None


def _unquoted(part: bytes) -> str:
    return unquote(part.decode("latin-1"))
