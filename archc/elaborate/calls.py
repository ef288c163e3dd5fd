"""Calls: an op or block found by its word, its arguments evaluated, its nodes made."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from archc.diagnostics import Label, Span
from archc.elaborate.arguments import (
    Evaluator,
    accepted_words,
    build_op,
    define_params,
    op_value,
    shown,
    unknown_attribute,
)
from archc.elaborate.env import Env, LayerValue, OpWord, Poisoned, closest
from archc.elaborate.frame import Flow, Frame, Module, Place
from archc.elaborate.initials import apply_init
from archc.ops.base import Op
from archc.spec.expressions import ExpressionError
from archc.spec.syntax import Argument, Block, Call
from archc.spec.tree import Node, Scalar
from archc.spec.tree import Sequence as SequenceNode

if TYPE_CHECKING:
    from archc.elaborate.elaborator import Elaborator

MAX_BLOCK_DEPTH = 48


def call(
    elaborator: Elaborator, call: Call, path: str | None, inputs: list[Flow], place: Place
) -> Flow:
    """Elaborate an op or a block."""
    word = call.head.text.strip()
    held = _held(elaborator, call, word, place)
    if isinstance(held, LayerValue):
        return _held_layer(elaborator, call, held, path, inputs, place)
    name = held.name if isinstance(held, OpWord) else word
    found = place.frame.module.blocks.get(name) or elaborator.standard.get(name)
    if found is not None and (name not in elaborator.ops or name in place.frame.module.blocks):
        return _block(elaborator, call, name, *found, path, inputs, place)
    op = elaborator.ops.get(name)
    if op is None:
        _unknown_op(elaborator, call, name, place)
        return None
    return _op(elaborator, call, name, op, path, inputs, place)


def _held(
    elaborator: Elaborator, call: Call, word: str, place: Place
) -> OpWord | LayerValue | None:
    """The op or layer that a param of this name holds."""
    try:
        value = place.env.lookup(word)
    except KeyError:
        return None
    if isinstance(value, (OpWord, LayerValue)):
        return value
    if word in elaborator.ops or word in place.frame.module.blocks or word in elaborator.standard:
        return None
    raise ExpressionError(
        "unknown-op",
        f"`{word}` is no op here: it is a param that holds {shown(value)}",
        call.head.span,
    )


def _held_layer(
    elaborator: Elaborator,
    call: Call,
    held: LayerValue,
    path: str | None,
    inputs: list[Flow],
    place: Place,
) -> Flow:
    if call.primary is not None or call.arguments:
        raise ExpressionError(
            "unknown-attribute",
            f"`{call.head.text}` holds a layer with its own attributes; it takes no more",
            call.span,
        )
    here = place.frame
    frame = replace(
        held.frame,
        path=here.path,
        inputs=here.inputs,
        calls=(*here.calls, call.span),
        blocks=here.blocks,
        side=here.side,
    )
    inner = Place(frame, place.level, held.frame.env, place.numbered)
    return elaborator.dispatch(held.layer, path, inputs, inner)


def _op(
    elaborator: Elaborator,
    call: Call,
    name: str,
    op: type[Op],
    path: str | None,
    inputs: list[Flow],
    place: Place,
) -> Flow:
    path = elaborator.path(path, name, call.head.span, place)
    elaborator.builder.flows[path] = None
    scope = elaborator.scope(place.env, inputs[0])
    values: dict[str, object] = {}
    spans: dict[str, Span] = {}
    operands = list(inputs)
    failed = False
    written = _arguments(elaborator, call, name, op.principal, place)
    for field_name, (argument, home) in written.items():
        spans[field_name] = argument.span
        try:
            if field_name in op.references:
                operands.append(elaborator.reference(argument.value, inputs[0], home))
            else:
                values[field_name] = _field(
                    elaborator, op, field_name, argument.value, inputs[0], home
                )
        except ExpressionError as error:
            elaborator.report(error)
            failed = True
        except (Poisoned, KeyError):
            failed = True
    if failed:
        return None
    head = call.head.span
    built = build_op(name, op, values, spans, head, elaborator.sink)
    if built is None:
        return None
    outputs = elaborator.builder.node(
        path, name, built, operands, call.span, place.frame, attribute_spans=spans
    )
    init = call.common.init
    if init is not None and outputs[0] is not None:
        elaborator.builder.revise(path, lambda node: apply_init(node, init, scope))
    for index, output in enumerate(outputs):
        elaborator.builder.flows[f"{path}.{index}" if index else path] = output
    return outputs[0]


def _field(
    elaborator: Elaborator, op: type[Op], name: str, node: Node, entering: Flow, home: Place
) -> object:
    if name in op.text_fields:
        if not isinstance(node, Scalar):
            raise ExpressionError("wrong-type", f"`{name}` is text", node.span)
        return node.text
    words = accepted_words(op, name)
    evaluator = elaborator.evaluator(elaborator.scope(home.env, entering), home)
    value = evaluator.value(node, lambda word: words is None or word in words)
    return op_value(value)


def _arguments(
    elaborator: Elaborator, call: Call, name: str, principal: str | None, place: Place
) -> dict[str, tuple[Argument, Place]]:
    """Arguments as written, then defaults of the block's file, then of the spec.

    Each comes with the place whose names it may use: a default uses those of its file.
    """
    arguments: dict[str, tuple[Argument, Place]] = {}
    if call.primary is not None:
        if principal is None:
            raise ExpressionError(
                "unknown-attribute",
                f"`{name}` takes no value",
                call.primary.span,
                [f"write `{name}` alone"],
            )
        arguments[principal] = (Argument(call.head, call.primary), place)
    for key, argument in call.arguments.items():
        if key in arguments:
            raise ExpressionError(
                "duplicate-key",
                f"`{key}` is given twice",
                argument.key.span,
                [f"`{name}: ...` already is `{key}`"],
            )
        arguments[key] = (argument, place)
    for module in (place.frame.module, elaborator.main):
        _, defaults = module.spec.defaults.get(name, (None, {}))
        home = place.within(env=module.env)
        for key, argument in defaults.items():
            arguments.setdefault(key, (argument, home))
    return arguments


def _unknown_op(elaborator: Elaborator, call: Call, name: str, place: Place) -> None:
    options = [*elaborator.ops, *place.frame.module.blocks, *elaborator.standard]
    close = closest(name, options)
    help_ = [f"did you mean `{close}`?"] if close else ["`archc list --ops` lists the ops"]
    elaborator.sink.error(
        "unknown-op", f"there is no op or block `{name}`", call.head.span, help=help_
    )


def _block(
    elaborator: Elaborator,
    call: Call,
    name: str,
    block: Block,
    module: Module,
    path: str | None,
    inputs: list[Flow],
    place: Place,
) -> Flow:
    frame = place.frame
    elaborator.used_blocks.add(name)
    if name in frame.blocks or len(frame.blocks) >= MAX_BLOCK_DEPTH:
        way = " > ".join(f"`{step}`" for step in (*frame.blocks, name))
        raise ExpressionError(
            "block-recursion", f"block `{name}` uses itself: {way}", call.head.span
        )
    path = elaborator.path(path, name, call.head.span, place)
    elaborator.builder.flows[path] = None
    env = Env(module.env)
    scope = elaborator.scope(env, inputs[0])
    inner = Frame(
        module=module,
        env=env,
        path=path,
        inputs=_block_inputs(elaborator, call, block, inputs),
        calls=(*frame.calls, call.span),
        blocks=(*frame.blocks, name),
        side=frame.side,
    )
    evaluator = Evaluator(scope, inner, elaborator.sink, elaborator.words)
    given = _given(elaborator, call, name, block, place, inputs[0])
    if given is None:
        return None
    define_params(
        env,
        block.params,
        given,
        block.lets,
        lambda node: evaluator.value(node, elaborator.is_enum_word),
    )
    level = elaborator.builder.scope(path, name, call.span, block.doc)
    result = elaborator.chain(block.chain, inputs[0], Place(inner, level, env, False))
    known = [name for name in (*block.params, *block.lets) if name in env.values]
    elaborator.builder.keep_params(path, {name: env.values[name] for name in known})
    elaborator.builder.flows[path] = result
    return result


def _block_inputs(
    elaborator: Elaborator, call: Call, block: Block, inputs: list[Flow]
) -> dict[str, Flow]:
    names = [name.text for name in block.inputs]
    wanted = max(1, len(names))
    if len(inputs) != wanted:
        raise ExpressionError(
            "wrong-arity",
            f"block `{block.name}` takes {wanted} input{'s' if wanted > 1 else ''}, "
            f"not {len(inputs)}",
            call.span,
        )
    return {"in": inputs[0], **dict(zip(names, inputs, strict=False))}


def _given(
    elaborator: Elaborator, call: Call, name: str, block: Block, place: Place, entering: Flow
) -> dict[str, tuple[object, Span]] | None:
    """Params given at a call, evaluated; None after errors."""
    given: dict[str, tuple[object, Span]] = {}
    names = list(block.params)
    ok = True
    written = _arguments(elaborator, call, name, names[0] if names else None, place)
    for key, (argument, home) in written.items():
        if key not in block.params:
            unknown_attribute(name, key, names, argument.key.span, elaborator.sink)
            ok = False
            continue
        try:
            evaluator = elaborator.evaluator(elaborator.scope(home.env, entering), home)
            value = evaluator.value(argument.value, elaborator.is_enum_word)
        except ExpressionError as error:
            elaborator.report(error)
            ok = False
            continue
        positional = call.primary is not None and argument.value is call.primary
        if positional and isinstance(value, list) and not _is_list(block, key):
            given |= _positional(elaborator, value, block, argument, call)
        else:
            given[key] = (value, argument.value.span)
    for key, param in block.params.items():
        if param.kind is not None and key not in given and ok:
            elaborator.sink.error(
                "missing-attribute",
                f"block `{name}` needs `{key}`",
                call.head.span,
                secondary=[Label(param.span, "declared here without a default")],
            )
            ok = False
    return given if ok else None


def _positional(
    elaborator: Elaborator, values: list[object], block: Block, argument: Argument, call: Call
) -> dict[str, tuple[object, Span]]:
    names = list(block.params)
    if len(values) > len(names):
        raise ExpressionError(
            "unknown-attribute",
            f"block `{block.name}` has {len(names)} params, but {len(values)} values are given",
            argument.value.span,
        )
    node = argument.value
    places = node.items if isinstance(node, SequenceNode) else [node] * len(values)
    return {
        name: (value, place.span) for name, value, place in zip(names, values, places, strict=False)
    }


def _is_list(block: Block, param: str) -> bool:
    declared = block.params[param]
    return declared.kind == "list" or isinstance(declared.default, SequenceNode)
