"""Codes about layers: the ops they name and the attributes they give."""

from __future__ import annotations

from archc.diagnostics.codes.code import entry, spec
from archc.diagnostics.diagnostic import Severity

LAYERS = (
    entry(
        "unknown-op",
        "No op or block has this name",
        """
        The first key of a layer, or the bare word, names an op that archc knows or a block that
        the spec defines or imports. The nearest name is suggested.
        """,
        bad=spec("layers: [rleu]"),
        good=spec("layers: [relu]"),
    ),
    entry(
        "unknown-attribute",
        "The op or block has no such attribute",
        """
        Every op declares its attributes and every block its `params`; a misspelt one would
        otherwise be ignored in silence and leave the default in force. The nearest one is
        suggested. Sizes of the input are never attributes: they follow from the layer before.
        """,
        bad=spec("layers: [{conv: 8, kernal: 3}]"),
        good=spec("layers: [{conv: 8, kernel: 3}]"),
    ),
    entry(
        "missing-attribute",
        "The op needs an attribute that is not given",
        """
        The attribute has no default that would be right for most networks, so it has to be
        written. The principal attribute is the value of the layer's first key: `{conv: 64}`
        gives a convolution its output channels.
        """,
        bad=spec("layers: [conv]"),
        good=spec("layers: [{conv: 8}]"),
    ),
    entry(
        "wrong-type",
        "The value is of another type than the attribute",
        """
        An attribute takes an integer, a number, `true` or `false`, a word of a fixed set, or a
        list; nothing is converted. `0` and `1` are not booleans, and `no` and `off` are words.
        """,
        bad=spec("layers: [{conv: 8, bias: 0}]"),
        good=spec("layers: [{conv: 8, bias: false}]"),
    ),
    entry(
        "bad-value",
        "The value is outside of what the attribute allows",
        """
        The type is right, but the value makes no sense there: no output channels, a negative
        padding, a probability above 1, a word that is not among the choices. The message gives
        the range or the choices.
        """,
        bad=spec("layers: [{conv: 0}]"),
        good=spec("layers: [{conv: 8}]"),
    ),
    entry(
        "branch-empty",
        "A structure has no branches",
        """
        `concat`, `add` and `mul` join what their branches yield and need at least one layer or
        branch; so does the body of a `residual`. An empty list *inside* a structure is a branch
        that passes its input on: `{concat: [[], relu]}`.
        """,
        bad=spec("layers: [{concat: []}]"),
        good=spec("layers: [{concat: [[], relu]}]"),
    ),
    entry(
        "unknown-reference",
        "No earlier layer has this name",
        """
        `from` names a layer that comes before this one and is visible from here: one of the same
        chain, of a chain around it, or `in`, `input` and `prev`. Layers inside a named section
        are reached through it, as `section.layer`; layers of a list have no names.
        """,
        bad=spec(
            """
            layers:
              act: relu
              sum: {add: , from: [act, inptu]}
            """
        ),
        good=spec(
            """
            layers:
              act: relu
              sum: {add: , from: [act, input]}
            """
        ),
    ),
    entry(
        "unused-layer",
        "Nothing uses what this layer computes",
        """
        The chain was left by a `from` after this layer and nothing refers back to it, so its
        work and its weights have no effect on any output. Refer to it, declare it among
        `outputs`, or remove it.
        """,
        bad=spec(
            """
            layers:
              lost: relu
              kept: {tanh: , from: input}
            """
        ),
        good=spec(
            """
            layers:
              first: relu
              second: tanh
            """
        ),
        severity=Severity.WARNING,
    ),
    entry(
        "unused-input",
        "Nothing reads this input",
        """
        The layers start with the first input; each further one has to be read with `from`. An
        input that nothing reads would have to be fed all the same.
        """,
        bad=spec("layers: [relu]", inputs="{x: [N, 3, 32, 32], mask: [N, 1, 32, 32]}"),
        good=spec(
            """
            layers:
              act: relu
              masked: {concat: , from: [act, mask]}
            """,
            inputs="{x: [N, 3, 32, 32], mask: [N, 1, 32, 32]}",
        ),
        severity=Severity.WARNING,
    ),
)
