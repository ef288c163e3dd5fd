"""Text from a spec reaches generated Python, ONNX and terminals as data, never as anything else."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator, Mapping

import onnx
import pytest

from archc.compile import Checked, check_source
from archc.diagnostics import Source
from archc.diagnostics.render import OutputFormat, render
from archc.diagnostics.terminal import escape_terminal
from archc.targets.onnx import onnx_bytes
from archc.targets.torch import emit_torch
from archc.weights import DrawnWeights
from tests.fuzz.bases import plugged

HOSTILE = (
    '"""\nimport os\nos.system("true")\n"""',
    "'''\nimport os\n'''",
    "\\",
    'a\\"""',
    '\\"""\nimport os\n\\"""',
    "{0}{evil}{{x}}%s%(a)s",
    "__import__('os').system('true')",
    "evil = 1\n\nclass Evil: pass",
    "\x1b[31mred\x1b]0;title\x07",
    "\u202egnp.exe\u202c \u2066x\u2069",
    "a\u2028import os\u2029\x85\x0cimport evil",
    "\u200b\ufeff\u00ad",
    "#!/bin/sh\n# -*- coding: utf-7 -*-",
    "line\r\nimport evil\r",
    "x" * 3000,
    '<script>alert(1)</script>&amp;"',
    "\N{MATHEMATICAL BOLD SMALL A} \ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16"),
)

SPEC = """\
archc: 1
name: NAME
doc: DOC
params: {wide: 8}
inputs: {INPUT: [N, 3, 8, 8]}
blocks:
  BLOCK:
    doc: DOC
    params: {PARAM: int}
    let: {LET: PARAM * 2}
    body: {LAYER: {conv: LET, kernel: 3, padding: 1, doc: DOC}, norm: batchnorm}
layers:
  one: {BLOCK: wide}
  mix: {rearrange: PATTERN, p: 2, q: 2}
  two{1}: relu
outputs: {OUTPUT: two1}
"""

PLAIN = {
    "NAME": "net",
    "DOC": "words",
    "INPUT": "image",
    "BLOCK": "unit",
    "PARAM": "channels",
    "LET": "hidden",
    "LAYER": "inner",
    "PATTERN": "b c (h p) (w q) -> b (c p q) h w",
    "OUTPUT": "result",
}

RICH = """\
archc: 1
name: rich
params: {wide: 8}
variants: {VARIANT: {wide: 16}}
inputs: {x: {shape: [N, 3, H, 16], dtype: DTYPE, sizes: {H: {PROMISE: 8}}}}
preprocess: {resize: 32, STEP: 16, interpolation: INTERPOLATION, mean: MEAN}
defaults: {conv: {SETTING: half}}
layers:
  one: {conv: wide, kernel: 3, init: INIT, keys: {weight: KEY, bias: b}}
  act: {gelu: APPROXIMATION}
  big: {resize: , scale: 2, mode: MODE}
  pads: {pad: 1, mode: FILL}
  two: {conv: wide, kernel: 3}
  three: {conv: wide, kernel: 3, tie: {weight: SHARED, bias: two.bias}}
  aux: {seq: [relu], side: ASIDE}
  plug: {blend: 0.5, other: three, mode: WORD}
checkpoint: {rename: {PATTERN: RENAMED}}
"""

RICH_PLAIN = {
    "VARIANT": "wider",
    "DTYPE": "float32",
    "PROMISE": "multiple",
    "STEP": "crop",
    "INTERPOLATION": "bicubic",
    "MEAN": "[0.5, 0.4, 0.3]",
    "SETTING": "padding",
    "INIT": "xavier_uniform",
    "KEY": "kernel_weight",
    "APPROXIMATION": "tanh",
    "MODE": "bilinear",
    "FILL": "reflect",
    "SHARED": "two.weight",
    "ASIDE": "training",
    "WORD": "lerp",
    "PATTERN": '"old.**"',
    "RENAMED": '"**"',
}
"""Words of enumerations, of preprocessing, of checkpoints, of a plugin, and keys of weights."""

NODES = {
    *("Module", "Expr", "Constant", "Import", "ImportFrom", "alias", "ClassDef", "FunctionDef"),
    *("arguments", "arg", "Name", "Load", "Store", "Attribute", "Call", "Assign", "Return"),
    *("keyword", "Tuple", "List", "Dict", "BinOp", "Add", "Sub", "Mult", "FloorDiv", "UnaryOp"),
    *("USub", "Subscript", "Slice", "Starred", "For", "If", "IfExp", "Compare", "Eq", "Is"),
    *("BitOr", "Pow"),
}
"""What generated source consists of; nothing of it executes text."""

COMMENT = re.compile(r"# \[[\w, ()+*/-]*\]")
"""Shapes, whose names are symbols."""

MODULES = {"torch", "torch.nn.functional", "collections"}


def quoted(text: str) -> str:
    """The text in double quotes, as YAML escapes it."""
    escaped = (f"\\U{ord(c):08X}" if c in '"\\' or not c.isprintable() else c for c in text)
    return f'"{"".join(escaped)}"'


def filled(spec: str = SPEC, words: Mapping[str, str] = PLAIN, /, **texts: str) -> str:
    """A spec, with some of its words replaced."""
    for field, plain in words.items():
        spec = spec.replace(field, quoted(texts[field]) if field in texts else plain)
    return spec


def identifiers(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        for name in ("id", "attr", "name", "arg", "asname", "module"):
            value = getattr(node, name, None)
            if isinstance(value, str):
                yield value


def shape_of(tree: ast.Module) -> list[str]:
    """The kinds of nodes in order, and all identifiers."""
    return [type(node).__name__ for node in ast.walk(tree)] + sorted(identifiers(tree))


def check_python(source: str, expected: list[str] | None) -> list[str]:
    tree = ast.parse(source)
    assert {type(node).__name__ for node in ast.walk(tree)} <= NODES
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            assert {alias.name for alias in node.names} <= MODULES
        if isinstance(node, ast.ImportFrom):
            assert node.module in MODULES
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id in {"super"} or node.func.id[0].isupper(), ast.dump(node)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            assert COMMENT.fullmatch(token.string), token.string
    assert source.replace("\n", "").isprintable()
    found = shape_of(tree)
    assert expected is None or found == expected
    return found


def test_the_plain_spec_is_fine() -> None:
    graph = check_source(Source("net.yaml", filled())).graph
    assert graph is not None
    check_python(emit_torch(graph).text, None)


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_doc_is_a_string_wherever_it_goes(text: str) -> None:
    plain = check_source(Source("net.yaml", filled())).graph
    graph = check_source(Source("net.yaml", filled(DOC=text))).graph
    assert plain is not None
    if graph is None:
        return  # A character that no text file holds is refused.
    expected = check_python(emit_torch(plain).text, None)
    check_python(emit_torch(graph).text, expected)
    check_onnx(graph)


@pytest.mark.parametrize("field", [field for field in PLAIN if field != "DOC"])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_names_are_refused_or_harmless(field: str, text: str) -> None:
    refused_or_harmless(check_source(Source("net.yaml", filled(**{field: text}))))


@pytest.mark.parametrize("field", [None, *RICH_PLAIN])
def test_words_are_refused_or_harmless(field: str | None) -> None:
    for text in [None] if field is None else HOSTILE:
        texts = {} if field is None or text is None else {field: text}
        source = Source("net.yaml", filled(RICH, RICH_PLAIN, **texts))
        checked = check_source(source, ops=plugged())
        assert field is not None or checked.ok, render(checked.diagnostics, OutputFormat.FULL)
        refused_or_harmless(checked)


def refused_or_harmless(checked: Checked) -> None:
    for form in OutputFormat:
        shown = render(checked.diagnostics, form)
        assert shown.replace("\n", "").isprintable(), form
    if checked.graph is None:
        assert any(d.is_error for d in checked.diagnostics)
        return
    check_python(emit_torch(checked.graph).text, None)
    check_onnx(checked.graph)


def check_onnx(graph) -> None:
    model = onnx.load_from_string(onnx_bytes(graph, DrawnWeights()))
    onnx.checker.check_model(model, full_check=True)
    names = [model.graph.name, *(node.name for node in model.graph.node)]
    names += [value.name for value in (*model.graph.input, *model.graph.output)]
    names += [tensor.name for tensor in model.graph.initializer]
    for name in names:
        assert name.isprintable()
        assert escape_terminal(name) == name
