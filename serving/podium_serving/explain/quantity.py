"""Which number of an answer is explained, and on which scale. Pure."""

from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from podium_crds.package import Descriptor, OutputSpec
from podium_serving.exchange import Columns, InvalidRequest
from podium_serving.explain.cells import NotExplainable
from podium_serving.explain.coalitions import Floats

Scale = Literal["Probability", "LogOdds", "Value"]

PRECISION: dict[Scale, float] = {"Probability": 0.01, "LogOdds": 0.05}
"""The error that is good enough where the client names none. Of values: a hundredth of the background's range."""

_CLIPPED = 1e-6
"""A probability of exactly 0 or 1 has no log-odds; this far from it has 13.8, and FP32 tells no finer."""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client may say about the explanation it wants."""

    top: int = 5
    """Contributions that are listed, largest first; the others are summed."""
    target: str = ""
    """A class, or an output as `name` or `name[2]`. Empty: the second of two classes, the predicted one of more, or the
    only value."""
    scale: Literal["Probability", "LogOdds"] | None = None
    """Of classes only; Probability where nothing is said."""
    precision: float | None = None
    """The error to stop at, in the scale's units."""

    def checked(self) -> "Options":
        """Raises InvalidRequest naming the field that is out of range."""
        if self.top < 1:
            raise InvalidRequest(f"explain.top is {self.top}, must be at least 1")
        if self.precision is not None and not 0 < self.precision < float("inf"):
            raise InvalidRequest(f"explain.precision is {self.precision}, must be a number above 0")
        return self


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number per row."""

    name: str
    output: str
    position: int
    """Among the values of a row of that output."""
    scale: Scale

    def of(self, answers: Columns) -> Floats:
        """Shape (rows,). Raises NotExplainable when one is not finite: contributions of infinity mean nothing."""
        array = answers[self.output]
        values = array.reshape(len(array), -1)[:, self.position].astype(np.float64)
        if not np.isfinite(values).all():
            raise NotExplainable(f"the model answers '{self.name}' with NaN or infinity: that cannot be explained")
        if self.scale == "LogOdds":
            clipped = np.clip(values, _CLIPPED, 1 - _CLIPPED)
            return np.log(clipped / (1 - clipped))
        return values

    def precision(self, wanted: float | None, values: Floats) -> float:
        """`values`: of the background and of the explained row."""
        return wanted or PRECISION.get(self.scale) or max(float(np.ptp(values)) / 100, float(np.finfo(float).tiny))


def quantity(descriptor: Descriptor, options: Options, answer: Columns) -> Quantity:
    """What of `answer`, the outputs of a single row, is explained. Raises InvalidRequest listing what there is."""
    choices = _choices(descriptor, answer)
    if not choices:
        raise NotExplainable("this model answers with labels only: there is no probability or value to explain")
    chosen = choices.get(options.target) if options.target else _usual(choices, answer)
    if chosen is None:
        names = [f"'{name}'" for name in choices]
        listed = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        said = f"there is no '{options.target[:80]}'" if options.target else "the model answers several values"
        raise InvalidRequest(f"explain.target: {said}; it is one of {listed}")
    if chosen.scale == "Value" and options.scale is not None:
        raise InvalidRequest(f"explain.scale is {options.scale}, but '{chosen.name}' is no probability: leave it out")
    return Quantity(chosen.name, chosen.output, chosen.position, options.scale or chosen.scale)


def _choices(descriptor: Descriptor, answer: Columns) -> dict[str, Quantity]:
    """By the name that a client uses. Where there are probabilities, nothing else is offered by default."""
    found: dict[str, Quantity] = {}
    for spec in sorted(descriptor.outputs, key=lambda spec: spec.kind != "Probabilities"):
        if spec.kind == "Label" or spec.datatype in ("BYTES", "BOOL"):
            continue
        width = answer[spec.name][0].size
        for position in range(width):
            scale: Scale = "Probability" if spec.kind == "Probabilities" else "Value"
            name = _name(spec, width, position)
            found.setdefault(name, Quantity(name, spec.name, position, scale))
    return found


def _name(spec: OutputSpec, width: int, position: int) -> str:
    if spec.kind == "Probabilities" and spec.classes is not None and len(spec.classes) == width:
        return spec.classes[position]
    return spec.name if width == 1 else f"{spec.name}[{position}]"


def _usual(choices: dict[str, Quantity], answer: Columns) -> Quantity | None:
    """None: there is no usual one."""
    chances = [choice for choice in choices.values() if choice.scale == "Probability"]
    if len(chances) == 2:
        return chances[1]
    if chances:
        output = chances[0].output
        likeliest = int(answer[output][0].argmax())
        return next(choice for choice in chances if choice.output == output and choice.position == likeliest)
    return next(iter(choices.values())) if len(choices) == 1 else None
