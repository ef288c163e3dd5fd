"""`keys:` as written, turned into the `state_dict` keys of a layer's weights."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from archc.diagnostics import Diagnostics, Label, Span
from archc.diagnostics.closest import closest
from archc.elaborate.env import LayerScope
from archc.graph import Node, WeightRef
from archc.spec.expressions import ExpressionError, parse_template
from archc.spec.syntax import Common
from archc.spec.tree import Mapping as MappingNode
from archc.spec.tree import Node as TreeNode
from archc.spec.tree import Scalar


def apply_keys(node: Node, written: TreeNode, scope: LayerScope, sink: Diagnostics) -> Node:
    """The node with its weights under the keys that `keys:` gives.

    A key is relative to the level that the layer lies in: `weight: in_proj_weight` of the layer
    `attention.qkv` is `attention.in_proj_weight`.

    Args:
        node: the layer.
        written: the value of `keys`.
        scope: names for `{...}` in keys.
        sink: is warned of keys under which PyTorch cannot keep a weight; ONNX can.

    Raises:
        ExpressionError: a weight or a key is wrong.
    """
    if not isinstance(written, MappingNode):
        raise ExpressionError(
            "wrong-kind",
            "`keys` gives weights other keys",
            written.span,
            ["write `keys: {weight: in_proj_weight}`"],
        )
    level = node.path.rpartition(".")[0]
    keys: dict[str, str] = {}
    for entry in written.entries:
        check_weight(node, entry.key)
        if not isinstance(entry.value, Scalar):
            raise ExpressionError("wrong-kind", "this is no key", entry.value.span)
        key = parse_template(entry.value).render(scope)
        keys[entry.key.text] = f"{level}.{key}" if level else key
        if node.op.fixed_keys and keys[entry.key.text] != f"{node.path}.{entry.key.text}":
            _warn_of_torch(node, entry.key, sink)
    weights = tuple(
        WeightRef(keys.get(ref.weight.name, ref.key), ref.weight) for ref in node.weights
    )
    return replace(node, weights=weights)


def _warn_of_torch(node: Node, word: Scalar, sink: Diagnostics) -> None:
    """Say at once what otherwise only a build for PyTorch would say; ONNX takes any key."""
    sink.warning(
        "onnx-only-key",
        f"PyTorch cannot keep `{word.text}` of `{node.op_name}` under another key",
        word.span,
        help=["leave out `keys` here, or build for ONNX alone"],
    )


def check_weight(node: Node, word: Scalar) -> None:
    """Refuse a word that names no weight of a layer.

    Raises:
        ExpressionError: `unknown-attribute`.
    """
    names = [ref.weight.name for ref in node.weights if ref.weight.name]
    if word.text in names:
        return
    close = closest(word.text, names)
    listing = ", ".join(f"`{name}`" for name in names)
    help_ = f"did you mean `{close}`?" if close else f"its weights: {listing or 'none'}"
    if any(not ref.weight.name for ref in node.weights):
        help_ = "the layer's own name is the key of its weight"
    raise ExpressionError(
        "unknown-attribute", f"`{node.op_name}` has no weight `{word.text}`", word.span, [help_]
    )


def refuse_for_weights(common: Common, what: str) -> None:
    """Refuse `keys`, `init` and `tie` where there are no weights of one layer.

    Args:
        common: the keys that every layer takes.
        what: what they are written at.

    Raises:
        ExpressionError: one of them is written.
    """
    for key, verb, written in (
        ("keys", "renames", common.keys),
        ("init", "draws", common.init),
        ("tie", "shares", common.tie),
    ):
        if written is not None:
            raise ExpressionError(
                "wrong-kind",
                f"`{key}` {verb} the weights of one op, and this is {what}",
                written.span,
                [f"write it at the layer inside whose weights it {verb}"],
            )


def check_keys(nodes: Iterable[Node], sink: Diagnostics) -> None:
    """Report weights that `keys` brought under one key."""
    owners: dict[str, Span] = {}
    for node in nodes:
        for ref in node.weights:
            if ref.own_key in owners:
                sink.error(
                    "name-taken",
                    f"two weights have the key `{ref.own_key}`",
                    node.span,
                    secondary=[Label(owners[ref.own_key], "the first one is of this layer")],
                    help=["give one of them another key with `keys`"],
                )
            owners.setdefault(ref.own_key, node.span)
