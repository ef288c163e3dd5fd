"""The table of ops against the declarations."""

import pkgutil
from importlib import import_module

import pytest

import archc.ops
from archc.elaborate.arguments import enum_words
from archc.ops.base import Op
from archc.ops.images import ToFloat
from archc.ops.table import OPS, WORDS, LazyOps

MADE_BY_PASSES = {ToFloat}
"""Ops that no spec can name: what `--with-preprocess` puts before a network."""


def test_every_declaration_has_its_line():
    modules = [
        import_module(f"archc.ops.{one.name}") for one in pkgutil.iter_modules(archc.ops.__path__)
    ]
    declared = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Op) and value.infer is not Op.infer
    }
    bases = {base for op in declared for base in op.__mro__[1:]}
    assert declared - bases == (set(OPS.values()) | MADE_BY_PASSES) - bases
    assert all(issubclass(op, Op) for op in OPS.values())


def test_each_line_names_the_module_that_declares_it():
    assert {op.__module__ for op in OPS.values()} <= {
        f"archc.ops.{place}" for place, _ in OPS._places.values()
    }
    for word, op in OPS.items():
        assert OPS._places[word] == (op.__module__.removeprefix("archc.ops."), op.__name__)


def test_the_words_are_those_that_attributes_take():
    assert frozenset().union(*map(enum_words, OPS.values())) == WORDS


def test_a_declaration_is_imported_when_it_is_asked_for():
    table = LazyOps({"conv": ("conv", "Conv"), "other": ("nowhere", "Nothing")})
    assert list(table) == ["conv", "other"] and "other" in table and len(table) == 2
    assert table["conv"] is OPS["conv"] and "wrong" not in table
    with pytest.raises(ModuleNotFoundError):
        table["other"]
    with pytest.raises(KeyError):
        table["wrong"]
