"""What is measured of a version: which columns against which reference, which output against the label, in which groups.

Pure: from the deployment's wishes and what the package says of itself. A version without a reference is measured by its
labels alone.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from podium_crds.package import Descriptor, InputSpec, OutputSpec
from podium_crds.profile import CategoricalProfile, ColumnProfile, Profile
from podium_crds.v1alpha1.model_deployment import ModelDeploymentSpec
from podium_evaluation.expressions import Expression, ExpressionError, parse
from podium_evaluation.grids import Grid, grid_of
from podium_evaluation.sequences import Floats

Cell = Literal["Number", "Text", "Truth"]
"""Truth: true and false, which the reference spells True and False."""
Task = Literal["Binary", "Multiclass", "Regression", "Unknown"]
SUMMARY_FORMAT = 4
"""Part of every subject's identity: summaries of another format are computed anew."""
MOST_CLASSES = 20


@dataclass(frozen=True)
class NumericColumn:
    name: str
    grid: Grid
    edges: tuple[float, ...]
    """Of the profile: its bins are what PSI and the histograms are of."""
    counts: Floats
    """The reference in the grid's bins."""
    coarse_counts: Floats
    """The reference in the profile's bins, missing last."""
    deviation: float

    @cached_property
    def coarse_of(self) -> np.ndarray:
        """The profile's bin of each bin of the grid."""
        return self.grid.coarse(self.edges)


@dataclass(frozen=True)
class TextColumn:
    name: str
    categories: tuple[str, ...]
    counts: Floats
    """The reference by category, then missing, then all further ones."""
    known: frozenset[str] | None
    """None: the reference has more categories than were written down, so that nobody can say what is unseen."""


@dataclass(frozen=True)
class Outputs:
    """Which outputs are compared with the label. Names as the model calls them; None: it has no such output."""

    task: Task
    label: str | None = None
    probabilities: str | None = None
    value: str | None = None
    classes: tuple[str, ...] = ()
    positive: int = 1


@dataclass(frozen=True)
class Subject:
    digest: str
    outputs: Outputs
    columns: tuple[NumericColumn | TextColumn, ...] = ()
    of_outputs: tuple[NumericColumn | TextColumn, ...] = ()
    inputs: Mapping[str, Cell] = field(default_factory=dict)
    """Inputs that are read, and as what."""
    answers: Mapping[str, Cell | tuple[str, ...]] = field(default_factory=dict)
    """Outputs that are read; a tuple names the numbers of one that has several per row."""
    segments: Mapping[str, tuple[float, ...] | None] = field(default_factory=dict)
    """Column to the edges of its quarters; None: by value."""
    protected: tuple[str, ...] = ()
    values: Mapping[str, Expression] = field(default_factory=dict)
    """KPIs by name."""
    origin: float = 0.0
    """Near the mean of a number that is predicted."""
    parameters: int | None = None
    """That the model was fitted with. None: the package does not say."""

    @cached_property
    def identity(self) -> str:
        """Changes when summaries of the same rows would."""
        parts = [
            SUMMARY_FORMAT, self.digest, repr(self.outputs), [column.name for column in self.columns],
            [column.name for column in self.of_outputs], sorted(self.segments), self.protected,
            {name: value.text for name, value in self.values.items()}, self.origin,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def subject_of(
    spec: ModelDeploymentSpec,
    digest: str,
    descriptor: Descriptor | None,
    profile: Profile | None,
    sample: Mapping[str, Sequence[Any]] | None,
) -> Subject:
    """`sample`: the columns of reference.parquet, without which distances between distributions are by the profile's bins
    alone. Inputs that are redacted or hashed are left out: they have no distribution that a reference has."""
    watched = spec.monitoring
    hidden = {*spec.capture.redact, *spec.capture.hash}
    inputs = [one for one in (descriptor.inputs if descriptor else []) if one.name not in hidden and _is_single(one)]
    profiled = profile.inputs if profile else {}
    columns = tuple(
        _column(one.name, profiled[one.name], (sample or {}).get(one.name), one) for one in inputs if one.name in profiled
    )
    numeric = {column.name: column for column in columns if isinstance(column, NumericColumn)}
    outputs = outputs_of(spec, descriptor)
    of_outputs = _of_outputs(descriptor, profile, sample, hidden)
    values = [column for column in of_outputs if column.name == outputs.value and isinstance(column, NumericColumn)]
    return Subject(
        digest=digest,
        outputs=outputs,
        columns=columns,
        of_outputs=of_outputs,
        inputs=_inputs(spec, inputs, columns),
        answers=_answers(descriptor, hidden, outputs),
        segments={
            name: _quarters(numeric[name]) if name in numeric else None for name in watched.segments if name not in hidden
        },
        protected=tuple(watched.fairness.protected) if watched.fairness else (),
        values=_values(spec),
        origin=_middle(values[0]) if values else 0.0,
        parameters=descriptor.training.parameters if descriptor else None,
    )


def outputs_of(spec: ModelDeploymentSpec, descriptor: Descriptor | None) -> Outputs:
    """By spec.monitoring.prediction, else by what the package says of its outputs: probabilities before labels before
    values. Without a package: what Podium's own packages call them."""
    wished = spec.monitoring.prediction
    if descriptor is None:
        return Outputs("Unknown", label=wished.output or "label", probabilities="probabilities")
    label = _first(descriptor.outputs, "Label", wished.output)
    probabilities = _first(descriptor.outputs, "Probabilities", wished.output)
    value = _first(descriptor.outputs, "Value", wished.output) or _raw(descriptor, wished.output)
    if value is not None and (probabilities is None or wished.output == value.name) and label is None:
        return Outputs("Regression", value=value.name)
    classes = tuple((probabilities and probabilities.classes) or (label and label.classes) or ())
    if not classes or (label is None and probabilities is None):
        return Outputs("Unknown", label=label.name if label else None)
    positive = classes.index(wished.positive_class) if wished.positive_class in classes else len(classes) - 1
    return Outputs(
        task="Binary" if len(classes) == 2 else "Multiclass",
        label=label.name if label else None,
        probabilities=probabilities.name if probabilities and len(classes) <= MOST_CLASSES else None,
        classes=classes,
        positive=positive,
    )


def _values(spec: ModelDeploymentSpec) -> dict[str, Expression]:
    """An expression that cannot be read has no value: whoever applied it is told so by the operator."""
    found = {}
    for kpi in spec.monitoring.business:
        try:
            found[kpi.name] = parse(kpi.expression)
        except ExpressionError:
            continue
    return found


def _inputs(
    spec: ModelDeploymentSpec, inputs: Sequence[InputSpec], columns: Sequence[NumericColumn | TextColumn]
) -> dict[str, Cell]:
    """Those with a reference, and those that something is told apart by or computed from."""
    watched = spec.monitoring
    named = {*watched.segments, *(watched.fairness.protected if watched.fairness else ())}
    for expression in _values(spec).values():
        named |= {one.removeprefix("input.") for one in expression.columns if one.startswith("input.")}
    cells = {one.name: _cell(one.datatype) for one in inputs}
    profiled = {column.name: column for column in columns}
    return {
        name: cells.get(name, "Text") for name in [*profiled, *sorted(named - set(profiled))] if name in cells or not inputs
    }


def _answers(descriptor: Descriptor | None, hidden: set[str], outputs: Outputs) -> dict[str, Cell | tuple[str, ...]]:
    if descriptor is None:
        return {outputs.label or "label": "Text"}
    found: dict[str, Cell | tuple[str, ...]] = {}
    for output in descriptor.outputs:
        width = output.shape[1] if len(output.shape) == 2 else 1
        if output.name in hidden or len(output.shape) > 2:
            continue
        if len(output.shape) == 2 and width != 1:
            names = tuple(output.classes or (str(index) for index in range(max(width, 0))))
            if 0 < len(names) <= MOST_CLASSES:
                found[output.name] = names
        else:
            found[output.name] = "Text" if output.kind == "Label" else _cell(output.datatype)
    return found


def _cell(datatype: str) -> Cell:
    return "Text" if datatype == "BYTES" else "Truth" if datatype == "BOOL" else "Number"


def _first(outputs: Sequence[OutputSpec], kind: str, wished: str | None) -> OutputSpec | None:
    found = [output for output in outputs if output.kind == kind]
    return next((output for output in found if output.name == wished), found[0] if found else None)


def _raw(descriptor: Descriptor, wished: str | None) -> OutputSpec | None:
    """A number of which nobody said what it is: a value where the task is a regression or the user names it."""
    for output in descriptor.outputs:
        if output.kind == "Raw" and (output.name == wished or descriptor.task == "Regression"):
            return output
    return None


def _is_single(one: InputSpec) -> bool:
    return len(one.shape) == 1 or (len(one.shape) == 2 and one.shape[1] == 1)


def _of_outputs(
    descriptor: Descriptor | None, profile: Profile | None, sample: Mapping[str, Sequence[Any]] | None, hidden: set[str]
) -> tuple[NumericColumn | TextColumn, ...]:
    found: list[NumericColumn | TextColumn] = []
    if descriptor is None or profile is None:
        return ()
    for output in descriptor.outputs:
        if output.name in hidden:
            continue
        rows = (sample or {}).get(f"output.{output.name}")
        if output.name in profile.outputs:
            found.append(_column(output.name, profile.outputs[output.name], rows, None))
        elif output.classes and len(output.classes) <= MOST_CLASSES:
            for index, one in enumerate(output.classes):
                name = f"{output.name}[{one}]"
                if name in profile.outputs:
                    values = None if rows is None else [row[index] for row in rows]
                    found.append(_column(name, profile.outputs[name], values, None))
    return tuple(found)


def _column(
    name: str, profile: ColumnProfile, rows: Sequence[Any] | None, spec: InputSpec | None
) -> NumericColumn | TextColumn:
    if isinstance(profile, CategoricalProfile):
        return _text_column(name, profile, spec)
    values = np.array([], dtype=np.float64)
    if rows is not None:
        values = np.array([np.nan if value is None else value for value in rows], dtype=np.float64)
    present = values[~np.isnan(values)]
    grid = grid_of(present, tuple(profile.edges))
    return NumericColumn(
        name=name,
        grid=grid,
        edges=tuple(profile.edges),
        counts=grid.count(present),
        coarse_counts=np.array([*profile.counts, profile.missing], dtype=np.float64),
        deviation=profile.standard_deviation or 0.0,
    )


def _text_column(name: str, profile: CategoricalProfile, spec: InputSpec | None) -> TextColumn:
    categories = tuple(sorted(profile.counts, key=lambda one: (-profile.counts[one], one)))
    listed = spec.categories if spec else None
    known = frozenset(listed) if listed else (None if profile.other else frozenset(categories))
    counts = [*(profile.counts[one] for one in categories), profile.missing, profile.other]
    return TextColumn(name, categories, np.array(counts, dtype=np.float64), known)


def _quarters(column: NumericColumn) -> tuple[float, ...]:
    """Edges of the reference's quarters, as near as its bins allow."""
    shares = np.cumsum(column.counts)
    if not len(shares) or shares[-1] == 0:
        return column.edges[len(column.edges) // 2 :][:1]
    wanted = [int(np.searchsorted(shares, shares[-1] * quarter / 4)) for quarter in (1, 2, 3)]
    edges = column.grid.edges
    return tuple(sorted({edges[min(place, len(edges) - 1)] for place in wanted}))


def _middle(column: NumericColumn) -> float:
    return float(np.median(column.edges)) if column.edges else 0.0
