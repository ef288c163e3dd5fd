"""The catalogue is complete, what it shows is true, and every code is tested."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archc.diagnostics import Diagnostic
from archc.diagnostics.codes import CODES, STAGES, Code

PACKAGE = Path(__file__).parents[2] / "archc"
TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_entry_is_well_written(code: Code) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code.name)
    assert code.title[0].isupper()
    assert not code.title.endswith(".")
    assert code.explanation.endswith(".")
    assert len(code.explanation) > 80
    # An example that shows it, or a word on what it takes; never half an example.
    assert bool(code.bad) == bool(code.good) == (not code.needs)
    assert code.bad != code.good or not code.bad
    assert max(map(len, code.as_markdown().splitlines())) <= 200
    assert code.as_markdown().startswith(f"# {code.name}\n")


def test_every_code_has_one_entry() -> None:
    assert len(CODES) == sum(map(len, STAGES.values()))
    assert list(CODES) == [code.name for codes in STAGES.values() for code in codes]


# -- what the catalogue shows is true ---------------------------------------------------------

SHOWN = [code for code in CODES.values() if code.bad]
Check = Callable[[str, str], list[Diagnostic]]


@pytest.mark.parametrize("code", SHOWN, ids=lambda code: code.name)
def test_bad_example_has_exactly_this_fault(code: Code, check: Check) -> None:
    findings = check(code.bad, "bad.yaml")
    assert {(d.code, d.severity) for d in findings} == {(code.name, code.severity)}
    assert len(findings) == 1


@pytest.mark.parametrize("code", SHOWN, ids=lambda code: code.name)
def test_good_example_has_no_fault(code: Code, check: Check) -> None:
    assert [(d.code, d.message) for d in check(code.good, "good.yaml")] == []


@pytest.mark.parametrize("name", [code.name for code in CODES.values() if code.needs])
def test_a_code_that_no_text_shows_is_tested_elsewhere(name: str) -> None:
    # The tests of the renderers use codes as mere words.
    tests = (path for path in TESTS.rglob("test_*.py") if path.parent != Path(__file__).parent)
    assert any(f'"{name}"' in path.read_text(encoding="utf-8") for path in tests)


# -- the catalogue and the compiler agree -----------------------------------------------------

# Raised inside Pydantic validators with a code of ours as the error's type.
FOREIGN = {"PydanticCustomError": 0}
# Names under which a code that is written elsewhere is handed on (`kind`: of a Pydantic error).
HANDED_ON = {"code", "kind"}

Takers = dict[str, int]
"""Who takes a code, and at which position; -1 is by keyword only."""


def _methods(trees: list[ast.Module]) -> Takers:
    """Every class and method of ours that takes a `code: str`: they are known by their names."""
    takers = dict(FOREIGN)
    for node in (node for tree in trees for node in ast.walk(tree)):
        if not isinstance(node, ast.ClassDef):
            continue
        fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
        for index, item in enumerate(fields):
            if ast.unparse(item.target) == "code" and ast.unparse(item.annotation) == "str":
                takers[node.name] = index
        for method in node.body:
            if isinstance(method, ast.FunctionDef):
                takers |= _taker(node.name if method.name == "__init__" else method.name, method)
    return takers


def _functions(tree: ast.Module) -> Takers:
    """Functions of one module that take a `code: str`."""
    takers: Takers = {}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            takers |= _taker(node.name, node)
    return takers


def _imported(tree: ast.Module, functions: dict[str, Takers]) -> Takers:
    """Functions that a module takes from others."""
    takers: Takers = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            known = functions.get(node.module or "", {})
            for alias in node.names:
                if alias.name in known:
                    takers[alias.asname or alias.name] = known[alias.name]
    return takers


def _taker(name: str, function: ast.FunctionDef) -> Takers:
    """Where a function takes its code, not counting `self`; -1 for by keyword only."""
    names = [arg.arg for arg in function.args.args if arg.arg not in ("self", "cls")]
    for arg in (*function.args.args, *function.args.kwonlyargs):
        if arg.arg == "code" and arg.annotation and ast.unparse(arg.annotation) == "str":
            return {name: names.index("code") if "code" in names else -1}
    return {}


def _codes(trees: dict[str, ast.Module]) -> Iterator[tuple[str, str]]:
    """Every code written in a call that takes one, with its place.

    A code handed on (`code`, `refusal.code`) is written elsewhere; anything else that is not a
    literal is yielded as it stands, and so is not in the catalogue.

    Args:
        trees: module name -> its tree.
    """
    methods = _methods(list(trees.values()))
    functions = {name: _functions(tree) for name, tree in trees.items()}
    for name, tree in trees.items():
        takers = methods | functions[name] | _imported(tree, functions)
        parents = {
            id(call.func): ast.unparse(base)
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            for base in node.bases
            for call in ast.walk(node)
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "super().__init__"
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            word = _called(node.func, parents)
            if word not in takers:
                continue
            named = [keyword.value for keyword in node.keywords if keyword.arg == "code"]
            index = takers[word]
            given = named or (node.args[index : index + 1] if index >= 0 else [])
            for value in given:
                for choice in _choices(value):
                    if isinstance(choice, ast.Constant) and isinstance(choice.value, str):
                        yield choice.value, f"{name}:{node.lineno}"
                    elif ast.unparse(choice).split(".")[-1] not in HANDED_ON:
                        yield ast.unparse(choice), f"{name}:{node.lineno}"


def _called(function: ast.expr, parents: dict[int, str]) -> str:
    """The name of what is called; for `super().__init__` the class that it belongs to."""
    if id(function) in parents:
        return parents[id(function)]
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _choices(value: ast.expr) -> list[ast.expr]:
    if isinstance(value, ast.IfExp):
        return [*_choices(value.body), *_choices(value.orelse)]
    return [value]


def _used() -> dict[str, str]:
    trees = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): ast.parse(
            path.read_text(encoding="utf-8")
        )
        for path in PACKAGE.rglob("*.py")
    }
    return dict(_codes(trees))


def test_every_code_in_use_is_catalogued() -> None:
    used = _used()
    assert len(used) > 5
    assert {code: place for code, place in used.items() if code not in CODES} == {}


def test_every_catalogued_code_is_in_use() -> None:
    assert sorted(set(CODES) - set(_used())) == []


def test_the_scan_sees_all_ways_to_give_a_code() -> None:
    text = """
class Refusal(Exception):
    def __init__(self, code: str, message: str) -> None: ...
class Special(Refusal):
    def __init__(self) -> None:
        super().__init__("j", "x")
class Diagnostic:
    code: str
    message: str
def fail(span: int, code: str) -> None:
    sink.error(code, "x")
def only(*, code: str) -> None: ...
def other(code: int) -> None: ...
class Sink:
    def error(self, code: str, message: str) -> None: ...
sink.error("a", "x")
raise Refusal("b" if x else "c", "x")
Diagnostic("d", "x")
Diagnostic(message="x", code="e")
fail(1, "f")
only(code="g")
other("not a code")
PydanticCustomError("h", "x")
sink.error(refusal.code, "x")
sink.error(f"i-{x}", "x")
"""
    other = """
from t import fail as failed
def fail(code: int, x: str) -> None: ...
fail("none", "none")
failed(1, "k")
"""
    trees = {"t": ast.parse(text), "u": ast.parse(other)}
    found = {code for code, _ in _codes(trees)}
    assert found == {"a", "b", "c", "d", "e", "f", "g", "h", "f'i-{x}'", "j", "k"}
