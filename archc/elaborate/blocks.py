"""Calls of blocks: params given, a frame opened, the body elaborated."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from archc.diagnostics import Label, Span
from archc.elaborate.arguments import unknown_attribute
from archc.elaborate.env import Env, Poisoned
from archc.elaborate.frame import Flow, Frame, Module, Place
from archc.elaborate.params import check_kind, define
from archc.elaborate.written import Written, add_defaults, written_arguments
from archc.spec.expressions import ExpressionError
from archc.spec.syntax import Block, Call, Param
from archc.spec.tree import Node, Scalar
from archc.spec.tree import Sequence as SequenceNode

if TYPE_CHECKING:
    from archc.elaborate.elaborator import Elaborator

BLOCK_STEPS = 16
"""Steps of the expansion budget that an instance of a block takes, beyond its layers.

Blocks that use blocks double at each level, and an instance costs more time than a layer.
"""

Given = Mapping[str, tuple[object, Span]]
"""Values of params, each with its place."""


def call_block(
    elaborator: Elaborator,
    call: Call,
    block: Block,
    module: Module,
    path: str | None,
    inputs: list[Flow],
    place: Place,
) -> Flow:
    """Elaborate one use of a block."""
    frame = place.frame
    if any(block is outer for outer in frame.blocks):
        way = " > ".join(f"`{step.name}`" for step in (*frame.blocks, block))
        raise ExpressionError(
            "block-recursion",
            f"block `{block.name}` uses itself: {way}",
            call.head.span,
            ["repeat layers with `for`"],
        )
    elaborator.builder.step(call.head.span, BLOCK_STEPS)
    path = elaborator.path(path, call.head.text, call.head.span, place)
    elaborator.builder.flows[path] = None
    env = Env(module.env)
    inner = Frame(
        module=module,
        env=env,
        path=path,
        inputs=_inputs(call, block, inputs),
        calls=(*frame.calls, call.span),
        blocks=(*frame.blocks, block),
        side=frame.side,
    )
    given = _given(elaborator, call, block, place, inputs[0])
    if given is None:
        return None
    level = elaborator.open(path, block.name, [block.chain], call.span, block.doc)
    body = Place(inner, level, env, False)
    env.values.update((name, value) for name, (value, _) in given.items())
    # Sizes of what enters the block, not of what enters the layer that asks.
    define(env, block.params, block.lets, elaborator.evaluator(body, inputs[0]).value, but=given)
    with elaborator.sink.inside(call.span):
        result = elaborator.chain(block.chain, inputs[0], body)
    elaborator.builder.keep_params(path, env.values, block.params, block.lets)
    elaborator.builder.flows[path] = result
    return result


def _inputs(call: Call, block: Block, inputs: list[Flow]) -> dict[str, Flow]:
    names = [name.text for name in block.inputs]
    wanted = max(1, len(names))
    if len(inputs) != wanted:
        listing = ", ".join(names) or "in"
        raise ExpressionError(
            "wrong-arity",
            f"block `{block.name}` takes {wanted} input{'s' if wanted > 1 else ''}, "
            f"not {len(inputs)}",
            call.span,
            [f"write `from: [{listing}]` with a layer for each"] if wanted > 1 else (),
        )
    return {"in": inputs[0], **dict(zip(names, inputs, strict=False))}


def _given(
    elaborator: Elaborator, call: Call, block: Block, place: Place, entering: Flow
) -> Given | None:
    """Params given at a call, evaluated; None after errors."""
    names = list(block.params)
    written = written_arguments(
        call, block.name, names[0] if names else None, names, place, layers=True
    )
    given: dict[str, tuple[object, Span]] = {}
    failed = False
    if call.primary is not None:
        given.update(_positional(elaborator, call, block, written, entering))
        del written[names[0]]
    defaults: Written = {}
    add_defaults(elaborator, defaults, block.name, place)
    written = {**{key: d for key, d in defaults.items() if key not in given}, **written}
    for key, (argument, home) in written.items():
        param = block.params.get(key)
        if param is None:
            unknown_attribute(
                block.name, key, names, argument.key.span, elaborator.sink, foreign=False
            )
            failed = True
            continue
        try:
            value = _value(elaborator, param, argument.value, home, entering)
            given[key] = (value, argument.value.span)
        except ExpressionError as error:
            elaborator.report(error)
            failed = True
        except Poisoned:
            failed = True
    missing = _report_missing(elaborator, call, block, {*given, *written})
    return None if failed or missing else given


def _value(elaborator: Elaborator, param: Param, node: Node, home: Place, entering: Flow) -> object:
    anything = (lambda word: True) if param.kind == "text" else None
    value = elaborator.evaluator(home, entering).value(node, anything)
    check_kind(param, value, node.span)
    return value


def _positional(
    elaborator: Elaborator, call: Call, block: Block, written: Written, entering: Flow
) -> dict[str, tuple[object, Span]]:
    """What the first value of a call gives: the first param, or by a list several of them."""
    first = next(iter(block.params.values()))
    argument, place = written[first.name]
    node = argument.value
    takes_list = first.kind == "list" or isinstance(first.default, SequenceNode)
    if takes_list or (first.kind == "text" and isinstance(node, Scalar)):
        return {first.name: (_value(elaborator, first, node, place, entering), node.span)}
    value = elaborator.evaluator(place, entering).value(node)
    if not isinstance(value, list):
        check_kind(first, value, node.span)
        return {first.name: (value, node.span)}
    params = list(block.params.values())
    if len(value) > len(params):
        raise ExpressionError(
            "unknown-attribute",
            f"block `{block.name}` has {len(params)} param{'s' if len(params) > 1 else ''}, "
            f"but {len(value)} values are given",
            node.span,
        )
    places = node.items if isinstance(node, SequenceNode) else [node] * len(value)
    given: dict[str, tuple[object, Span]] = {}
    for param, one, item in zip(params, value, places, strict=False):
        check_kind(param, one, item.span)
        given[param.name] = (one, item.span)
        if param is not first and param.name in written:
            raise ExpressionError(
                "duplicate-key",
                f"`{param.name}` is given twice",
                written[param.name][0].key.span,
                ["the list gives it already"],
            )
    return given


def _report_missing(
    elaborator: Elaborator, call: Call, block: Block, given: Collection[str]
) -> bool:
    """Report params without a value; whether there are any."""
    missing = [p for p in block.params.values() if p.kind is not None and p.name not in given]
    for param in missing:
        first = param.name == next(iter(block.params))
        form = f"{{{block.name}: ...}}" if first else f"{param.name}: ..."
        elaborator.sink.error(
            "missing-attribute",
            f"block `{block.name}` needs `{param.name}`",
            call.head.span,
            secondary=[Label(param.span, "declared here without a default")],
            help=[f"write `{form}`"],
        )
    return bool(missing)
