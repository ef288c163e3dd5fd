"""Codes about YAML: what is not well formed, and what the language leaves out of YAML."""

from __future__ import annotations

from archc.diagnostics.codes.code import entry, spec

YAML = (
    entry(
        "bad-yaml",
        "The text is not well-formed YAML",
        """
        A bracket or quote is not closed, the indentation does not fit, or a character such as
        `:` or `{` stands where it means something to YAML. Values that hold a comma, a colon
        followed by a space, or a leading `[`, `{`, `*`, `&`, `!` or `@` have to be quoted;
        quoting never changes what a value means here.
        """,
        bad=spec("layers: [relu"),
        good=spec("layers: [relu]"),
    ),
    entry(
        "duplicate-key",
        "A key is given twice in one mapping",
        """
        Most YAML readers keep the last one and drop the others in silence, which hides layers.
        Rename or remove one of the two. Layers that only need an order, not a name, can be
        written as a list.
        """,
        bad=spec(
            """
            layers:
              act: relu
              act: tanh
            """
        ),
        good=spec(
            """
            layers:
              act1: relu
              act2: tanh
            """
        ),
    ),
    entry(
        "yaml-feature",
        "A part of YAML that the language leaves out",
        """
        Tags (`!!str`), directives, merge keys (`<<`), keys that are not words, several documents in
        one file, and aliases that contain themselves or repeat very much are refused: they either
        hide what a spec says or make a small file unfold to a huge one. Blocks, `let`, `defaults`
        and `for` do what merge keys and aliases are used for.
        """,
        bad=spec("layers: [!!str relu]"),
        good=spec("layers: [relu]"),
    ),
    entry(
        "too-deep",
        "Nested too deeply",
        """
        No network needs this many levels of brackets or indentation; the limit keeps crafted
        input from exhausting the machine. Usually brackets were repeated by mistake. Otherwise
        give the inner parts names as blocks.
        """,
        bad=spec("layers: " + "[" * 80 + "relu" + "]" * 80),
        good=spec("layers: [[[relu]]]"),
    ),
)
