"""The contents of profile.json: the bins and counts that drift is measured against.

The packager writes them once from the sample; the monitor counts production rows into the same bins. Bins are
half-open to the right: value v lies in bin i when edges[i-1] <= v < edges[i], so n edges make n + 1 bins.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

NUMERIC_BINS = 10
MAX_PROFILED_CATEGORIES = 1_000


class _Wire(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NumericProfile(_Wire):
    """Counts in bins between the sample's quantiles. Equal quantiles are one edge, so there may be fewer than ten bins; a
    value that quantiles repeat is a bin of its own, up to the next float."""

    type: Literal["Numeric"] = "Numeric"
    edges: list[float]
    counts: list[int]
    missing: int = 0
    mean: float | None = None
    standard_deviation: float | None = None


class CategoricalProfile(_Wire):
    """Counts of the most frequent categories; `other` counts the rows of all further ones."""

    type: Literal["Categorical"] = "Categorical"
    counts: dict[str, int] = Field(max_length=MAX_PROFILED_CATEGORIES)
    other: int = 0
    missing: int = 0
    unseen: int = 0
    """Always 0 in the sample: the bin that production rows with a new category fall into."""


ColumnProfile = Annotated[NumericProfile | CategoricalProfile, Field(discriminator="type")]


class Profile(_Wire):
    """Keyed by tensor name. An output of several numbers per row has one entry per number, `name[class or index]`."""

    schema_version: Literal[1] = 1
    rows: int
    inputs: dict[str, ColumnProfile]
    outputs: dict[str, ColumnProfile]
