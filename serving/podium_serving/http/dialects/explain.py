"""`POST /explain`: what `/score` takes and answers, always with reasons."""

from dataclasses import replace

from podium_serving.explain.quantity import Options
from podium_serving.http.dialects.dialect import Arrived
from podium_serving.http.dialects.score import Score
from podium_serving.score.form import Form
from podium_serving.score.message import Message


class Explain(Score):
    recorded = False  # a decision may be explained again and again, and was taken once

    def _message(self, arrived: Arrived, form: Form) -> Message:
        message = super()._message(arrived, form)
        return message if message.explain else replace(message, explain=Options())
