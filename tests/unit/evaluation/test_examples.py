"""The examples in the docstrings answer what they say."""

import doctest
import importlib
import pkgutil

import pytest

import podium_evaluation

MODULES = [module.name for module in pkgutil.iter_modules(podium_evaluation.__path__)]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    assert doctest.testmod(importlib.import_module(f"podium_evaluation.{name}")).failed == 0
