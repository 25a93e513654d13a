"""What the user names on the command line, as objects: pickles, module attributes, tables, documents.

A pickle runs code when it is loaded. That happens here and nowhere else: on the machine of whoever trained the model,
never in the cluster.
"""

import importlib
import sys
import warnings
from pathlib import Path
from typing import Any

import joblib
import pandas as pd

from podium_cli.errors import UserError

MAX_TABLE_BYTES = 4 * 2**30
PICKLE_SUFFIXES = (".pkl", ".pickle", ".joblib", ".cloudpickle")


def load_model(source: str) -> tuple[Any, list[str]]:
    """A fitted model from a pickle file or `module:attribute`, and what was noteworthy. The current folder is importable."""
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    if Path(source).suffix in PICKLE_SUFFIXES or Path(source).is_file():
        return _unpickled(Path(source))
    if ":" not in source:
        raise UserError(
            f"{source!r} is neither a file ending in {', '.join(PICKLE_SUFFIXES)} or .onnx, nor module:attribute"
        )
    module, _, attribute = source.partition(":")
    try:
        found = importlib.import_module(module)
    except Exception as error:
        raise UserError(
            f"module {module!r} cannot be imported from {Path.cwd()}: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(found, attribute):
        raise UserError(
            f"module {module!r} has no attribute {attribute!r}; name the variable that holds the fitted pipeline"
        )
    return getattr(found, attribute), []


def _unpickled(path: Path) -> tuple[Any, list[str]]:
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = joblib.load(path)
    except (ModuleNotFoundError, AttributeError) as error:
        raise UserError(
            f"{path} refers to code that is not importable here ({error}); run the command in the folder of that code, "
            "and keep custom classes in a module, not in a notebook or script"
        ) from error
    except Exception as error:
        raise UserError(f"{path} cannot be unpickled: {type(error).__name__}: {error}") from error
    return model, [str(warning.message).split(". ")[0] for warning in caught if "version" in str(warning.message)]


def load_table(path: Path) -> Any:
    """A DataFrame from .csv, .parquet or .jsonl."""
    if not path.is_file():
        raise UserError(f"there is no file {path}")
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise UserError(f"{path} has {path.stat().st_size} bytes; at most {MAX_TABLE_BYTES} are read: give fewer rows")
    readers = {".csv": _csv, ".parquet": pd.read_parquet, ".jsonl": lambda p: pd.read_json(p, lines=True)}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path} is no table that can be read; give .csv, .parquet or .jsonl")
    try:
        return reader(path)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path} cannot be read as {path.suffix}: {type(error).__name__}: {error}") from error


def _csv(path: Path) -> Any:
    """All rows are read before a column's type is chosen: one type per column, however long the file is."""
    frame = pd.read_csv(path, low_memory=False)
    if len(frame.columns) == 1 and (found := [mark for mark in (";", "\t") if mark in str(frame.columns[0])]):
        raise UserError(f"{path} separates its columns by {found[0]!r}; write it with commas, and fractions with points")
    return frame


def load_document(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text: {error}") from error
