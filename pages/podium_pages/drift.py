"""What the tests of drift say, column by column, as a table."""

from collections.abc import Mapping, Sequence

from podium_evaluation.documents import ColumnDrift
from podium_pages import words
from podium_pages.charts.frame import Table
from podium_pages.parts import SIGNS


def drift_tests(columns: Sequence[str], found: Mapping[str, ColumnDrift]) -> Table:
    """A row for each of `columns` that was looked at, in their order."""
    return Table(
        ["Column", "Alert", "PSI", "PSI by chance", "Statistic", "p", "Jensen–Shannon", "Wasserstein (sd)"],
        [_row(column, found[column]) for column in columns if column in found],
    )


def _row(column: str, one: ColumnDrift) -> list[str]:
    alert = words.NOTHING
    if one.alert:
        alert = f"{SIGNS['Critical' if one.severity == 'Critical' else 'Warning']} {one.severity}"
    distances = (one.psi, one.psi_threshold, one.statistic)
    return [
        column,
        alert,
        *(words.number(value) for value in distances),
        words.number(one.p_value, 2),
        words.number(one.jensen_shannon),
        words.number(one.wasserstein),
    ]
