"""New specs: a template, or a copy of a network of the zoo that stands by itself."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from archc.compile import check_source
from archc.diagnostics import Diagnostics, Source
from archc.spec.shipped import Shipped
from archc.spec.tree import Entry, Mapping, Node, Scalar, Sequence
from archc.spec.yaml import parse_yaml
from archc.version import __version__

_TEMPLATE = """\
# A network that builds as it stands: change what you like, then `archc check FILE`.
archc: 1
name: NAME
doc: A small residual network.
params: {width: 32, num_classes: 10}        # --set num_classes=100 gives another value
inputs: {image: [N, 3, 32, 32]}             # N stays open: the network takes any batch

blocks:
  unit:                                     # a block is used like an op
    params: {out: int, stride: 1}
    residual:                               # what enters is added to what these layers yield
      - {conv: out, kernel: 3, stride: stride, padding: 1, bias: false}
      - batchnorm
      - relu
      - {conv: out, kernel: 3, padding: 1, bias: false}
      - batchnorm
    shortcut:
      if stride != 1 or in_channels != out:
        - {conv: out, stride: stride, bias: false}
        - batchnorm
    then: relu

layers:                                     # sizes of inputs are never written: they follow
  stem: {conv_norm_act: width}
  for i in range(3):
    stage{i + 1}:
      - {unit: width * 2**i, stride: 2 if i > 0 else 1}
      - {unit: width * 2**i}
  pool: {adaptive_avgpool: 1}
  flatten: {flatten: 1, expect: [N, width * 4]}
  head: {linear: num_classes}
"""

_MAX_NAME = 100
_UNUSED = {"unused-block", "unused-param"}

Edit = tuple[int, int, str]
"""Characters from, to, and what stands there instead."""


def model_name(path: Path) -> str:
    """The name of the model that a new file holds: its stem, as far as a name can have it."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", path.stem).lstrip("-.")[:_MAX_NAME] or "model"


def template(name: str) -> str:
    """A small spec with comments, under a name."""
    return _TEMPLATE.replace("NAME", name, 1)


def start_from(shipped: Shipped, name: str) -> str:
    """The text of a spec of the zoo under another name.

    A family is copied whole. Of a variant, its params become the defaults, and what is said of
    other variants goes, totals included: the network will be changed.
    """
    source = Source(str(shipped.path), shipped.path.read_text("utf-8"))
    top = _sections(source)
    named = top["name"].value.span
    edits: list[Edit] = [(named.start, named.end, name)]
    if shipped.variant is not None:
        edits += _settled(top, source.text, shipped.variant)
    text = _edited(source.text, edits)
    if shipped.variant is not None:
        text = _without_unused(text, shipped.path.parent)
    return f"# Started from {shipped.name} of the zoo of archc {__version__}.\n{text}"


def _sections(source: Source) -> dict[str, Entry]:
    tree = parse_yaml(source, Diagnostics())
    assert isinstance(tree, Mapping)
    return {entry.key.text: entry for entry in tree.entries}


def _edited(text: str, edits: Iterable[Edit]) -> str:
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _without_unused(text: str, folder: Path) -> str:
    """A spec without the blocks and params that only other variants used."""
    while True:
        source = Source("", text)
        found = check_source(source, folder).diagnostics
        unused = {d.primary.span.start for d in found if d.primary and d.code in _UNUSED}
        top = _sections(source)
        sections = [top[name] for name in ("blocks", "params") if name in top]
        edits = [edit for section in sections for edit in _removals(section, unused, text)]
        if not edits:
            return text
        text = _edited(text, edits)


def _removals(section: Entry, unused: Container[int], text: str) -> Iterator[Edit]:
    """What takes the entries that start at some places out of a section."""
    entries = list(_entries(section.value))
    gone = [entry for entry in entries if entry.key.span.start in unused]
    if gone and len(gone) == len(entries):
        yield _removal(section, text)
    elif not _is_inline(section.value, text):
        yield from (_removal(entry, text) for entry in gone)
    elif gone:
        kept = [entry for entry in entries if entry not in gone]
        written = [text[e.key.span.start : e.value.span.end] for e in kept]
        span = section.value.span
        yield span.start, span.end, f"{{{', '.join(written)}}}"


def _settled(top: dict[str, Entry], text: str, variant: str) -> Iterator[Edit]:
    """What makes a variant the whole spec."""
    variants = top["variants"].value
    assert isinstance(variants, Mapping)
    (chosen,) = (entry.value for entry in variants.entries if entry.key.text == variant)
    given = {entry.key.text: entry.value for entry in _entries(chosen)}
    yield _removal(top["variants"], text)
    if "expect" in top:
        yield _removal(top["expect"], text)
    if not given:
        return
    params = top["params"]
    if all(_is_inline(node, text) for node in given.values()):
        for entry in _entries(params.value):
            if entry.key.text in given:
                old, new = entry.value.span, given[entry.key.text]
                yield old.start, old.end, _written(new, text)
        return
    start, end = params.key.span.end + 1, _end(params.value, text)
    lines = [_param(entry, given.get(entry.key.text), text) for entry in _entries(params.value)]
    yield start, end, "".join([_comment(top["variants"], text), *lines])


def _param(entry: Entry, given: Node | None, text: str) -> str:
    """A param on lines of its own."""
    node = given or entry.value
    value = _written(node, text)
    gap = " " if _is_inline(node, text) else "\n"
    return f"\n  {entry.key.text}:{gap}" + (value if gap == " " else textwrap.indent(value, "    "))


def _entries(node: Node) -> Iterable[Entry]:
    return node.entries if isinstance(node, Mapping) else ()


def _removal(entry: Entry, text: str) -> Edit:
    """A section of the spec with all of its lines."""
    start = text.rfind("\n", 0, entry.key.span.start) + 1
    end = text.find("\n", _end(entry.value, text))
    return start, len(text) if end < 0 else end + 1, ""


def _comment(entry: Entry, text: str) -> str:
    """The comment that explains a section, beside its key."""
    match = re.compile(r":([ \t]+#[^\n]*)\n").match(text, entry.key.span.end)
    return match[1] if match else ""


def _is_inline(node: Node, text: str) -> bool:
    """Whether a value stands behind its key: a scalar, or a collection in brackets."""
    return isinstance(node, Scalar) or text[node.span.start] in "[{"


def _end(node: Node, text: str) -> int:
    """Where a node ends; in block style a span goes on to what comes next."""
    children: tuple[Node, ...] = ()
    if not _is_inline(node, text):
        children = tuple(entry.value for entry in _entries(node))
        children = node.items if isinstance(node, Sequence) else children
    return _end(children[-1], text) if children else node.span.end


def _written(node: Node, text: str) -> str:
    """A value as it was written; lines of a block start at the margin."""
    first = text.rfind("\n", 0, node.span.start) + 1
    lines = text[node.span.start : _end(node, text)]
    return textwrap.dedent(" " * (node.span.start - first) + lines)
