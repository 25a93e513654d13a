"""The grammar of expressions over a decision's columns: text in, a program out, or a sentence that says what is wrong where.

A grammar of our own, closed and small, because expressions come from manifests of strangers: nothing of Python or SQL is
reachable, and length and depth are bounded, so that reading and evaluating one ends soon whatever it says.

    expression := conjunction ("or" conjunction)*
    conjunction := negation ("and" negation)*
    negation   := "not" negation | comparison
    comparison := sum [("=" | "!=" | "<" | "<=" | ">" | ">=") sum] | sum ["not"] "in" "(" literal ("," literal)* ")"
    sum        := product (("+" | "-") product)*
    product    := sign (("*" | "/") sign)*
    sign       := "-" sign | operand
    operand    := number | text | "true" | "false" | column | function "(" expression ("," expression)* ")"
                | "(" expression ")"
    column     := "score" | "prediction" | "label" | "latency" | ("input" | "output" | "outcome") "." name ["[" index "]"]
    name       := letters, digits and "_", no digit first | anything in double quotes
    index      := whole number | text
    text       := '...', with '' for a quote
"""

from dataclasses import dataclass

from podium_evaluation.expressions_tokens import ExpressionError, Token, number, shown, tokens, unquoted

MAX_LENGTH = 1024
"""Characters, as ModelDeployments allow."""
MAX_DEPTH = 60

PLAIN_COLUMNS = ("score", "prediction", "label", "latency")
TABLES = ("input", "output", "outcome")
FUNCTIONS = {"if": (3, 3), "min": (2, 10), "max": (2, 10), "abs": (1, 1), "round": (1, 1), "missing": (1, 1)}
"""Least and most arguments."""
_POWERS = {"or": 1, "and": 2, "+": 5, "-": 5, "*": 6, "/": 6}
_POWERS |= dict.fromkeys(("=", "!=", "<", "<=", ">", ">=", "in", "not"), 4)
"""How tightly what stands between two operands binds. `not` there is the one of `not in`."""
_NOT, _COMPARISON, _SIGN = 3, 4, 7


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Text:
    value: str


@dataclass(frozen=True)
class Column:
    """`input.age`, `output.probabilities[1]`, `label`. `index` is a position (from 0) or the name of a class."""

    table: str
    """input, output, outcome; empty for score, prediction, label and latency."""
    name: str
    index: int | str | None = None

    @property
    def key(self) -> str:
        """What its values are called where an expression is evaluated: without the quotes of the text."""
        name = f"{self.table}.{self.name}" if self.table else self.name
        return name if self.index is None else f"{name}[{self.index}]"


@dataclass(frozen=True)
class Call:
    """An operator or a function of the last `arguments` values: + - * / negative, = != < <= > >=, and or not, if min max
    abs round missing."""

    name: str
    arguments: int


@dataclass(frozen=True)
class Among:
    """Whether the last value is one of the literals."""

    literals: tuple[Number | Text, ...]


Step = Number | Text | Column | Call | Among
"""Of a program for a machine with a stack. A flat program, not a tree: a sum of 500 terms would be a tree 500 deep."""


def program_of(text: str) -> tuple[Step, ...]:
    """The steps whose last value, a number or a truth, is the expression's. Raises ExpressionError."""
    if len(text) > MAX_LENGTH:
        raise ExpressionError(MAX_LENGTH + 1, f"an expression has at most {MAX_LENGTH} characters, this one has {len(text)}")
    return _Parser(tokens(text)).program()


class _Parser:
    """Precedence climbing: what stands between operands is read as long as it binds tighter than what came before."""

    def __init__(self, found: list[Token]) -> None:
        self._tokens = found
        self._at = 0
        self._depth = 0
        self._steps: list[Step] = []

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next
        self._at += token.kind != "end"
        return token

    def _sees(self, text: str) -> bool:
        return self._next.kind in ("symbol", "word") and self._next.text == text

    def _accept(self, text: str) -> bool:
        seen = self._sees(text)
        self._at += seen
        return seen

    def _expect(self, symbol: str, why: str) -> None:
        if not self._accept(symbol):
            raise ExpressionError(self._next.position, f"there must be {symbol!r} {why}, not {shown(self._next)}")

    def program(self) -> tuple[Step, ...]:
        self._value()
        if self._next.kind != "end":
            expected = "an operator (+ - * / = != < <= > >= and or in) or the end"
            raise ExpressionError(self._next.position, f"there must be {expected}, not {shown(self._next)}")
        return tuple(self._steps)

    def _value(self, least: int = 0) -> None:
        """An expression that is no text."""
        position = self._next.position
        self._expression(least)
        self._refuse_text(position)

    def _refuse_text(self, position: int) -> None:
        last = self._steps[-1]
        if isinstance(last, Text):
            raise ExpressionError(position, f"the text '{last.value}' has no value; texts are compared with =, != and in")

    def _expression(self, least: int) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ExpressionError(
                self._next.position, f"operators, functions and parentheses lie more than {MAX_DEPTH} deep"
            )
        position = self._next.position
        self._operand(least)
        while (power := self._power()) > least:
            self._operator(power, position)
        self._depth -= 1

    def _power(self) -> int:
        token = self._next
        if token.kind not in ("symbol", "word") or (token.text == "not" and self._tokens[self._at + 1].text != "in"):
            return 0
        return _POWERS.get(token.text, 0)

    def _operator(self, power: int, left: int) -> None:
        """What stands after the operand that begins at `left`, and the operand behind it."""
        token = self._take()
        if token.text in ("in", "not"):
            self._among(negated=token.text == "not")
        elif token.text in ("=", "!="):
            self._expression(power)
            self._steps.append(Call(token.text, 2))
        else:
            self._refuse_text(left)
            self._value(power)
            self._steps.append(Call(token.text, 2))
        if power == _COMPARISON == self._power():
            raise ExpressionError(self._next.position, "comparisons make no chain; write a < b and b < c")

    def _among(self, negated: bool) -> None:
        if negated:
            self._take()
        self._expect("(", "after 'in'")
        literals = [self._literal()]
        while self._accept(","):
            literals.append(self._literal())
        self._expect(")", "or ',' after a value of 'in'")
        self._steps.append(Among(tuple(literals)))
        if negated:
            self._steps.append(Call("not", 1))

    def _literal(self) -> Number | Text:
        negative = self._accept("-")
        token = self._take()
        if token.kind == "number":
            return Number(-number(token) if negative else number(token))
        if token.kind == "text" and not negative:
            return Text(unquoted(token))
        raise ExpressionError(token.position, f"the values of 'in' are numbers or 'texts', not {shown(token)}")

    def _operand(self, least: int) -> None:
        token = self._take()
        if token.kind == "number":
            self._steps.append(Number(number(token)))
        elif token.kind == "text":
            self._steps.append(Text(unquoted(token)))
        elif token.kind == "symbol" and token.text == "(":
            self._expression(0)
            self._expect(")", f"for the '(' at character {token.position}")
        elif token.kind == "symbol" and token.text == "-":
            self._value(_SIGN)
            self._steps.append(Call("negative", 1))
        elif token.kind == "word" and token.text == "not" and least <= _NOT:
            self._value(_NOT)
            self._steps.append(Call("not", 1))
        elif token.kind == "word":
            self._word(token)
        else:
            problem = f"there must be a number, a column, a function or '(', not {shown(token)}"
            raise ExpressionError(token.position, problem)

    def _word(self, token: Token) -> None:
        if token.text in ("true", "false"):
            self._steps.append(Number(float(token.text == "true")))
        elif token.text in FUNCTIONS:
            self._function(token)
        elif token.text in PLAIN_COLUMNS:
            self._steps.append(Column("", token.text))
        elif token.text in TABLES:
            self._steps.append(self._column(token))
        else:
            raise ExpressionError(token.position, _unknown(token.text))

    def _function(self, token: Token) -> None:
        least, most = FUNCTIONS[token.text]
        self._expect("(", f"after {token.text}")
        self._value()
        count = 1
        while self._accept(","):
            self._value()
            count += 1
        self._expect(")", f"or ',' in the arguments of {token.text}")
        if not least <= count <= most:
            asked = str(least) if least == most else f"{least} to {most}"
            raise ExpressionError(token.position, f"{token.text} takes {asked} arguments, not {count}")
        self._steps.append(Call(token.text, count))

    def _column(self, token: Token) -> Column:
        self._expect(".", f"and a name after {token.text}, as in {token.text}.amount")
        named = self._take()
        if named.kind not in ("word", "quoted"):
            problem = f"there must be a name after {token.text}. (an unusual one in double quotes), not {shown(named)}"
            raise ExpressionError(named.position, problem)
        name = named.text.strip('"')
        if not self._accept("["):
            return Column(token.text, name)
        index = self._index()
        self._expect("]", "after the index")
        return Column(token.text, name, index)

    def _index(self) -> int | str:
        token = self._take()
        if token.kind == "text":
            return unquoted(token)
        if token.kind == "number" and token.text.isdigit() and len(token.text) <= 6:
            return int(token.text)
        raise ExpressionError(
            token.position, f"an index is a whole number, from 0, or the 'name' of a class, not {shown(token)}"
        )


def _unknown(word: str) -> str:
    lower = word.lower()
    if lower != word and lower in {*FUNCTIONS, *PLAIN_COLUMNS, *TABLES, *_POWERS, "true", "false"}:
        return f"{word} is written {lower} here"
    if word in _POWERS:
        return f"there must be a value before {word!r}, or parentheses around what begins with it"
    columns = ", ".join((*PLAIN_COLUMNS, *(f"{table}.<name>" for table in TABLES)))
    return f"{word} is no column and no function; there are {columns}, and {', '.join(FUNCTIONS)}"
