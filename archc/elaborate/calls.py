"""Calls: an op found by its word, its arguments evaluated, its node made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from archc.diagnostics import Span
from archc.diagnostics.closest import closest
from archc.elaborate.arguments import (
    accepted_words,
    build_op,
    op_value,
    shown,
    unknown_attribute,
)
from archc.elaborate.blocks import call_block
from archc.elaborate.env import LayerValue, OpWord, Poisoned
from archc.elaborate.foreign import foreign_call, foreign_op
from archc.elaborate.frame import Flow, Place
from archc.elaborate.initials import apply_init
from archc.elaborate.keys import apply_keys, refuse_for_weights
from archc.elaborate.ties import read_ties
from archc.elaborate.written import add_defaults, written_arguments
from archc.ops.base import Op
from archc.records import dataclass, field, replace
from archc.spec.expressions import ExpressionError
from archc.spec.read_chain import A_LAYER
from archc.spec.syntax import Argument, Call
from archc.spec.tree import Node, Scalar

if TYPE_CHECKING:
    from archc.elaborate.elaborator import Elaborator

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def call(
    elaborator: Elaborator, call: Call, path: str | None, inputs: list[Flow], place: Place
) -> Flow:
    """Elaborate an op or a block."""
    held = _held(elaborator, call, inputs[0], place)
    if isinstance(held, LayerValue):
        refuse_for_weights(call.common, f"the layer that `{call.head.text}` holds")
        return _held_layer(elaborator, call, held, path, inputs, place)
    module = held.module or place.frame.module
    found = module.blocks.get(held.name) or elaborator.standard.get(held.name)
    if found is not None:
        refuse_for_weights(call.common, f"the block `{held.name}`")
        return call_block(elaborator, call, *found, path, inputs, place)
    if held.name in elaborator.ops:
        return _op(elaborator, call, held.name, path, inputs, place)
    if module.incomplete:
        raise Poisoned
    raise _unknown_op(elaborator, call, held.name, place)


def _held(elaborator: Elaborator, call: Call, flow: Flow, place: Place) -> OpWord | LayerValue:
    """The op or layer that the head of a call stands for: a word, a param, an expression."""
    word = call.head.text
    known = place.frame.module.words.known
    if _WORD.fullmatch(word):
        try:
            value = place.env.lookup(word)
        except KeyError:
            return OpWord(word)
        if not isinstance(value, (OpWord, LayerValue)) and word in known:
            value = elaborator.words_of(place.frame.module)(word) or value
    else:
        blocks = (*place.frame.module.blocks, *elaborator.standard)
        form = foreign_call(word, elaborator.ops, blocks) if word.endswith(")") else None
        if form is not None:
            message = "a layer is no function call"
            raise ExpressionError("unknown-op", message, call.head.span, [f"write `{form}`"])
        value = elaborator.evaluate(call.head, flow, place)
    if isinstance(value, (OpWord, LayerValue)):
        return value
    message = f"`{word}` is no op here: it stands for {shown(value)}"
    help_ = (
        [f"leave the layer out where there is none: `if {word}: {word}`"] if value is None else []
    )
    if not isinstance(call.head.value, str):
        message = f"{shown(value)} is no layer"
        help_ = [A_LAYER]
    raise ExpressionError("unknown-op", message, call.head.span, help_)


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


def _unknown_op(elaborator: Elaborator, call: Call, name: str, place: Place) -> ExpressionError:
    options = [*elaborator.ops, *place.frame.module.blocks, *elaborator.standard]
    meant = foreign_op(name, options)
    close = closest(name, options)
    help_ = [meant] if meant else [f"did you mean `{close}`?"] if close else []
    return ExpressionError("unknown-op", f"there is no op or block `{name}`", call.head.span, help_)


# -- ops ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Evaluated:
    """Arguments of an op, as far as they can be evaluated.

    Attributes:
        values: attributes by name.
        operands: what flows in.
        spans: where each was written, from its key to the end of its value.
        places: where the value of each was written.
        init: how `defaults` draws the weights, with the place whose names it may use.
        failed: whether something could not be evaluated.
        constant: whether the call says the same wherever it stands: numbers and switches alone.
    """

    values: dict[str, object]
    operands: list[Flow]
    spans: dict[str, Span] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)
    init: tuple[Argument, Place] | None = None
    failed: bool = False
    constant: bool = True


@dataclass(slots=True)
class Constant:
    """A call of an op that says the same wherever it stands, such as in every turn of a loop.

    Attributes:
        call: the call, kept so that its identity is not another's.
        op: what it makes.
        spans: where each attribute was written.
    """

    call: Call
    op: Op
    spans: dict[str, Span]


def _op(
    elaborator: Elaborator,
    call: Call,
    name: str,
    path: str | None,
    inputs: list[Flow],
    place: Place,
) -> Flow:
    builder = elaborator.builder
    path = elaborator.path(path, name, call.head.span, place)
    builder.flows[path] = None
    if not builder.claim_leaf(path, call.head.span):
        return None
    key = (id(call), name, id(place.frame.module))  # defaults are those of the module
    known = elaborator.constants.get(key)
    if known is None:
        evaluated = _evaluated(elaborator, call, name, elaborator.ops[name], inputs, place)
        built = None if evaluated.failed else _built(elaborator, call, name, evaluated)
        if built is None:
            return None
        spans, operands, init = evaluated.spans, evaluated.operands, evaluated.init
        if evaluated.constant:
            elaborator.constants[key] = Constant(call, built, spans)
    else:
        built, spans, init = known.op, known.spans, None
        operands = _main_inputs(call, type(built), inputs)
    outputs = builder.node(
        path, name, built, operands, call.span, place.frame, attribute_spans=spans
    )
    if outputs[0] is not None:
        _apply_default_init(elaborator, init, path, inputs[0])
        _apply_common(elaborator, call, path, place, inputs[0])
    for index, output in enumerate(outputs):
        builder.flows[f"{path}.{index}" if index else path] = output
    return outputs[0]


def _built(elaborator: Elaborator, call: Call, name: str, found: _Evaluated) -> Op | None:
    head, known = call.head.span, elaborator.builder.ops
    op = elaborator.ops[name]
    return build_op(name, op, found.values, found.places, head, elaborator.sink, known)


def _apply_default_init(
    elaborator: Elaborator, init: tuple[Argument, Place] | None, path: str, entering: Flow
) -> None:
    if init is not None:
        argument, home = init
        scope = elaborator.scope(home, entering)
        elaborator.builder.revise(
            path, lambda node: apply_init(node, argument.value, scope, is_default=True)
        )


def _apply_common(
    elaborator: Elaborator, call: Call, path: str, place: Place, entering: Flow
) -> None:
    """Change the layer just made as `init` and `keys` say, and note what `tie` says."""
    init, keys, tie = call.common.init, call.common.keys, call.common.tie
    if init is None and keys is None and tie is None:
        return
    scope = elaborator.scope(place, entering)
    if init is not None:
        elaborator.builder.revise(path, lambda node: apply_init(node, init, scope))
    if keys is not None:
        elaborator.builder.revise(path, lambda node: apply_keys(node, keys, scope, elaborator.sink))
    if tie is not None:
        builder = elaborator.builder
        builder.ties += read_ties(builder.nodes[-1], tie, init, scope)


def _evaluated(
    elaborator: Elaborator,
    call: Call,
    name: str,
    op: type[Op],
    inputs: list[Flow],
    place: Place,
) -> _Evaluated:
    found = _Evaluated({}, _main_inputs(call, op, inputs))
    entering = inputs[0]
    referenced: dict[str, Flow] = {}
    names = [*_attributes(op), *op.references]
    written = written_arguments(call, name, op.principal, names, place, layers=False)
    add_defaults(elaborator, written, name, place)
    found.init = written.pop("init", None)
    found.constant = found.init is None
    for key, (argument, home) in written.items():
        found.spans[key] = argument.span
        found.places[key] = argument.value.span
        if key in op.references or not _is_literal(argument.value):
            found.constant = False
        try:
            if key in op.references:
                referenced[key] = elaborator.reference(argument.value, entering, home)
                found.values[key] = True
            elif key in op.model_fields or op.model_config.get("extra") == "allow":
                found.values[key] = _field(elaborator, op, key, argument.value, entering, home)
            else:
                unknown_attribute(name, key, _attributes(op), argument.key.span, elaborator.sink)
                found.failed = True
        except ExpressionError as error:
            elaborator.report(error)
            found.failed = True
        except Poisoned:
            found.failed = True
    found.operands += [referenced[key] for key in op.references if key in referenced]
    return found


def _is_literal(node: Node) -> bool:
    """Whether a value is a number, a switch or nothing, and so needs no names."""
    return isinstance(node, Scalar) and not isinstance(node.value, str)


def _main_inputs(call: Call, op: type[Op], inputs: list[Flow]) -> list[Flow]:
    """What a layer reads besides its references; one that reads nothing stands in any chain."""
    reads_nothing = op.arity == (0, 0) and call.common.origin is None
    return [] if reads_nothing else list(inputs)


def _attributes(op: type[Op]) -> list[str]:
    return list(op.model_fields)


def _field(
    elaborator: Elaborator, op: type[Op], name: str, node: Node, entering: Flow, home: Place
) -> object:
    if name in op.text_fields:
        if not isinstance(node, Scalar):
            raise ExpressionError("wrong-type", f"`{name}` is text", node.span)
        return node.text
    if isinstance(node, Scalar) and not isinstance(literal := node.value, str):
        return literal
    words = accepted_words(op, name)
    try:
        value = elaborator.evaluator(home, entering).value(
            node, lambda word: words is None or word in words
        )
    except ExpressionError as error:
        if error.code != "unknown-name" or not words or error.span != node.span:
            raise
        word = error.span.source.text[error.span.start : error.span.end]
        close = closest(word, [*words, *home.env.names()])
        listing = ", ".join(f"`{accepted}`" for accepted in words)
        help_ = f"did you mean `{close}`?" if close else f"`{name}` takes {listing}, or a value"
        raise ExpressionError(error.code, error.message, error.span, [help_]) from None
    return op_value(value)
