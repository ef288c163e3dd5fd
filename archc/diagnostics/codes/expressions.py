"""Codes about expressions: how they are written and what they evaluate to."""

from __future__ import annotations

from archc.diagnostics.codes.code import entry, spec

EXPRESSIONS = (
    entry(
        "bad-expression",
        "Not an expression of the language",
        """
        Values are expressions in a small subset of Python: numbers, booleans, names, lists,
        arithmetic, comparisons, `and`, `or`, `not`, `a if c else b`, indexing, and calls of a
        fixed list of functions, and comprehensions. Attributes and lambdas are not part of it.
        """,
        bad=spec("layers: [{conv: 8 +}]"),
        good=spec("layers: [{conv: 8 + 8}]"),
    ),
    entry(
        "unknown-name",
        "An expression uses a name that means nothing here",
        """
        Names are looked up among loop variables, the block's parameters and `let`, the file's
        `params` and `let`, and the sizes of the tensor that enters the layer (`in_channels`,
        `in_features`, `in_height`, ...). A block does not see the variables of who uses it: pass
        them as parameters.
        """,
        bad=spec("layers: [{conv: width}]"),
        good=spec(
            """
            params: {width: 8}
            layers: [{conv: width}]
            """
        ),
    ),
    entry(
        "unknown-function",
        "An expression calls something that is not a function here",
        """
        Only a fixed list of functions can be called (`range`, `enumerate`, `zip`, `len`, `min`,
        `max`, `sum`, `round`, `int` and a few more), none of which can run long or reach out.
        """,
        bad=spec("layers: [{conv: square(4)}]"),
        good=spec("layers: [{conv: 4 ** 2}]"),
    ),
    entry(
        "expression-type",
        "An expression combines values that do not go together",
        """
        Numbers, booleans, words and lists are not converted into one another: a list has no sum
        with a number, and a word has no size.
        """,
        bad=spec('layers: [{conv: "8 + [1]"}]'),
        good=spec("layers: [{conv: 8 + 1}]"),
    ),
    entry(
        "expression-limit",
        "An expression is too long, too deep or too big",
        """
        Length, nesting, the size of every intermediate number and list, and the number of steps
        are bounded far above what networks need, so that checking a spec always ends soon.
        """,
        bad=spec("layers: [{conv: 2 ** 100000}]"),
        good=spec("layers: [{conv: 2 ** 6}]"),
    ),
    entry(
        "division-by-zero",
        "An expression divides by zero",
        """
        The divisor of `/`, `//` or `%` is zero for the parameters in force. The message shows
        the value of each name involved.
        """,
        bad=spec("layers: [{conv: 8 // 0}]"),
        good=spec("layers: [{conv: 8 // 2}]"),
    ),
    entry(
        "not-an-integer",
        "A float where an integer is needed",
        """
        `/` always yields a float, also when it divides evenly, and a size is an integer. Floats
        are not rounded in silence: write `//` to divide and round down, or wrap the expression in
        `int()` or `round()` to say which rounding is meant.
        """,
        bad=spec("layers: [{conv: 16 / 2}]"),
        good=spec("layers: [{conv: 16 // 2}]"),
    ),
)
