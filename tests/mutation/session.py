"""Running tests against mutants: frameworks are loaded and tests collected once, then forked.

A mutant of a function's body takes the place of the function in a process of its own, which runs
the tests that call the function. What is evaluated on import (constants, declared fields, tables)
cannot be exchanged afterwards: for such a mutant a process collects the tests anew.
"""

from __future__ import annotations

import gc
import importlib.abc
import importlib.util
import io
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest
from hypothesis.internal.conjecture.engine import ConjectureRunner

from tests.mutation.mutate import ROOT, Mutant

MEMORY = 4 << 30
"""Bytes that a mutant may ask for beyond what is loaded."""

Calls = dict[str, tuple[float, dict[str, list[str]]]]
"""Of each test: seconds, and which functions it calls, by file."""


Functions = dict[str, list[FunctionType]]


class CollectionError(Exception):
    """The tests fail as they are."""


def forked(work: Callable[[], bool], seconds: float) -> bool:
    """What a function returns in a process of its own; False where that dies or takes too long.

    Args:
        work: the function.
        seconds: of CPU it may take.
    """
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        good = False
        try:
            limit = int(time.process_time() + seconds) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
            used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, resource.RLIM_INFINITY))
            signal.alarm(int(10 * seconds) + 60)
            good = work()
        finally:
            os._exit(0 if good else 1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


class Session:
    """A pytest plugin that, in place of running the tests, runs `main` with them."""

    def __init__(self, main: Callable[[pytest.Session], None]) -> None:
        self.main = main

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise CollectionError("tests cannot be collected")
        self.main(session)
        return True


def collected(paths: Sequence[str], main: Callable[[pytest.Session], None]) -> int:
    """Collect tests and hand them to `main`; what pytest returns."""
    options = ["-x", "-p", "no:cacheprovider", "-p", "no:terminal", "-p", "no:faulthandler"]
    return int(pytest.main([*options, *paths], plugins=[Session(main)]))


def passes(session: pytest.Session, items: Sequence[pytest.Item]) -> bool:
    """Whether tests pass; stops at the first that does not."""
    for item, after in zip(items, [*items[1:], None], strict=True):
        session.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        if session.testsfailed:
            return False
    return True


def calls_of(session: pytest.Session, sink: Path) -> bool:
    """Run all tests; write what each calls, one line each.

    Returns:
        Whether all pass.
    """
    names = {
        id(code): (module, _outermost(function.__code__))
        for module, functions in loaded().items()
        for function in functions
        for code in _nested(function.__code__)
    }
    with sink.open("w") as lines:
        for item, after in zip(session.items, [*session.items[1:], None], strict=True):
            seen: set[int] = set()
            began = time.process_time()
            sys.settrace(lambda frame, event, arg, add=seen.add: add(id(frame.f_code)))
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            sys.settrace(None)
            functions: dict[str, list[str]] = {}
            for module, name in sorted(names[code] for code in seen & names.keys()):
                functions.setdefault(module, []).append(name)
            print(json.dumps([item.nodeid, time.process_time() - began, functions]), file=lines)
            if session.testsfailed:
                print(f"fails as it is: {item.nodeid}", file=sys.__stderr__)
                return False
    return True


def read_calls(sink: Path) -> Calls:
    rows = [json.loads(line) for line in sink.read_text().splitlines()]
    return {test: (seconds, functions) for test, seconds, functions in rows}


def chosen(
    mutant: Mutant, calls: Calls, budget: float, facts: Sequence[str]
) -> tuple[list[str], float]:
    """The tests for a mutant, and their seconds: those that call its function, the quickest first.

    For what is evaluated on import, those that call anything of the file, and those of the files
    `facts`, which read what is declared.
    """
    declared = tuple(f"tests/{name}" for name in facts)
    fitting = []
    for test, (seconds, functions) in calls.items():
        names = functions.get(mutant.module, ())
        read = names or test.startswith(declared)
        if mutant.inside in names or (read and not mutant.inside):
            fitting.append((seconds, test))
    picked, total = [], 0.0
    for seconds, test in sorted(fitting):
        if picked and total + seconds > budget:
            break
        picked.append(test)
        total += seconds
    return picked, total


def loaded() -> Functions:
    """The functions of archc that are loaded, by file from the root of the repository."""
    root = f"{ROOT}/"
    found: Functions = {}
    for one in gc.get_objects():
        if type(one) is FunctionType and one.__code__.co_filename.startswith(f"{root}archc/"):
            found.setdefault(one.__code__.co_filename.removeprefix(root), []).append(one)
    return found


def _outermost(code: CodeType) -> str:
    return code.co_qualname.partition(".<locals>")[0]


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)


def exchange(mutant: Mutant, functions: Functions) -> int:
    """Give functions that are loaded the code of the mutant; how many."""
    code = compile(mutant.text(), str(ROOT / mutant.module), "exec")
    made = {(one.co_qualname, one.co_firstlineno): one for one in _nested(code)}
    count = 0
    for function in functions.get(mutant.module, ()):
        old = function.__code__
        new = made.get((old.co_qualname, old.co_firstlineno))
        if _outermost(old) == mutant.inside and new is not None and new != old:
            function.__code__ = new
            count += 1
    return count


class _Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from other text."""

    def __init__(self, mutant: Mutant) -> None:
        self.path = ROOT / mutant.module
        parts = Path(mutant.module).with_suffix("").parts
        self.name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        self.is_package = parts[-1] == "__init__"
        self.text = mutant.text()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(
            name,
            self.path,
            loader=self,
            submodule_search_locations=[str(self.path.parent)] if self.is_package else None,
        )

    def exec_module(self, module: Any) -> None:
        exec(compile(self.text, str(self.path), "exec"), module.__dict__)


def survives_collected(
    mutant: Mutant, functions: Functions, session: pytest.Session, tests: Sequence[str]
) -> bool:
    """Whether tests pass with the function exchanged. To be run in a fork.

    Args:
        mutant: a change of a function's body.
        functions: those that are `loaded`.
        session: holds the tests.
        tests: those to run.
    """
    items = {item.nodeid: item for item in session.items}
    assert exchange(mutant, functions), mutant
    return passes(session, [items[test] for test in tests])


def survives_import(mutant: Mutant, tests: Sequence[str]) -> bool:
    """Whether tests pass that are collected with the mutant. To be run in a fork.

    Tests that are no longer collected, their parameters being read off the mutant, say nothing.
    """
    assert not [name for name in sys.modules if name.split(".")[0] == "archc"]
    sys.meta_path.insert(0, _Changed(mutant))
    passed: list[bool] = []

    def run(session: pytest.Session) -> None:
        items = {item.nodeid: item for item in session.items}
        wanted = [items[test] for test in tests if test in items]
        passed.append(passes(session, wanted))

    with quiet():
        collected(sorted({test.partition("::")[0] for test in tests}), run)
    return passed == [True]


def without_shrinking() -> None:
    """Have Hypothesis report the first example that fails, which is all that is asked here."""
    ConjectureRunner.shrink_interesting_examples = lambda self: None


@contextmanager
def quiet() -> Iterator[None]:
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield
