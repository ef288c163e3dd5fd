"""Other people's samples pass on both targets, and docs/upstream.md says how many."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import onnx
import pytest
import torch

from tests.upstream import onnx_nodes, torch_functionals, torch_modules
from tests.upstream.case import run
from tests.upstream.page import PAGE, Run, base, page, suites
from tests.upstream.suite import Suite

ORIGINS: dict[str, tuple[Callable[[], Suite], int]] = {
    "torch modules": (torch_modules.suite, 2),
    "torch operators": (torch_functionals.suite, 29),
    "onnx nodes": (onnx_nodes.suite, 3),
    "onnx converted from PyTorch": (onnx_nodes.converted, 2),
}
"""Name of the suite -> what makes it, and every how manieth case runs by default."""

ROW = re.compile(r"^\| (\S[^|]*) \| `(\w+)` \| (\d+) \| (\d+) \| 0 \| (\d+) \|$", re.MULTILINE)


def same_versions() -> bool:
    """Whether the page tells of the versions installed here: others have other samples."""
    text = PAGE.read_text(encoding="utf-8")
    return f"torch {base(torch.__version__)}," in text and f"onnx {base(onnx.__version__)}." in text


def section(name: str) -> str:
    """The part of the page about a suite."""
    text = PAGE.read_text(encoding="utf-8")
    return text.split(f"## {name.capitalize()}\n")[1].split("\n## ")[0]


@pytest.mark.parametrize("name", ORIGINS)
def test_a_slice_passes_and_the_page_counts_all(name: str) -> None:
    make, step = ORIGINS[name]
    suite = make()
    assert suite.cases
    ran = [(case, case.run()) for case in suite.cases[::step]]
    failed = [
        f"{case.group} {case.name}: {end.reason}" for case, end in ran if end.status == "failed"
    ]
    assert not failed, "\n".join(failed)
    assert any(end.status == "passed" for _, end in ran)
    if not same_versions():
        pytest.skip("the page tells of other versions of torch and onnx")
    rows = {group: (op, int(count)) for group, op, count, *_ in ROW.findall(section(name))}
    found = Counter((case.group, case.op) for case in suite.cases)
    assert rows == {group: (op, count) for (group, op), count in found.items()}
    reasons = {end.reason for _, end in ran if end.status == "excluded"}
    assert all(f"| {reason} |" in section(name) for reason in reasons)
    for group in suite.unknown:
        assert re.search(rf"[ :]{re.escape(group)}[ ,.(]", PAGE.read_text(encoding="utf-8")), group


@pytest.mark.exhaustive
def test_page_is_up_to_date() -> None:
    runs = [Run(suite, [case.run() for case in suite.cases]) for suite in suites()]
    assert PAGE.read_text(encoding="utf-8") == page(runs)


def test_a_wrong_result_is_found() -> None:
    """The comparison sees an attribute that the spec leaves out."""
    case = next(c for c in torch_modules.suite().cases if c.group == "nn.ELU" and c.name == "0")
    layer, expected = case.make()
    assert layer.attributes
    assert run(layer, expected).status == "passed"
    assert run(replace(layer, attributes={}), expected).status == "failed"
