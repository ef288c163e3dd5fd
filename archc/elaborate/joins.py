"""Structures: residual, concat, add, mul with their branches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from archc.diagnostics import Span
from archc.elaborate.arguments import build_op
from archc.elaborate.frame import Flow, Place
from archc.elaborate.suggest import shortcut_for
from archc.spec.syntax import Chain, Join, LayerItem
from archc.spec.tree import Scalar

if TYPE_CHECKING:
    from archc.elaborate.elaborator import Elaborator


def join(elaborator: Elaborator, structure: Join, flow: Flow, place: Place) -> Flow:
    """Elaborate a structure; returns what follows from its join (and `then`)."""
    if structure.kind == "residual":
        result = _residual(elaborator, structure, flow, place)
    else:
        result = _branches(elaborator, structure, flow, place)
    if structure.then is None:
        return result
    return elaborator.chain(structure.then, result, place)


def _residual(elaborator: Elaborator, structure: Join, flow: Flow, place: Place) -> Flow:
    if not structure.body.items:
        return _empty(elaborator, structure)
    joined = structure.skip is None or elaborator.truth(structure.skip, flow, place)
    main = elaborator.chain(structure.body, flow, place)
    if not joined:
        return main
    if main is flow and flow is not None and structure.shortcut is None:
        return _empty(elaborator, structure)
    if structure.drop_path is not None:
        main = _drop_path(elaborator, structure.drop_path, main, flow, place)
    shortcut = flow
    if structure.shortcut is not None:
        shortcut = elaborator.chain(structure.shortcut, flow, place)
    return _combine(elaborator, "add", {}, [main, shortcut], structure, place)


def _empty(elaborator: Elaborator, structure: Join) -> Flow:
    elaborator.sink.error(
        "branch-empty",
        "the body of this `residual` has no layers",
        structure.head.span,
        help=["it would add its input to itself"],
    )
    return None


def _drop_path(
    elaborator: Elaborator, rate: Scalar, main: Flow, entering: Flow, place: Place
) -> Flow:
    value = elaborator.evaluate(rate, entering, place)
    if value == 0:
        return main
    op = build_op(
        "drop_path",
        elaborator.ops["drop_path"],
        {"p": value},
        {"p": rate.span},
        rate.span,
        elaborator.sink,
        elaborator.builder.ops,
    )
    if op is None:
        return None
    path = elaborator.builder.imply(place.level, "drop_path", rate.span)
    outputs = elaborator.builder.node(
        path, "drop_path", op, [main], rate.span, place.frame, implied=True
    )
    return outputs[0]


def _branches(elaborator: Elaborator, structure: Join, flow: Flow, place: Place) -> Flow:
    attributes: dict[str, object] = {}
    if structure.dim is not None:
        attributes["dim"] = elaborator.evaluate(structure.dim, flow, place)
    listed = structure.body.style == "list"
    items = list(_spread(elaborator, structure.body, flow, place, listed))
    if not items:
        elaborator.sink.error(
            "branch-empty", f"`{structure.kind}` has no branches", structure.head.span
        )
        return None
    entering = _entering(elaborator, structure, flow, place, len(items))
    results = [
        elaborator.layer(item, source, inner)
        for (item, inner), source in zip(items, entering, strict=True)
    ]
    if len(results) == 1:
        return results[0]
    return _combine(elaborator, structure.kind, attributes, results, structure, place)


def _spread(
    elaborator: Elaborator, body: Chain, flow: Flow, place: Place, listed: bool
) -> Iterator[tuple[LayerItem, Place]]:
    """The branches one by one, loops and alternatives spliced.

    Args:
        elaborator: evaluates headers and conditions.
        body: the branches.
        flow: what enters the structure.
        place: where it stands.
        listed: whether the branches are listed: then the body of a loop is one branch, as every
            item is. In a mapping each of its entries is one.
    """
    here = elaborator.at(body, place)
    for item in body.items:
        if isinstance(item, LayerItem):
            yield item, here
            continue
        for inner, names in elaborator.bodies(item, flow, here):
            if listed and not _is_control(inner):
                yield elaborator.as_branch(inner), names
            else:
                yield from _spread(elaborator, inner, flow, names, listed)


def _is_control(body: Chain) -> bool:
    """Whether a body is nothing but loops and alternatives: `for ...: {if ...: relu}`."""
    plain = any(isinstance(item, LayerItem) for item in body.items)
    return body.style == "single" and bool(body.items) and not plain


def _entering(
    elaborator: Elaborator, structure: Join, flow: Flow, place: Place, count: int
) -> list[Flow]:
    """What each branch is fed: the same value, or its share of the channels (`split`)."""
    if structure.split is None or not elaborator.truth(structure.split, flow, place):
        return [flow] * count
    span = structure.split.span
    op = build_op(
        "chunk",
        elaborator.ops["chunk"],
        {"chunks": count},
        {},
        span,
        elaborator.sink,
        elaborator.builder.ops,
    )
    path = elaborator.builder.imply(place.level, "split", span)
    if op is None:
        return [None] * count
    outputs = elaborator.builder.node(path, "chunk", op, [flow], span, place.frame, implied=True)
    return list(outputs) if len(outputs) == count else [None] * count


def _combine(
    elaborator: Elaborator,
    op_name: str,
    attributes: dict[str, object],
    operands: list[Flow],
    structure: Join,
    place: Place,
) -> Flow:
    if structure.flawed:
        return None
    span: Span = structure.head.span
    spans = {"dim": structure.dim.span} if structure.dim is not None else {}
    op = build_op(
        op_name,
        elaborator.ops[op_name],
        attributes,
        spans,
        span,
        elaborator.sink,
        elaborator.builder.ops,
    )
    if op is None:
        return None
    path = elaborator.builder.imply(place.level, op_name, span)
    plain = structure.kind == "residual" and structure.shortcut is None
    outputs = elaborator.builder.node(
        path,
        op_name,
        op,
        operands,
        span,
        place.frame,
        attribute_spans=spans,
        implied=True,
        remedies=shortcut_for if plain else None,
    )
    elaborator.builder.flows[path] = outputs[0]
    return outputs[0]
