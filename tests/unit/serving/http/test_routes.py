"""Which paths are answered by the lane, and by which dialect."""

import pytest

from podium_serving.http.dialects.infer import Infer
from podium_serving.http.dialects.predict import Predict
from podium_serving.http.routes import target_of


@pytest.mark.parametrize(
    ("url", "target"),
    [
        pytest.param(b"/v2/models/churn/infer", ("churn", ""), id="model"),
        pytest.param(b"/v2/models/churn/versions/churn-3/infer", ("churn", "churn-3"), id="version"),
        pytest.param(b"/v2/models/a%20b/infer?x=/infer", ("a b", ""), id="escaped-and-query"),
        pytest.param(b"/v2/models/churn/ready", None, id="ready"),
        pytest.param(b"/v2/models/infer", None, id="too-short"),
        pytest.param(b"/v2/models/churn/version/3/infer", None, id="misspelt"),
        pytest.param(b"/v1/models/churn/infer", None, id="other-protocol"),
        pytest.param(b"/v1/models/churn", None, id="v1-readiness"),
        pytest.param(b"/v1/models/churn:explain", None, id="v1-explain"),
        pytest.param(b"/v2/models/churn/infer/", None, id="slash-at-the-end"),
        pytest.param(b"/", None, id="root"),
    ],
)
def test_inference_paths(url: bytes, target: tuple[str, str] | None) -> None:
    found = target_of(url)
    assert (found and (found.model, found.version)) == target
    assert found is None or isinstance(found.dialect, Infer)


@pytest.mark.parametrize(
    ("url", "model"),
    [
        pytest.param(b"/v1/models/churn:predict", "churn", id="model"),
        pytest.param(b"/v1/models/a%3Ab:predict?x=1", "a:b", id="escaped-and-query"),
        pytest.param(b"/v1/models/:predict", "", id="no-name"),
    ],
)
def test_predictions_of_the_first_protocol(url: bytes, model: str) -> None:
    found = target_of(url)
    assert found is not None
    assert isinstance(found.dialect, Predict)
    assert (found.model, found.version) == (model, "")
