"""Recurrent layers: LSTM, GRU and the plain one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, NamedTuple

from archc.ops.base import (
    Cost,
    Default,
    OnnxAttribute,
    OnnxEmitter,
    Op,
    Operand,
    TorchCode,
    TorchEmitter,
    Weight,
)
from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.demands import demand_float32, demand_rank, demand_static
from archc.ops.fields import Flag, PositiveInt, Probability
from archc.ops.forms import reshape
from archc.ops.initial import fan_in_uniform
from archc.ops.reach import UNTRACKED, WHOLE, Reach, Reaches, untracked
from archc.types import Dim, TensorType

MAX_LAYERS = 1000
"""Each has weights of its own, which are listed before anything counts them."""


class _Cell(NamedTuple):
    """One layer in one direction.

    Attributes:
        suffix: end of its weights' names, `_l0_reverse`.
        entering: features that it reads.
    """

    suffix: str
    entering: int


class _Recurrent(Op):
    """A layer that goes from position to position and keeps a state of `hidden` features."""

    word: ClassVar[str]
    torch_module: ClassVar[str]
    onnx_operator: ClassVar[str]
    order: ClassVar[tuple[int, ...]]
    """Where the rows of each gate of ONNX stand among those of torch."""
    states_kept: ClassVar[int] = 1
    """States that go from position to position."""

    principal = "hidden"
    fixed_keys = True

    hidden: PositiveInt
    layers: PositiveInt = 1
    bidirectional: Flag = False
    bias: Flag = True
    batch_first: Flag = True
    dropout: Probability = 0.0
    states: Flag = False

    # -- shapes ---------------------------------------------------------------------------

    def infer(self, cx: ShapeContext, x: TensorType) -> TensorType | tuple[TensorType, ...]:
        """[N, length, in] -> [N, length, directions * hidden], and the states if asked for."""
        demand_float32(self.word, x)
        demand_rank(self.word, x, 3, 3)
        self._features(x)
        if self.layers > MAX_LAYERS:
            said = f"`{self.word}` of {self.layers:,} layers; it has at most {MAX_LAYERS:,}"
            raise Refusal("too-large", said, at="layers")
        if self.dropout and self.layers == 1:
            raise Refusal(
                "bad-value",
                f"`dropout` acts between the layers of `{self.word}`, and it has one",
                at="dropout",
                help=["leave it out, or put a layer `dropout` behind"],
            )
        sequence = x.with_shape((*x.shape[:2], self._directions * self.hidden))
        if not self.states:
            return sequence
        return (sequence, *[self._state(x)] * self.states_kept)

    def _features(self, x: TensorType) -> int:
        return demand_static(self.word, x, 2, "its weight has one column per input feature")

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    def _state(self, x: TensorType) -> TensorType:
        """The last states of all layers and directions."""
        batch = x.shape[0 if self.batch_first else 1]
        return x.with_shape((self.layers * self._directions, batch, self.hidden))

    def _cells(self, x: TensorType) -> Iterator[_Cell]:
        features = self._features(x)
        for layer in range(self.layers):
            for suffix in ("", "_reverse")[: self._directions]:
                entering = self._directions * self.hidden if layer else features
                yield _Cell(f"_l{layer}{suffix}", entering)

    def weights(self, x: TensorType) -> tuple[Weight, ...]:
        """For each layer and direction what torch calls `weight_ih_l0`, `bias_hh_l0_reverse` ..."""
        init = fan_in_uniform(self.hidden)
        rows = len(self.order) * self.hidden
        made: list[Weight] = []
        for suffix, entering in self._cells(x):
            made.append(Weight(f"weight_ih{suffix}", (rows, entering), init))
            made.append(Weight(f"weight_hh{suffix}", (rows, self.hidden), init))
            if self.bias:
                made += [Weight(f"bias_{kind}{suffix}", (rows,), init) for kind in ("ih", "hh")]
        return tuple(made)

    def cost(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Cost:
        """The products of every position's input and state with the weights."""
        x = inputs[0]
        rows = len(self.order) * self.hidden
        macs = sum(rows * (cell.entering + self.hidden) for cell in self._cells(x))
        return Cost(macs=x.shape[0] * x.shape[1] * macs)

    def explain(self, x: TensorType) -> tuple[str, ...]:
        """Directions times hidden features."""
        directions, width = self._directions, self._directions * self.hidden
        return (f"features {directions} * {self.hidden} = {width}",)

    def reach(self, inputs: Sequence[TensorType], outputs: Sequence[TensorType]) -> Reaches:
        """Both directions read all positions, one reads some."""
        if self.states:
            return untracked(inputs)
        length = WHOLE if self.bidirectional else UNTRACKED
        axes = (Reach((0,)), length) if self.batch_first else (length, Reach((1,)))
        return ((*axes, WHOLE),)

    # -- torch ----------------------------------------------------------------------------

    def to_torch(self, t: TorchEmitter, x: Operand) -> TorchCode:
        """A module of torch, of whose results the sequence is the first."""
        module = t.module(
            self.torch_module,
            self._features(x.type),
            self.hidden,
            num_layers=Default(self.layers, 1),
            **self._torch_options(),
            bias=Default(self.bias, True),
            batch_first=Default(self.batch_first, False),
            dropout=Default(self.dropout, 0.0),
            bidirectional=Default(self.bidirectional, False),
        )
        result = module(x)
        if not self.states:
            return t.expr("{0}[0]", result)
        return t.expr("_flat({0})", result) if self.states_kept > 1 else result

    def _torch_options(self) -> dict[str, Default]:
        return {}

    # -- onnx -----------------------------------------------------------------------------

    def to_onnx(self, g: OnnxEmitter, x: Operand) -> Operand | tuple[Operand, ...]:
        """A node for each layer, over [length, N, features]; gates in the order of ONNX."""
        cells = list(self._cells(x.type))
        flow = _swapped(g, x) if self.batch_first else x
        kept: list[tuple[Operand, ...]] = []
        for layer in range(self.layers):
            own = cells[layer * self._directions : (layer + 1) * self._directions]
            result, *states = self._node(g, flow, [cell.suffix for cell in own])
            kept.append(tuple(states))
            flow = self._merged(g, result, is_last=layer == self.layers - 1)
        if not self.states:
            return flow
        type_ = self._state(x.type)
        if self.layers == 1:
            return (flow, *kept[0])
        ends = (g.op("Concat", *parts, type=type_, axis=0) for parts in zip(*kept, strict=True))
        return (flow, *ends)

    def _node(self, g: OnnxEmitter, x: Operand, suffixes: Sequence[str]) -> tuple[Operand, ...]:
        """One layer: the sequence [length, directions, N, hidden], and the states if asked for."""
        inputs = [self._stacked(g, "weight_ih", suffixes), self._stacked(g, "weight_hh", suffixes)]
        if self.bias:
            halves = [self._stacked(g, f"bias_{kind}", suffixes) for kind in ("ih", "hh")]
            directions, rows = halves[0].type.shape
            both = halves[0].type.with_shape((directions, 2 * rows))
            inputs.append(g.op("Concat", *halves, type=both, axis=1))
        length, batch, _ = x.type.shape
        shape: tuple[Dim, ...] = (self._directions, batch, self.hidden)
        types = [x.type.with_shape((length, *shape))]
        if self.states:
            types += [x.type.with_shape(shape)] * self.states_kept
        options: dict[str, OnnxAttribute] = {"hidden_size": self.hidden, **self._onnx_options()}
        if self.bidirectional:
            options["direction"] = "bidirectional"
        return g.ops(self.onnx_operator, x, *inputs, types=types, **options)

    def _stacked(self, g: OnnxEmitter, name: str, suffixes: Sequence[str]) -> Operand:
        """A weight of each direction, its gates in the order of ONNX: [directions, rows, ...]."""
        rows = [gate * self.hidden + row for gate in self.order for row in range(self.hidden)]
        parts = []
        for suffix in suffixes:
            weight = g.weight(f"{name}{suffix}")
            stacked = weight.type.with_shape((1, *weight.type.shape))
            if len(self.order) == 1:
                parts.append(g.op("Unsqueeze", weight, g.constant([0]), type=stacked))
            else:
                index = g.constant(rows, shape=(1, len(rows)))
                parts.append(g.op("Gather", weight, index, type=stacked, axis=0))
        if len(parts) == 1:
            return parts[0]
        both = parts[0].type.with_shape((2, *parts[0].type.shape[1:]))
        return g.op("Concat", *parts, type=both, axis=0)

    def _onnx_options(self) -> dict[str, OnnxAttribute]:
        return {}

    def _merged(self, g: OnnxEmitter, x: Operand, is_last: bool) -> Operand:
        """[length, directions, N, hidden] -> [length, N, features], batch first if asked for."""
        length, directions, batch, hidden = x.type.shape
        outer, perm = (length, batch), [0, 2, 1, 3]
        if is_last and self.batch_first:
            outer, perm = (batch, length), [2, 0, 1, 3]
        moved = x.type.with_shape((*outer, directions, hidden))
        x = g.op("Transpose", x, type=moved, perm=perm)
        merged = x.type.with_shape((*outer, self._directions * self.hidden))
        return reshape(g, x, merged.shape, merged)


def _swapped(g: OnnxEmitter, x: Operand) -> Operand:
    first, second, features = x.type.shape
    swapped = x.type.with_shape((second, first, features))
    return g.op("Transpose", x, type=swapped, perm=[1, 0, 2])


class LSTM(_Recurrent):
    """Long short-term memory over the positions of a sequence [N, length, features].

    `layers` are stacked, with `dropout` between them in training; `bidirectional` runs a second one
    from the end and puts its features behind. `batch_first: false` takes [length, N, features].
    `states` yields the last hidden state and the last cell state of all layers and directions,
    [layers * directions, N, hidden], as second and third output. There is no packing: every
    position counts, padding too. Source: torch.nn.LSTM, ONNX LSTM.
    """

    word = "lstm"
    torch_module = "nn.LSTM"
    onnx_operator = "LSTM"
    order = (0, 3, 1, 2)  # input, output, forget, cell; torch: input, forget, cell, output
    states_kept = 2

    def resolution(self) -> float:
        """The gates are sigmoids (see there); their errors add up in the cell."""
        return 8.0


class GRU(_Recurrent):
    """Gated recurrent units over the positions of a sequence; attributes are those of `lstm`.

    `states` yields the last hidden state as second output. Source: torch.nn.GRU; ONNX GRU with
    `linear_before_reset`.
    """

    word = "gru"
    torch_module = "nn.GRU"
    onnx_operator = "GRU"
    order = (1, 0, 2)  # update, reset, hidden; torch: reset, update, hidden

    def _onnx_options(self) -> dict[str, OnnxAttribute]:
        return {"linear_before_reset": 1}

    def resolution(self) -> float:
        """The gates are sigmoids (see there)."""
        return 8.0


class RNN(_Recurrent):
    """A plain recurrent layer, `tanh(W x + b + V h + c)` at each position, `relu` if asked for.

    Attributes are those of `lstm`; `states` yields the last hidden state as second output.
    Source: torch.nn.RNN, ONNX RNN.
    """

    word = "rnn"
    torch_module = "nn.RNN"
    onnx_operator = "RNN"
    order = (0,)

    nonlinearity: Literal["tanh", "relu"] = "tanh"

    def _torch_options(self) -> dict[str, Default]:
        return {"nonlinearity": Default(self.nonlinearity, "tanh")}

    def _onnx_options(self) -> dict[str, OnnxAttribute]:
        if self.nonlinearity == "tanh":
            return {}
        return {"activations": ["Relu"] * self._directions}
