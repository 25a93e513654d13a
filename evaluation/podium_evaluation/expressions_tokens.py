"""Words, numbers and signs of an expression, and what is told of what is none of them."""

import math
import re
from typing import NamedTuple

_FOREIGN = {"==": "=", "<>": "!=", "&&": "and", "||": "or", "!": "not"}
"""What people write from other languages, and what it is here."""


class ExpressionError(ValueError):
    """The text is no expression. `position` counts characters from 1."""

    def __init__(self, position: int, problem: str) -> None:
        super().__init__(position, problem)
        self.position, self.problem = position, problem

    def __str__(self) -> str:
        return f"at character {self.position}: {self.problem}"


class Token(NamedTuple):
    kind: str
    """number, text, quoted, word, symbol or end."""
    text: str
    position: int


_PATTERN = re.compile(
    r"""[ \t\r\n]*(?:
      (?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)
    | (?P<text>'(?:[^']|'')*')
    | (?P<quoted>"[^"]+")
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<foreign>==|<>|&&|\|\||!(?!=))
    | (?P<symbol><=|>=|!=|[-+*/=<>(),.\[\]])
    | (?P<end>\Z)
    )""",
    re.VERBOSE,
)


def tokens(text: str) -> list[Token]:
    found: list[Token] = []
    at = 0
    while not found or found[-1].kind != "end":
        match = _PATTERN.match(text, at)
        if match is None or match.lastgroup is None:
            at += len(text[at:]) - len(text[at:].lstrip(" \t\r\n"))
            raise ExpressionError(at + 1, _stranger(text[at]))
        kind = match.lastgroup
        found.append(Token(kind, match[kind], match.start(kind) + 1))
        if kind == "foreign":
            raise ExpressionError(found[-1].position, f"{match[kind]} has no meaning here; write {_FOREIGN[match[kind]]}")
        at = match.end()
    return found


def number(token: Token) -> float:
    value = float(token.text)
    if not math.isfinite(value):
        raise ExpressionError(token.position, f"{token.text} is too large a number")
    return value


def unquoted(token: Token) -> str:
    return token.text[1:-1].replace("''", "'")


def shown(token: Token) -> str:
    return "the end" if token.kind == "end" else repr(token.text) if token.kind == "symbol" else token.text


def _stranger(character: str) -> str:
    if character in "'\"":
        return f"what begins here with {character} has no end; write {character}...{character}"
    return f"{character!r} has no meaning here; there are numbers, 'texts', columns, + - * / = != < <= > >= and ( )"
