"""From written arguments to validated values: expressions evaluated, ops built."""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping
from functools import cache

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from archc.diagnostics import Diagnostics, Span
from archc.diagnostics.closest import closest
from archc.elaborate.env import (
    ENTERING,
    LayerScope,
    LayerValue,
    OpWord,
    Poisoned,
)
from archc.elaborate.foreign import foreign_attribute
from archc.elaborate.frame import Frame
from archc.ops.base import Op
from archc.ops.fields import describe
from archc.records import dataclass, replace
from archc.spec.expressions import ExpressionError, parse_expression
from archc.spec.read_chain import ChainReader, Vocabulary
from archc.spec.syntax import Broken
from archc.spec.tree import Node, Scalar, Sequence, resolve_plain
from archc.types import Expr, format_dim

_YAML_1_1 = {"yes": "true", "on": "true", "no": "false", "off": "false"}
"""Words that were booleans in older YAML."""


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Evaluates argument nodes in one scope.

    Attributes:
        scope: what names mean.
        frame: the frame that layers given as values belong to, with the names of the scope.
        sink: where errors in layers given as values go.
        words: what starts a call in a layer given as a value.
    """

    scope: LayerScope
    frame: Frame
    sink: Diagnostics
    words: Vocabulary

    def value(self, node: Node, word: Callable[[str], bool] | None = None) -> object:
        """The value of a node.

        Args:
            node: scalar (a value or an expression), list, or mapping (a layer as a value).
            word: which unknown bare words stand for themselves.

        Raises:
            ExpressionError: an expression is wrong.
            Poisoned: it depends on something that failed.
        """
        if isinstance(node, Sequence):
            return [self.value(item, word) for item in node.items]
        if not isinstance(node, Scalar):
            layer = ChainReader(self.sink, self.words).layer(node)
            if isinstance(layer, Broken):
                raise Poisoned
            frame = self.frame
            if frame.env is not self.scope.env:
                frame = replace(frame, env=self.scope.env)
            return LayerValue(layer, frame)
        literal = node.value
        if not isinstance(literal, str):
            return literal
        try:
            scope = self.scope if word is None else self.scope.accepting(word)
            return parse_expression(node).evaluate(scope)
        except ExpressionError as error:
            raise self._explained(error) from None

    def holds(self, condition: Scalar) -> bool:
        """Whether a condition holds.

        Raises:
            ExpressionError: it is wrong, or depends on a size that is not fixed.
            Poisoned: it depends on something that failed.
        """
        value = self.value(condition)
        if not isinstance(value, Expr):
            return bool(value)
        raise ExpressionError(
            "symbolic-condition",
            f"`{condition.text}` depends on {format_dim(value)}, which is not fixed",
            condition.span,
            ["give the input a fixed size"],
        )

    def _explained(self, error: ExpressionError) -> ExpressionError:
        """An error that says why a word means nothing that means something elsewhere."""
        word = error.span.source.text[error.span.start : error.span.end]
        if error.code == "unknown-name" and word.lower() in _YAML_1_1:
            help_ = f"write {_YAML_1_1[word.lower()]}: `{word}` is a mere word"
            return ExpressionError(error.code, error.message, error.span, [help_])
        if error.code != "unknown-name" or word not in ENTERING:
            return error
        why = "no tensor enters here"
        if self.scope.entering is not None:
            why = f"the tensor that enters is {self.scope.entering}"
        return ExpressionError(error.code, f"there is no `{word}` here: {why}", error.span)


@cache
def accepted_words(op: type[Op], field: str) -> tuple[str, ...] | None:
    """Words that a field takes: () for none, None for any text."""
    info = op.model_fields.get(field)
    if info is None:
        return ()
    words: list[str] = []

    def walk(annotation: object) -> bool:
        if annotation is str or annotation is typing.Any:
            return True
        if typing.get_origin(annotation) is typing.Literal:
            words.extend(a for a in typing.get_args(annotation) if isinstance(a, str))
            return False
        return any([walk(arg) for arg in typing.get_args(annotation)])

    return None if walk(info.annotation) else tuple(words)


@cache
def enum_words(op: type[Op]) -> frozenset[str]:
    """Words that attributes of an op take."""
    return frozenset(word for name in op.model_fields for word in accepted_words(op, name) or ())


def takes_word(op: type[Op], word: str) -> bool:
    """Whether an op's principal attribute may be a word."""
    words = accepted_words(op, op.principal) if op.principal else ()
    return words is not None and word in words


def op_value(value: object) -> object:
    """A value as an op's field takes it: words are text."""
    if isinstance(value, OpWord):
        return value.name
    if isinstance(value, list):
        return [op_value(item) for item in value]
    return value


def build_op(
    op_name: str,
    op: type[Op],
    values: Mapping[str, object],
    spans: Mapping[str, Span],
    head: Span,
    sink: Diagnostics,
    known: dict[object, Op],
) -> Op | None:
    """Validate attributes against the op's model.

    Args:
        op_name: its word.
        op: its declaration.
        values: the attributes.
        spans: where each was written.
        head: where the layer starts.
        sink: where errors go.
        known: ops of the same spec that were validated before, to be looked up and added to:
            layers that are written alike share one.

    Returns:
        The op; None after errors.
    """
    key = (op, *((name, _written(value)) for name, value in values.items()))
    try:
        found = known.get(key)
    except TypeError:  # a value that cannot be looked up, which no op takes
        found = None
    if found is not None:
        return found
    try:
        valid = op.model_validate(dict(values))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _report(op_name, op, detail, spans, head, sink)
        return None
    known[key] = valid
    return valid


def _written(value: object) -> object:
    """What two equal values share when ops cannot tell them apart: 1, 1.0 and true differ."""
    if isinstance(value, list):
        return (list, *map(_written, value))
    if isinstance(value, float):
        return (float, value.hex())
    return (type(value), value)


def _report(
    op_name: str,
    op: type[Op],
    detail: ErrorDetails,
    spans: Mapping[str, Span],
    head: Span,
    sink: Diagnostics,
) -> None:
    field = str(detail["loc"][0]) if detail["loc"] else ""
    span = spans.get(field, head)
    kind = detail["type"]
    if kind == "missing":
        hint = f"{{{op_name}: ...}}" if field == op.principal else f"{field}: ..."
        sink.error(
            "missing-attribute", f"`{op_name}` needs `{field}`", head, help=[f"write {hint}"]
        )
        return
    if kind == "extra_forbidden":
        unknown_attribute(op_name, field, list(op.model_fields), span, sink)
        return
    if "-" in kind:  # one of our own codes, see archc.ops.fields
        context = detail.get("ctx") or {}
        helps = [str(context["help"])] if "help" in context else []
        written = resolve_plain(span.source.text[span.start : span.end] or "~")
        if kind == "not-an-integer" and isinstance(written, float) and written.is_integer():
            helps = [f"write {int(written)}"]
        subject = f"`{op_name}`: `{field}`" if field else f"`{op_name}`"
        sink.error(kind, f"{subject} {detail['msg']}", span, help=helps)
        return
    words = accepted_words(op, field)
    help_ = []
    if words:
        close = closest(str(detail.get("input")), list(words))
        listing = ", ".join(f"`{word}`" for word in words)
        help_ = [f"did you mean `{close}`?"] if close else [f"it takes {listing}"]
    sink.error(
        "bad-value" if kind == "value_error" else "wrong-type",
        f"`{op_name}`: `{field}` cannot be {describe(detail.get('input'))}: "
        f"{detail['msg'].removeprefix('Value error, ')}",
        span,
        help=help_,
    )


def unknown_attribute(
    name: str,
    attribute: str,
    options: list[str],
    span: Span,
    sink: Diagnostics,
    *,
    foreign: bool = True,
) -> None:
    """Report an attribute that an op or block does not have.

    Args:
        name: of the op or block.
        attribute: as written.
        options: what it has.
        span: where it was written.
        sink: where the error goes.
        foreign: whether other frameworks may have an attribute like it.
    """
    close = closest(attribute, options)
    word, _, value = attribute.partition(" ")
    if word in options and value:
        close = f"{word}: {value}"
    listing = ", ".join(f"`{option}`" for option in options) or "no attributes"
    help_ = foreign_attribute(attribute, options) if foreign else None
    if help_ is None:
        help_ = f"did you mean `{close}`?" if close else f"it has {listing}"
    sink.error(
        "unknown-attribute",
        f"`{name}` has no attribute `{attribute}`",
        span,
        help=[help_],
    )


def shown(value: object) -> str:
    """A value as a message shows it."""
    if isinstance(value, OpWord):
        return f"the op `{value.name}`"
    if isinstance(value, LayerValue):
        return "a layer"
    return describe(value)
