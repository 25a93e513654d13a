"""What every protocol shares on its way to the model."""

import sys
import time

from podium_serving.calls import _ENDINGS, PublicCalls, RequestIds
from podium_serving.metrics import Metrics
from podium_serving.served import Serving
from podium_serving.state import ServingState
from podium_serving.traffic.factory import ResponderFactory
from traffic_fixtures import LIMITS, SumModel, metrics, plan, serving, settings


def test_ids_are_never_the_same() -> None:
    one, other = RequestIds(), RequestIds()
    made = [ids() for ids in (one, other) for _ in range(10_000)]
    assert len(set(made)) == len(made)
    assert all(len(text) <= 32 for text in made)
    assert [int(text.rpartition("-")[2], 16) for text in made] == [*range(10_000), *range(10_000)]


def test_what_makes_ids_quick_takes_no_memory_to_speak_of() -> None:
    assert sum(map(sys.getsizeof, _ENDINGS)) < 20_000


def test_where_there_are_several_models_one_must_be_named() -> None:
    calls = PublicCalls({"churn": ServingState(), "fraud": ServingState()}, Metrics("retention", "churn", process=False))
    wrong = calls.wrong_target("", "", calls.enter(calls.model_named("")))
    assert str(wrong) == "say which model is asked: /models/{model}/score; this endpoint serves 'churn', 'fraud'"
    assert wrong is not None
    assert wrong.http_status == 404


class Looked(ServingState):
    """A state that knows when it was looked at, and takes its time for it."""

    def __init__(self, serving: Serving) -> None:
        self.looks: list[float] = []
        self._serving: Serving | None = serving
        super().__init__()

    @property
    def current(self) -> Serving | None:
        self.looks.append(_in_a_moment())
        _in_a_moment()
        return self._serving

    @current.setter
    def current(self, serving: Serving | None) -> None:
        """What was given first stays."""


def _in_a_moment() -> float:
    """Unix seconds; before and after it the clock has moved."""
    for _ in range(2):
        began = time.time()
        while time.time() <= began:
            pass
    return time.time()


async def test_the_moments_of_admission_enclose_the_look_at_the_plan() -> None:
    """Else a flip between the two would make requests of both plans seem to overlap, in one process or in several."""
    model, only = SumModel(), plan()
    served = serving(only, ResponderFactory(settings(), metrics(), LIMITS)(only, model, model.descriptor), model)
    state = Looked(served)
    calls = PublicCalls({"churn": state}, Metrics("retention", "churn", process=False))
    for number in range(3):
        assert calls.enter("churn") is served
        assert served.last_admitted is not None
        assert served.last_admitted < state.looks[number]
    assert served.first_admitted is not None
    assert state.looks[0] < served.first_admitted < state.looks[1]
