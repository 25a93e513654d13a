"""`POST /score`: named columns in, label, probabilities by class and warnings out; reasons too where they are asked for."""

from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

from podium_serving.exchange import Answer, InferRequest, InvalidRequest, NotServing
from podium_serving.explain.explainer import Explainer
from podium_serving.explain.quantity import Options
from podium_serving.http.dialects.dialect import Arrived, Finish, Work, Written
from podium_serving.http.requests import ClientHeaders
from podium_serving.oip.codec import Codec
from podium_serving.score.answers import reasons, written
from podium_serving.score.form import Filled, Form
from podium_serving.score.message import Message, read_message
from podium_serving.served import Serving

EXPLAINER = Explainer()
"""One for all dialects of a process: they share its limit."""


class ScoreRequest(InferRequest):
    def __init__(self, arrived: Arrived, message: Message, filled: Filled, *, pinned_version: str, recorded: bool) -> None:
        super().__init__(
            filled.columns,
            len(message.rows),
            arrived.admitted_at,
            arrived.deadline,
            message.id or arrived.request_id,
            ClientHeaders(arrived.headers),
            pinned_version,
            recorded=recorded,
        )
        self.single = message.single
        self.warnings = filled.warnings
        """Per row."""
        self.explain = message.explain
        self.reasons: list[dict[str, Any]] | None = None
        """Per row, once they are found."""


class Score:
    recorded = True
    """Whether its answers are predictions that somebody acts on."""

    def __init__(self, explainer: Explainer = EXPLAINER) -> None:
        self._explainer = explainer
        # A codec lives as long as its version: what is made of the same descriptor goes with it.
        self._forms: WeakKeyDictionary[Codec, Form] = WeakKeyDictionary()
        self.finish: Finish | None = self._explain

    def read(self, arrived: Arrived) -> ScoreRequest:
        if arrived.head.inference_header_length is not None:
            raise InvalidRequest("this path takes JSON only; binary tensors are taken by /v2/models/{model}/infer")
        form = self._form(arrived.admitted)
        message = self._message(arrived, form)
        filled = form.filled(message.rows, arrived.outside_training, numbered=not message.single)
        return ScoreRequest(
            arrived,
            message,
            filled,
            # Reasons are those of the version that answers, and they can be found for the one that is here only.
            pinned_version=_own_version(arrived.admitted) if message.explain else "",
            recorded=self.recorded,
        )

    def write(self, arrived: Arrived, request: InferRequest, answer: Answer) -> Written:
        assert isinstance(request, ScoreRequest), "it was read here"
        return Written(
            written(
                arrived.admitted.descriptor,
                arrived.model,
                request.request_id,
                answer,
                request.warnings,
                request.reasons,
                single=request.single,
            )
        )

    def _message(self, arrived: Arrived, form: Form) -> Message:
        return read_message(arrived.body, form.names)

    def _form(self, admitted: Serving) -> Form:
        form = self._forms.get(admitted.codec)
        if form is None:
            form = self._forms[admitted.codec] = Form(admitted.descriptor)
        return form

    def _explain(self, arrived: Arrived, request: InferRequest, answer: Answer) -> Work | None:
        assert isinstance(request, ScoreRequest), "it was read here"
        return None if request.explain is None else partial(self._found, arrived, request, answer, request.explain)

    async def _found(self, arrived: Arrived, request: ScoreRequest, answer: Answer, options: Options) -> None:
        model, answers = arrived.admitted.model, answer.columns
        assert model is not None, "refused when it was read"
        found = await self._explainer.explain(model, request.columns, request.rows, answers, options, request.deadline)
        request.reasons = [reasons(explanation, options) for explanation in found]


def _own_version(admitted: Serving) -> str:
    if admitted.model is None:
        raise NotServing("the version that answers is moving to other pods, and only there it can be explained; try again")
    return admitted.plan.champion.version.name
