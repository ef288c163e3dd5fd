"""Codes about names: of layers, blocks, parameters and variants."""

from __future__ import annotations

from archc.diagnostics.codes.code import entry, spec
from archc.diagnostics.diagnostic import Severity

NAMES = (
    entry(
        "bad-name",
        "Not usable as a name",
        """
        Names become keys of the `state_dict`, ONNX initializers and attributes of generated
        Python, so they hold letters, digits, `_` and `-`; dots separate levels, and `{...}`
        holds an expression. Names of parameters and blocks are identifiers.
        """,
        bad=spec(
            """
            layers:
              first act: relu
            """
        ),
        good=spec(
            """
            layers:
              first_act: relu
            """
        ),
    ),
    entry(
        "name-taken",
        "Two layers end up with the same name",
        """
        A layer's full name is the key of its weights and has to be unique. A `for` that repeats
        a named layer needs its variable in the name; a name with dots may collide with a section
        of the same name.
        """,
        bad=spec(
            """
            layers:
              for i in range(2):
                act: relu
            """
        ),
        good=spec(
            """
            layers:
              for i in range(2):
                act{i}: relu
            """
        ),
    ),
    entry(
        "onnx-only-key",
        "PyTorch cannot keep a weight under this key",
        """
        The modules that compute these ops in PyTorch name their weights themselves, and there is
        no function for the op that takes a tensor kept elsewhere: norms but layer norm,
        transposed convolutions, PReLU, recurrent layers. In ONNX a weight has any key, so this is
        a warning; `archc build --to torch` and `archc verify` refuse such a network. Without
        `keys` the weight's key is the layer's path and the weight's own name.
        """,
        bad=spec(
            """
            layers:
              - {conv: 8, kernel: 3}
              - {groupnorm: 4, keys: {weight: scales}}
            """
        ),
        good=spec(
            """
            layers:
              - {conv: 8, kernel: 3, keys: {weight: filters}}
              - {groupnorm: 4}
            """
        ),
        severity=Severity.WARNING,
    ),
    entry(
        "circular-definition",
        "A definition refers to itself",
        """
        The entries of `params` and `let` may use one another in any order, but not in a circle:
        none of them would have a value to start from. Give one of them a value of its own.
        Likewise weights that are tied: one of them is no other layer's.
        """,
        bad=spec(
            """
            let: {wide: 4 * wide}
            layers: [{conv: wide}]
            """
        ),
        good=spec(
            """
            let: {narrow: 16, wide: 4 * narrow}
            layers: [{conv: wide}]
            """
        ),
    ),
    entry(
        "block-recursion",
        "A block uses itself",
        """
        Blocks are unfolded where they are used, so one that contains itself, directly or through
        others, would never end. Repeat with `for`; depth is a parameter then.
        """,
        bad=spec(
            """
            blocks:
              unit: {body: [relu, unit]}
            layers: [unit]
            """
        ),
        good=spec(
            """
            blocks:
              unit: {params: {depth: int}, body: [for i in range(depth): relu]}
            layers: [{unit: 2}]
            """
        ),
    ),
    entry(
        "unused-block",
        "A block is defined and never used",
        """
        It may be a leftover, or the layer that should use it names something else. Files that
        only define blocks for others to import are not concerned.
        """,
        bad=spec(
            """
            blocks:
              unit: {body: [relu]}
            layers: [relu]
            """
        ),
        good=spec(
            """
            blocks:
              unit: {body: [relu]}
            layers: [unit]
            """
        ),
        severity=Severity.WARNING,
    ),
    entry(
        "unused-param",
        "A parameter is declared and never used",
        """
        Setting it changes nothing, in a variant or with `--set`. Remove it, or use it where a
        number was written by hand.
        """,
        bad=spec(
            """
            params: {width: 8}
            layers: [{conv: 8}]
            """
        ),
        good=spec(
            """
            params: {width: 8}
            layers: [{conv: width}]
            """
        ),
        severity=Severity.WARNING,
    ),
    entry(
        "missing-param",
        "A parameter has no value",
        """
        A parameter that is declared by its type (`int`, `float`, `bool`, `list`, `op`, `text`)
        has no default and has to be given: by a variant, with `--set name=value`, or where the
        block is used. Declare it with a default if there is one that suits most networks.
        """,
        bad=spec(
            """
            params: {width: int}
            layers: [{conv: width}]
            """
        ),
        good=spec(
            """
            params: {width: 8}
            layers: [{conv: width}]
            """
        ),
    ),
    entry(
        "unknown-param",
        "No parameter has this name",
        """
        Variants and `--set` change parameters that the spec declares under `params`, and nothing
        else. Declare the parameter with its default, or correct the name.
        """,
        bad=spec(
            """
            params: {width: 8}
            variants:
              wide: {widht: 16}
            layers: [{conv: width}]
            """
        ),
        good=spec(
            """
            params: {width: 8}
            variants:
              wide: {width: 16}
            layers: [{conv: width}]
            """
        ),
    ),
    entry(
        "unknown-variant",
        "The spec has no such variant",
        """
        `--variant` takes one of the names under `variants`. The message lists them, the nearest
        one first.
        """,
        needs="`--variant` and a name that is not under `variants`",
    ),
    entry(
        "symbolic-condition",
        "A condition depends on a size that is not known yet",
        """
        `if`, `when` and `for` decide at compile time which layers there are, so they cannot
        depend on a symbolic size: the network would differ from input to input. Decide on a
        parameter, or give the input a fixed size.
        """,
        bad=spec(
            """
            layers:
              - if in_height > 16: {maxpool: 2}
              - relu
            """,
            inputs="{x: [N, 3, H, W]}",
        ),
        good=spec(
            """
            layers:
              - if in_height > 16: {maxpool: 2}
              - relu
            """
        ),
    ),
)
