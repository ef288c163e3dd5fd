"""The reference pages say what the declarations say (ARCHC_UPDATE_DOCS=1 rewrites them)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from archc.ops.table import OPS
from archc.reference import codes_reference, op_page, ops_reference

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize(
    ("file", "page"), [("ops.md", ops_reference), ("codes.md", codes_reference)]
)
def test_page_is_up_to_date(file: str, page) -> None:
    path = REFERENCE / file
    if os.environ.get("ARCHC_UPDATE_DOCS"):
        path.write_text(page(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == page(), (
        "run the tests with ARCHC_UPDATE_DOCS=1 to write the page anew"
    )


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_op_says_what_it_is(name: str) -> None:
    page = op_page(name)
    assert page.startswith(f"# {name}\n\n")
    for fact in ("- Inputs: ", "- Shape: ", "- PyTorch: ", "- ONNX: "):
        line = next(line for line in page.split("\n") if line.startswith(fact))
        assert len(line) > len(fact)
    # Facts come from the op's own methods, not from those that every op has.
    assert "Lower to" not in page and "The output type(s)" not in page
