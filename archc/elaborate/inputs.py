"""The declared inputs: shapes with symbolic dims, dtypes, and what is promised of the sizes."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from archc.diagnostics import Diagnostics, Span
from archc.diagnostics.closest import closest
from archc.elaborate.arguments import Evaluator, shown
from archc.elaborate.env import Poisoned
from archc.graph import Value
from archc.records import dataclass
from archc.spec.expressions import ExpressionError
from archc.spec.syntax import Argument, Input
from archc.spec.tree import Node, Scalar
from archc.spec.tree import Sequence as SequenceNode
from archc.types import Dim, DType, Expr, TensorType, symbol
from archc.types.sizes import ALL_SIZES, MAX_PERIOD, SizeSet, at_least, at_most, multiple_of

_SYMBOL = re.compile(r"[A-Z][A-Za-z0-9_]*")
_PROMISES = ("min", "max", "multiple")
_FAILED = object()

Bounds = Mapping[str, tuple[int, int | None]]


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a model, bound.

    Attributes:
        values: in the order of the spec.
        sizes: symbol -> the sizes that the spec promises to feed.
        bounds: the same as intervals, for shape rules.
        places: symbol -> where it is promised.
    """

    values: tuple[Value, ...]
    sizes: Mapping[str, SizeSet]
    bounds: Bounds
    places: Mapping[str, Span]


def bind_inputs(
    declared: Sequence[Input], evaluator: Evaluator, sink: Diagnostics
) -> Inputs | None:
    """Bind every input; symbols become names of the file. None after errors."""
    binder = _Binder(evaluator, sink)
    binder.introduce(declared)
    values = [binder.value(item) for item in declared]
    sizes = binder.promises(declared)
    bound = tuple(value for value in values if value is not None)
    if not bound or len(bound) < len(values) or sizes is None:
        return None
    bounds: dict[str, tuple[int, int | None]] = {}
    for name, promised in sizes.items():
        last = max(promised.early) if not promised.residues else None
        bounds[name] = (promised.first(1)[0], last)
    places = {name: key.span for item in declared for name, (key, _) in item.sizes.items()}
    return Inputs(bound, sizes, bounds, places)


class _Binder:
    def __init__(self, evaluator: Evaluator, sink: Diagnostics) -> None:
        self.evaluator = evaluator
        self.env = evaluator.scope.env
        self.sink = sink

    def introduce(self, declared: Sequence[Input]) -> None:
        """Make a symbol of each name that stands alone, so that others can use it before."""
        for item in declared:
            for node in item.shape.items if isinstance(item.shape, SequenceNode) else ():
                if isinstance(node, Scalar) and _SYMBOL.fullmatch(node.text):
                    self._evaluated(node)

    def value(self, declared: Input) -> Value | None:
        if not isinstance(declared.shape, SequenceNode):
            self.sink.error(
                "wrong-kind",
                "the shape of an input is a list such as [N, 3, 224, 224]",
                declared.shape.span,
            )
            return None
        dims = [self._dim(node) for node in declared.shape.items]
        dtype = self._dtype(declared.dtype)
        if not dims:
            self.sink.error("bad-value", "an input has at least a batch axis", declared.shape.span)
        shape = [dim for dim in dims if dim is not None]
        if len(shape) < len(dims) or dtype is None or not dims:
            return None
        return Value(declared.name.text, TensorType(tuple(shape), dtype), declared.name.span)

    def _dim(self, node: Node) -> Dim | None:
        """A size, an expression over params, or a symbol (a new name with a capital)."""
        value = self._evaluated(node)
        if isinstance(value, Expr):
            return value
        if value is _FAILED:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            self.sink.error(
                "bad-value",
                f"a dim is a positive integer or a symbol, not {shown(value)}",
                node.span,
            )
            return None
        return value

    def _evaluated(self, node: Node) -> object:
        """The value of a dim; `_FAILED` after an error."""
        try:
            if isinstance(node, Scalar) and _SYMBOL.fullmatch(node.text):
                return self._symbol(node.text)
            return self.evaluator.value(node)
        except ExpressionError as error:
            help_ = list(error.help)
            if error.code == "unknown-name":
                word = error.span.source.text[error.span.start : error.span.end]
                help_.append(f"a size that is left open starts with a capital: {word.capitalize()}")
            self.sink.error(error.code, error.message, error.span, help=help_)
        except Poisoned:
            pass
        return _FAILED

    def _symbol(self, name: str) -> object:
        try:
            return self.env.lookup(name)
        except KeyError:
            self.env.values[name] = symbol(name)
            return self.env.values[name]

    def _dtype(self, word: Scalar | None) -> DType | None:
        if word is None:
            return DType.FLOAT32
        names = [dtype.value for dtype in DType]
        if word.text in names:
            return DType(word.text)
        close = closest(word.text, names)
        self.sink.error(
            "bad-value",
            f"there is no dtype `{word.text}`",
            word.span,
            help=[f"did you mean `{close}`?" if close else f"it is one of {', '.join(names)}"],
        )
        return None

    # -- promises -------------------------------------------------------------------------

    def promises(self, declared: Sequence[Input]) -> dict[str, SizeSet] | None:
        """What the spec promises of each symbol; None after errors."""
        sizes: dict[str, SizeSet] = {}
        before = len(self.sink)
        for item in declared:
            names = _symbols(item, self.env.values)
            for name, (key, arguments) in item.sizes.items():
                if name not in names:
                    close = closest(name, list(names))
                    listing = ", ".join(f"`{known}`" for known in names) or "none"
                    self.sink.error(
                        "unknown-name",
                        f"input `{item.name.text}` has no symbolic size `{name}`",
                        key.span,
                        help=[f"did you mean `{close}`?" if close else f"it has {listing}"],
                    )
                    continue
                promised = sizes.get(name, ALL_SIZES)
                for argument in arguments.values():
                    promised = promised & self._promise(argument)
                if promised.is_empty:
                    self.sink.error("no-size", f"no size of {name} meets all of this", key.span)
                sizes[name] = promised
        return sizes if len(self.sink) == before else None

    def _promise(self, argument: Argument) -> SizeSet:
        rule = argument.key.text
        if rule not in _PROMISES:
            close = closest(rule, list(_PROMISES))
            self.sink.error(
                "unknown-key",
                f"a size has no `{rule}`",
                argument.key.span,
                help=[f"did you mean `{close}`?" if close else "it has `min`, `max`, `multiple`"],
            )
            return ALL_SIZES
        value = self._evaluated(argument.value)
        limit = MAX_PERIOD if rule == "multiple" else 2**20
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= limit:
            if value is not _FAILED:
                self.sink.error(
                    "bad-value",
                    f"`{rule}` is an integer from 1 to {limit}, not {shown(value)}",
                    argument.value.span,
                )
            return ALL_SIZES
        makers = {"min": at_least, "max": at_most, "multiple": multiple_of}
        return makers[rule](value)


def _symbols(declared: Input, bound: Mapping[str, object]) -> list[str]:
    """Names of the symbolic dims in an input's shape."""
    if not isinstance(declared.shape, SequenceNode):
        return []
    return [
        node.text
        for node in declared.shape.items
        if isinstance(node, Scalar) and isinstance(bound.get(node.text), Expr)
    ]
