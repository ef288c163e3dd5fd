"""Reference pages of ops, standard blocks and diagnostic codes, from their declarations."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from archc.diagnostics.codes import CODES, STAGES
from archc.diagnostics.terminal import escape_terminal
from archc.elaborate.imports import standard_blocks
from archc.ops.base import Op
from archc.ops.table import OPS, OpTable
from archc.spec.syntax import Block, Param
from archc.spec.tree import Node, Scalar

_HEADING = re.compile(r"^(#+ (?:[a-z-]+|At fault|Mended))$")

GENERATED = "<!-- Generated from the declarations by tests/docs/test_reference.py. -->"


def op_page(name: str, level: int = 1, ops: OpTable = OPS) -> str:
    """One op as a person reads it: what it does, its attributes, its shape rule, its targets.

    Args:
        name: the word in the table of ops.
        level: of its Markdown heading.
        ops: the table of ops.

    Raises:
        KeyError: there is no such op.
    """
    op = ops[name]
    parts = [f"{'#' * level} {name}", inspect.cleandoc(op.__doc__ or "")]
    attributes = list(_attributes(op))
    if attributes:
        parts.append("\n".join(["| attribute | takes | default |", "|---|---|---|", *attributes]))
    facts = [f"Inputs: {_arity(op)}.", f"Shape: {_first_line(op.infer)}"]
    facts += [f"PyTorch: {_first_line(op.to_torch)}", f"ONNX: {_first_line(op.to_onnx)}"]
    if op.weights is not Op.weights:
        facts.insert(2, f"Weights: {_first_line(op.weights)}")
    parts.append("\n".join(f"- {fact}" for fact in facts))
    return "\n\n".join(parts) + "\n"


def ops_reference() -> str:
    """The page of all ops and standard blocks."""
    blocks = standard_blocks(frozenset(OPS))
    parts = [
        "# Ops",
        GENERATED,
        "The first key of a layer names its op and holds the attribute marked *principal*: "
        "`{conv: 64, kernel: 3}`. `archc explain OP` prints one of these pages.",
        *(op_page(name, 2).rstrip("\n") for name in sorted(OPS)),
        "# Standard blocks",
        "Blocks that ship with archc, written in the language itself. A spec that defines a block "
        "of the same name uses its own.",
        *(_block_page(block) for _, (block, _) in sorted(blocks.items())),
    ]
    return "\n\n".join(parts) + "\n"


def codes_reference() -> str:
    """The page of all diagnostic codes, by the stage that finds them."""
    parts = [
        "# Diagnostic codes",
        GENERATED,
        "`archc explain CODE` prints one of these entries.",
    ]
    for stage, codes in STAGES.items():
        parts.append(f"## {stage.capitalize()}")
        parts += [_code_entry(CODES[code.name].as_markdown()) for code in codes]
    return "\n\n".join(parts) + "\n"


def _code_entry(page: str) -> str:
    """A code's page two levels down, what no person could see made visible."""
    lines = (escape_terminal(line) for line in page.rstrip("\n").split("\n"))
    return "\n".join(_HEADING.sub(r"##\1", line) for line in lines)


def _attributes(op: type[Op]) -> Iterator[str]:
    schema = op.model_json_schema()
    required = set(schema.get("required", ()))
    for name, info in schema.get("properties", {}).items():
        if name in op.references:
            continue
        shown = f"`{name}`" + (" *(principal)*" if name == op.principal else "")
        default = "required" if name in required else f"`{_plain(info.get('default'))}`"
        yield f"| {shown} | {_takes(info)} | {default} |"
    for name in op.references:
        default = "required" if name in required else "`none`"
        yield f"| `{name}` | the name of a layer | {default} |"


def _plain(value: object) -> str:
    """A default as a spec writes it."""
    return "none" if value is None else json.dumps(value).strip('"')


def _takes(info: Mapping[str, Any]) -> str:
    """A JSON schema in words."""
    if "anyOf" in info:
        choices = [_takes(choice) for choice in info["anyOf"] if choice.get("type") != "null"]
        return " or ".join(dict.fromkeys(choices))
    if "enum" in info:
        return ", ".join(f"`{word}`" for word in info["enum"])
    if "const" in info:
        return f"`{info['const']}`"
    kind = info.get("type", "any value")
    if isinstance(kind, list):
        return "integer or symbolic dim"  # the only field of several types is a dim
    if kind == "array":
        return f"a list of {_plural(_takes(info.get('items', {})))}"
    return f"{_KINDS.get(kind, kind)}{_range(info)}"


_KINDS = {
    "integer": "integer",
    "number": "number",
    "boolean": "`true` or `false`",
    "string": "text",
}


def _plural(words: str) -> str:
    return words if words.startswith(("`", "a list")) else words.replace("integer", "integers", 1)


def _range(info: Mapping[str, Any]) -> str:
    if "minimum" in info and "maximum" in info:
        return f" from {info['minimum']} to {info['maximum']}"
    if "minimum" in info:
        return f" >= {info['minimum']}"
    if "exclusiveMinimum" in info:
        return f" > {info['exclusiveMinimum']}"
    return ""


def _arity(op: type[Op]) -> str:
    least, most = op.arity
    if most is None:
        return f"{least} or more"
    return str(least) if least == most else f"{least} to {most}"


def _first_line(method: Any) -> str:
    doc = inspect.getdoc(method) or ""
    return doc.split("\n\n")[0].replace("\n", " ")


def _block_page(block: Block) -> str:
    rows = [
        f"| `{name}`{' *(principal)*' if index == 0 else ''} | {_default(param)} |"
        for index, (name, param) in enumerate(block.params.items())
    ]
    table = "\n".join(["| param | default |", "|---|---|", *rows])
    return "\n\n".join([f"## {block.name}", block.doc, table])


def _default(param: Param) -> str:
    if param.kind is not None:
        return f"required ({param.kind})"
    return f"`{_written(param.default)}`"


def _written(node: Node) -> str:
    return node.text if isinstance(node, Scalar) else "..."
