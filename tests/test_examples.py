"""The examples in docstrings run, and give what they say."""

import doctest
import importlib
import pkgutil

import pytest

import toolkit

MODULES = ["toolkit", *(module.name for module in pkgutil.walk_packages(toolkit.__path__, "toolkit."))]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_the_examples_in_docstrings_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where files that they write go
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_every_public_class_has_an_example():
    documented = [getattr(toolkit, name) for name in ("Objective", "Recipe", "Synthesis")]
    assert all(">>>" in each.__doc__ for each in documented)
