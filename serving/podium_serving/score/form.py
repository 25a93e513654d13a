"""Named values as a model's columns. On the quick road whole columns are converted at once; only when something does not
fit is each value looked at, to say everything that is wrong and what would be right. Pure."""

from dataclasses import dataclass
from difflib import get_close_matches

from podium_crds.package import Descriptor
from podium_serving.exchange import Columns, InvalidRequest
from podium_serving.score.fields import MAX_PROBLEMS, Field, field_of, listed, some
from podium_serving.score.message import Row
from podium_serving.settings import OutsideTraining

MAX_WARNINGS = 20
"""Of one row."""
MAX_VALUES = 500_000
"""Of one request, absent ones too: a row of two bytes may ask for hundreds, at a microsecond each."""


@dataclass(frozen=True, slots=True)
class Filled:
    """Rows that fit the model."""

    columns: Columns
    warnings: list[list[str]]
    """Per row."""


class Form:
    """What one model asks for, by column."""

    def __init__(self, descriptor: Descriptor) -> None:
        self._fields = [field_of(spec) for spec in descriptor.inputs]
        self.names = frozenset(field.name for field in self._fields)

    def filled(self, rows: list[Row], outside: OutsideTraining, *, numbered: bool = True) -> Filled:
        """Raises InvalidRequest listing up to MAX_PROBLEMS of what does not fit, with numbers of rows if `numbered`.

        A nullable column that is not there is missing, with a warning. `outside`: what is done about values that
        training never saw.
        """
        if len(rows) * len(self._fields) > MAX_VALUES:
            raise InvalidRequest(
                f"{len(rows)} rows of {len(self._fields)} columns are more than {MAX_VALUES} values; "
                "send fewer rows at a time"
            )
        warnings: list[list[str]] = [[] for _ in rows]
        columns = self._quickly(rows)
        if columns is None:
            problems = self._problems(rows)
            if problems:
                raise InvalidRequest(listed([_placed(number, text, numbered) for number, text in problems]))
            columns = self._completed(rows, warnings)
        if outside != "Accept":
            unusual = self._outside(columns)
            if outside == "Refuse" and unusual:
                raise InvalidRequest(listed([_placed(number, text, numbered) for number, text in unusual]))
            for number, text in unusual:
                if len(warnings[number]) < MAX_WARNINGS:
                    warnings[number].append(text)
        return Filled(columns, warnings)

    def _quickly(self, rows: list[Row]) -> Columns | None:
        """None: a column is absent or one too many in a row, or a value does not fit."""
        if set(map(len, rows)) != {len(self._fields)}:
            return None
        try:
            return {field.name: field.column([row[field.name] for row in rows]) for field in self._fields}
        except (KeyError, InvalidRequest):
            return None

    def _completed(self, rows: list[Row], warnings: list[list[str]]) -> Columns:
        for field in self._fields:
            for row, said in zip(rows, warnings, strict=True):
                if field.name not in row:
                    said.append(f"column '{field.name}' is not there: taken as missing")
        return {field.name: field.column([row.get(field.name) for row in rows]) for field in self._fields}

    def _problems(self, rows: list[Row]) -> list[tuple[int, str]]:
        # Thousands of rows are looked at value by value only in the columns that have something wrong.
        wrong = [field for field in self._fields if not field.fits([row.get(field.name) for row in rows])]
        problems: list[tuple[int, str]] = []
        for number, row in enumerate(rows):
            problems += [(number, text) for text in self._problems_of(row, wrong)]
            if len(problems) >= MAX_PROBLEMS:
                return problems[:MAX_PROBLEMS]
        return problems or self._uneven(rows, wrong)

    def _problems_of(self, row: Row, wrong: list[Field]) -> list[str]:
        problems, meant = [], set()
        for name in sorted(row.keys() - self.names):
            match = self._closest(name)
            meant.add(match)
            hint = f"did you mean '{match}'?" if match else f"the model takes {some(sorted(self.names))}"
            problems.append(f"there is no column '{name[:80]}'; {hint}")
        for field in wrong:
            if field.name in row:
                problem = field.problem(row[field.name])
                if problem:
                    problems.append(f"column '{field.name}' {problem}")
            elif not field.schema.nullable and field.name not in meant:
                problems.append(f"column '{field.name}' is missing; it takes {field.takes()}")
        return problems

    def _closest(self, name: str) -> str | None:
        """A column of the model that may be meant."""
        plain = {_plain(known): known for known in sorted(self.names)}
        matches = get_close_matches(_plain(name[:200]), plain, 1)
        return plain[matches[0]] if matches else None

    def _uneven(self, rows: list[Row], wrong: list[Field]) -> list[tuple[int, str]]:
        """Values that fit alone, but not together: columns of any width must be equally wide in all rows of a request."""
        found = []
        for field in wrong:
            first = rows[0].get(field.name)
            odd = next(number for number, row in enumerate(rows) if not field.fits([first, row.get(field.name)]))
            found.append((odd, f"column '{field.name}' has another shape than in row 0; rows of a request are alike"))
        return found

    def _outside(self, columns: Columns) -> list[tuple[int, str]]:
        """By row, then by column. What is outside of what training saw."""
        found = []
        for place, field in enumerate(self._fields):
            column = columns[field.name]
            said: dict[str, str] = {}
            for number in field.seen.outside(column):
                text = said.get(key := repr(column[number].tolist()))
                if text is None:
                    text = said[key] = field.outside(column[number])
                found.append((number, place, text))
        return [(number, text) for number, _, text in sorted(found)]


def _placed(number: int, text: str, numbered: bool) -> str:
    return f"row {number}: {text}" if numbered else text


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())
