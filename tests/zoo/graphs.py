"""Networks of the zoo, compiled at the sizes that a comparison needs."""

from __future__ import annotations

import re
from pathlib import Path

from archc.compile import check_file, check_source
from archc.diagnostics import Source
from archc.graph import Graph
from archc.types import is_static
from tests.zoo.catalogue import spec_path

Size = tuple[int, int]

_IMAGE = re.compile(r"(?m)^(inputs: \{image: \[N, [^,]+, )(?:\w+, \w+)(\]\})")


def graph_of(spec: str, variant: str | None) -> Graph:
    """The network as its spec has it."""
    checked = check_file(spec_path(spec), variant)
    assert checked.graph is not None, [str(d) for d in checked.diagnostics]
    assert not checked.diagnostics
    return checked.graph


def at_size(spec: str, variant: str | None, height: int | str, width: int | str) -> Graph:
    """The network for images of another size, or of open sizes (`"H"`, `"W"`)."""
    text = Path(spec_path(spec)).read_text(encoding="utf-8")
    if height == width and re.search(r"(?m)^inputs:.*\bsize, size\]", text):
        checked = check_file(spec_path(spec), variant, {"size": str(height)})
    else:
        text, count = _IMAGE.subn(rf"\g<1>{height}, {width}\g<2>", text)
        assert count == 1
        # What is expected, and how images are prepared, holds at the spec's own size.
        text = re.sub(r"expect: \[N, [^\]]*\]", "doc: any size", text)
        text = re.sub(r"(?ms)^(expect|preprocess):.*?(?=^\w|\Z)", "", text)
        checked = check_source(Source(f"{spec}.yaml", text), None, variant)
    assert checked.graph is not None, [str(d) for d in checked.diagnostics]
    assert not any(d.code == "unproved" for d in checked.diagnostics)
    return checked.graph


def own_size(graph: Graph) -> Size | None:
    """Height and width of the images of a network; None where they are open."""
    height, width = graph.inputs[0].type.shape[2:]
    return (height, width) if is_static(height) and is_static(width) else None
