"""`tie:` as written, turned into weights that several layers share."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from archc.diagnostics import Diagnostics, Label, Span
from archc.diagnostics.closest import closest
from archc.elaborate.env import LayerScope
from archc.elaborate.keys import check_weight
from archc.graph import Node, WeightRef
from archc.records import dataclass, replace
from archc.spec.expressions import ExpressionError, parse_template
from archc.spec.tree import Mapping as MappingNode
from archc.spec.tree import Node as TreeNode
from archc.spec.tree import Scalar
from archc.types import TensorType


@dataclass(frozen=True, slots=True)
class Tie:
    """A weight that is to be the weight of another layer.

    Attributes:
        path: the layer that has no weight of its own then.
        weight: the weight's name.
        key: the other weight's key as written.
        span: where it is written.
    """

    path: str
    weight: str
    key: str
    span: Span


@dataclass(frozen=True, slots=True)
class _Owner:
    """A weight with its layer, by its place in the order of layers."""

    index: int
    node: Node
    ref: WeightRef


def read_ties(node: Node, written: TreeNode, init: TreeNode | None, scope: LayerScope) -> list[Tie]:
    """What `tie:` of a layer says; the other weight may belong to a later layer.

    One key is for the weight called `weight` (or the layer's only one); a mapping gives one key
    per weight.

    Args:
        node: the layer.
        written: the value of `tie`.
        init: the value of `init`: what is tied is not drawn.
        scope: names for `{...}` in keys.

    Raises:
        ExpressionError: a weight or a key is wrong.
    """
    wanted = _by_weight(node, written)
    drawn = _drawn(node, init)
    ties: list[Tie] = []
    for name, key in wanted.items():
        if name in drawn:
            raise ExpressionError(
                "wrong-kind",
                f"`init` draws the weight `{name or node.path}`, and `tie` takes it from elsewhere",
                drawn[name],
                ["leave one of them out: a tied weight starts as the one that it is tied to"],
            )
        ties.append(Tie(node.path, name, parse_template(key).render(scope), key.span))
    return ties


def _by_weight(node: Node, written: TreeNode) -> dict[str, Scalar]:
    if isinstance(written, Scalar):
        only = node.weights[0].weight.name if len(node.weights) == 1 else "weight"
        if not any(ref.weight.name == only for ref in node.weights):
            raise ExpressionError(
                "wrong-kind", f"`{node.op_name}` has no weight that could be tied", written.span
            )
        return {only: written}
    if not isinstance(written, MappingNode):
        raise ExpressionError(
            "wrong-kind",
            "`tie` makes weights those of other layers",
            written.span,
            ["write `tie: {weight: embedding.weight}`"],
        )
    wanted: dict[str, Scalar] = {}
    for entry in written.entries:
        check_weight(node, entry.key)
        if not isinstance(entry.value, Scalar):
            raise ExpressionError("wrong-kind", "this is no key", entry.value.span)
        wanted[entry.key.text] = entry.value
    return wanted


def _drawn(node: Node, init: TreeNode | None) -> dict[str, Span]:
    """Weights that `init` is written for."""
    if isinstance(init, MappingNode):
        return {entry.key.text: entry.key.span for entry in init.entries}
    if init is None:
        return {}
    only = node.weights[0].weight.name if len(node.weights) == 1 else "weight"
    return {only: init.span}


def apply_ties(nodes: list[Node], ties: Iterable[Tie], sink: Diagnostics) -> None:
    """Put the shared weights into the layers that are tied to them.

    Args:
        nodes: all layers; those that are tied are replaced.
        ties: what `read_ties` found.
        sink: where findings go.
    """
    ties = list(ties)
    if not ties:
        return
    owners = {
        ref.own_key: _Owner(index, node, ref)
        for index, node in reversed(list(enumerate(nodes)))
        for ref in node.weights
    }
    places = {
        (owner.node.path, owner.ref.weight.name): (key, owner) for key, owner in owners.items()
    }
    targets: dict[str, str] = {}
    spans: dict[str, Span] = {}
    for tie in ties:
        own, owner = places[tie.path, tie.weight]
        found = find_key(owner.node.path, tie.key, owners, but=own)
        if found is not None:
            targets[own], spans[own] = found, tie.span
        elif not sink.has_errors:  # a layer that failed may be the one that is meant
            _unknown(tie, owners, sink)
    circled: set[str] = set()
    for own in targets:
        circle = _circle(own, targets)
        if not circle:
            _tie(own, targets, owners, nodes, spans[own], sink)
        elif circled.isdisjoint(circle):
            circled.update(circle)
            _circular(circle, spans, sink)


def find_key(path: str, key: str, known: Collection[str], but: str) -> str | None:
    """The full key of a weight that is looked up from a layer's level outwards.

    Args:
        path: the layer.
        key: as written.
        known: full keys.
        but: the weight that looks for another one.

    Returns:
        The innermost that fits, `but` itself where no other does, or None.
    """
    parts = path.split(".")[:-1]
    levels = (".".join(parts[:count]) for count in range(len(parts), -1, -1))
    found = [full for level in levels if (full := f"{level}.{key}".lstrip(".")) in known]
    return next((full for full in found if full != but), next(iter(found), None))


def _unknown(tie: Tie, known: Collection[str], sink: Diagnostics) -> None:
    close = closest(tie.key, list(known))
    sink.error(
        "unknown-reference",
        f"there is no weight with the key `{tie.key}`",
        tie.span,
        help=[f"did you mean `{close}`?"] if close else ["a key is `layer.weight`"],
    )


def _circle(own: str, targets: Mapping[str, str]) -> list[str]:
    """The weights that are tied in a circle, where one is tied into it."""
    passed = [own]
    while passed[-1] in targets:
        key = targets[passed[-1]]
        if key in passed:
            return passed[passed.index(key) :]
        passed.append(key)
    return []


def _circular(circle: list[str], spans: Mapping[str, Span], sink: Diagnostics) -> None:
    shown = " -> ".join(f"`{key}`" for key in (*circle, circle[0]))
    sink.error(
        "circular-definition",
        f"weights are tied in a circle: {shown}",
        spans[circle[0]],
        secondary=[Label(spans[key], "and here") for key in circle[1:]],
        help=["leave out one `tie`: that layer then owns the weight"],
    )


def _tie(
    own: str,
    targets: Mapping[str, str],
    owners: Mapping[str, _Owner],
    nodes: list[Node],
    span: Span,
    sink: Diagnostics,
) -> None:
    """Make one weight another one, whatever that is tied to itself."""
    key = targets[own]
    while key in targets:
        key = targets[key]
    mine, owner = owners[own], owners[key]
    if _types_agree(mine, owner, span, sink):
        node = nodes[mine.index]
        weight = replace(owner.ref.weight, name=mine.ref.weight.name)
        tied = WeightRef(owner.ref.key, weight, alias=own)
        weights = tuple(tied if ref.weight.name == weight.name else ref for ref in node.weights)
        nodes[mine.index] = replace(node, weights=weights)


def _types_agree(mine: _Owner, owner: _Owner, span: Span, sink: Diagnostics) -> bool:
    key, weight, other = owner.ref.own_key, mine.ref.weight, owner.ref.weight
    if weight.buffer or other.buffer:
        what = mine.ref.own_key if weight.buffer else key
        sink.error("wrong-kind", f"`{what}` is a buffer, and only parameters are tied", span)
        return False
    if (weight.shape, weight.dtype) == (other.shape, other.dtype):
        return True
    wanted, found = (TensorType(one.shape, one.dtype) for one in (weight, other))
    help_ = []
    if mine.node.op_name == "linear" and weight.shape == other.shape[::-1]:
        help_ = ["`transposed` says which way round `linear` keeps its weight"]
    sink.error(
        "shape-mismatch",
        f"`{mine.ref.own_key}` is {wanted} and cannot be `{key}`, which is {found}",
        span,
        secondary=[Label(owner.node.span, f"{found} comes from here")],
        help=help_,
    )
    return False
