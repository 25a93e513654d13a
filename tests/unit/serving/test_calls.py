"""What every protocol shares on its way to the model."""

from podium_serving.calls import PublicCalls, RequestIds
from podium_serving.metrics import Metrics
from podium_serving.state import ServingState


def test_ids_are_never_the_same() -> None:
    one, other = RequestIds(), RequestIds()
    assert len({one(), one(), other(), other()}) == 4


def test_where_there_are_several_models_one_must_be_named() -> None:
    calls = PublicCalls({"churn": ServingState(), "fraud": ServingState()}, Metrics("retention", "churn", process=False))
    wrong = calls.wrong_target("", "", calls.enter(calls.model_named("")))
    assert str(wrong) == "say which model is asked: /models/{model}/score; this endpoint serves 'churn', 'fraud'"
    assert wrong is not None
    assert wrong.http_status == 404
