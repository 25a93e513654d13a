"""What compiled modules may not do (hack/compiled/modules.txt): it would mean something else there than in their sources.

mypyc says nothing of these; tests and clients found them by other answers (docs/decisions/20261121-hot-path.md).
That no Python class derives from a compiled one is in tests/unit/hack/test_compiled.py.
"""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compiled.building import modules

REPOSITORY = Path(__file__).parents[2]
FOLDERS = {"podium_crds": "crds", "podium_serving": "serving"}
PYTHON_CLASS = "mypyc_attr(native_class=False)"

Rule = Callable[[ast.Module], Iterator[str]]


def path_of(module: str) -> Path:
    return REPOSITORY / FOLDERS[module.split("/")[0]] / module


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def classes(tree: ast.AST) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def is_marked(node: ast.ClassDef) -> bool:
    return any("native_class=False" in ast.unparse(decorator) for decorator in node.decorator_list)


def names_of(nodes: list[ast.expr]) -> list[str]:
    """`Mapping` of `collections.abc.Mapping[str, str]`, `dataclass` of `dataclass(slots=True)`."""
    return [ast.unparse(node).split("(")[0].split("[")[0].split(".")[-1] for node in nodes]


PYTHON_CLASSES = {"Exception"} | {
    node.name for module in modules() for node in classes(parsed(path_of(module))) if is_marked(node)
}


def names_caught_twice(tree: ast.Module) -> Iterator[str]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        seen: set[str] = set()
        for handler in (node for node in ast.walk(function) if isinstance(node, ast.ExceptHandler) and node.name):
            assert handler.name is not None
            if handler.name in seen:
                yield (
                    f"line {handler.lineno}: '{handler.name}' is caught twice in the coroutine {function.name}; compiled it "
                    "has the type of the first, and the second is a TypeError that nobody sees: give it another name"
                )
            seen.add(handler.name)


def keywords_of_classes(tree: ast.Module) -> Iterator[str]:
    for node in classes(tree):
        for keyword in node.keywords:
            yield (
                f"line {node.lineno}: class {node.name}({ast.unparse(keyword)}); compiled, keywords of a class are lost "
                "without a word, and a Struct is encoded in another form: keep it in a module that is not compiled"
            )


def structs(tree: ast.Module) -> Iterator[str]:
    for node in classes(tree):
        if "Struct" in names_of(node.bases):
            yield f"line {node.lineno}: {node.name} is a Struct; a plain class is faster here, and keeps what it is told"


def casts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and names_of([node.func]) == ["cast"]:
            yield f"line {node.lineno}: {ast.unparse(node)}; compiled, a cast is checked and raises TypeError"


def cached_properties(tree: ast.Module) -> Iterator[str]:
    for node in classes(tree):
        decorators = [
            name for part in node.body if isinstance(part, ast.FunctionDef) for name in names_of(part.decorator_list)
        ]
        if "cached_property" in decorators and not is_marked(node):
            yield f"line {node.lineno}: {node.name} has a cached property, which needs a dictionary: mark it {PYTHON_CLASS}"


def dataclasses_made_twice(tree: ast.Module) -> Iterator[str]:
    for node in classes(tree):
        slotted = any("dataclass" in (said := ast.unparse(part)) and "slots" in said for part in node.decorator_list)
        if slotted and is_marked(node):
            yield (
                f"line {node.lineno}: {node.name} is a Python class and a dataclass with slots, which is made anew; "
                "compiled, its methods know the first one only and refuse what derives from the second"
            )


def unmarked_heirs(tree: ast.Module) -> Iterator[str]:
    for node in classes(tree):
        bases = [name for name in names_of(node.bases) if name in PYTHON_CLASSES]
        if bases and not is_marked(node):
            yield (
                f"line {node.lineno}: {node.name} derives from {bases[0]}, whose heirs override its attributes; compiled, "
                f"they are places in its instances and cannot be overridden: mark it {PYTHON_CLASS}"
            )


def closed_coroutines(tree: ast.Module) -> Iterator[str]:
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        coroutines = {
            argument.arg
            for argument in function.args.args
            if ast.unparse(argument).partition(": ")[2].startswith("Coroutine")
        }
        for node in ast.walk(function):
            match node:
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="close")) if name in coroutines:
                    yield (
                        f"line {node.lineno}: {name}.close(); of a compiled coroutine that is over it may raise "
                        "AttributeError: take what makes the coroutine, and call it where it is awaited"
                    )
                case _:
                    pass


RULES: list[Rule] = [
    closed_coroutines,
    names_caught_twice,
    keywords_of_classes,
    structs,
    casts,
    cached_properties,
    dataclasses_made_twice,
    unmarked_heirs,
]


@pytest.mark.parametrize("module", modules())
def test_a_compiled_module_means_what_its_source_means(module: str) -> None:
    tree = parsed(path_of(module))
    assert [found for rule in RULES for found in rule(tree)] == []


def compiled_classes() -> set[str]:
    """The names of all that are not marked."""
    return {node.name for module in modules() for node in classes(parsed(path_of(module))) if not is_marked(node)}


def weakly_held(tree: ast.Module, native: set[str]) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and names_of([node.value])[0].startswith("Weak"):
            held = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
            for name in names_of([held]):
                if name in native:
                    yield f"line {node.lineno}: {name} is held weakly; a compiled class cannot be: mark it {PYTHON_CLASS}"


def every_module() -> Iterator[str]:
    for package, folder in FOLDERS.items():
        for path in sorted((REPOSITORY / folder / package).rglob("*.py")):
            yield path.relative_to(REPOSITORY / folder).as_posix()


def test_no_compiled_class_is_held_weakly() -> None:
    native = compiled_classes()
    found = []
    for package, folder in FOLDERS.items():
        for path in sorted((REPOSITORY / folder / package).rglob("*.py")):
            found += [f"{path.name} {what}" for what in weakly_held(parsed(path), native)]
    assert found == []


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (
            names_caught_twice,
            "async def f():\n  try: pass\n  except A as error: pass\n  except B as error: pass",
        ),
        (keywords_of_classes, "class Column(Base, array_like=True): pass"),
        (structs, "class Column(msgspec.Struct): pass"),
        (casts, "x = typing.cast(int, y)"),
        (cached_properties, "class A:\n  @cached_property\n  def b(self): pass"),
        (dataclasses_made_twice, f"@{PYTHON_CLASS}\n@dataclass(slots=True)\nclass A: pass"),
        (closed_coroutines, "def f(work: Coroutine[Any, Any, int]):\n  task.add_done_callback(lambda _: work.close())"),
        (unmarked_heirs, "class Bad(ServingError):\n  http_status = 400"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_each_rule_finds_what_breaks_it(rule: Rule, source: str) -> None:
    assert len(list(rule(ast.parse(source)))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n  try: pass\n  except A as error: pass\n  except B as error: pass",
        "async def f():\n  try: pass\n  except A as first: pass\n  except B as second: pass",
        f"@{PYTHON_CLASS}\nclass A:\n  @cached_property\n  def b(self): pass",
        f"@{PYTHON_CLASS}\nclass Bad(ServingError):\n  http_status = 400",
        "@dataclass(frozen=True, slots=True)\nclass A: pass",
    ],
)
def test_what_is_the_same_compiled_is_let_be(source: str) -> None:
    assert [found for rule in RULES for found in rule(ast.parse(source))] == []


def test_a_weak_hold_is_found_by_the_name_of_its_class() -> None:
    held = ast.parse("held: WeakKeyDictionary[State, int]")
    assert len(list(weakly_held(held, {"State"}))) == 1
    assert list(weakly_held(held, {"Other"})) == []
