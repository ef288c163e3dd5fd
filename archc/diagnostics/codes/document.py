"""Codes about a spec as a whole: its version, its keys, its imports, its expectations."""

from __future__ import annotations

from archc.diagnostics.codes.code import entry, spec

DOCUMENT = (
    entry(
        "missing-version",
        "The spec does not say which format it is written in",
        """
        `archc: 1` is the version of the format and is mandatory, so that a later archc can read
        the file as it was meant. Put it on the first line.
        """,
        bad="name: demo\ninputs: {x: [N, 3, 32, 32]}\nlayers: [relu]\n",
        good=spec("layers: [relu]"),
    ),
    entry(
        "unsupported-version",
        "This archc does not know the spec's format version",
        """
        The number after `archc:` is the version of the format, not of the program. This archc
        reads version 1. A higher number means that the file was written for a newer archc.
        """,
        bad="archc: 99\nname: demo\ninputs: {x: [N, 3, 32, 32]}\nlayers: [relu]\n",
        good=spec("layers: [relu]"),
    ),
    entry(
        "unknown-key",
        "A key that means nothing at this place",
        """
        The keys of a spec, of a block and of a structure such as `residual` are fixed, so that a
        misspelt one is found instead of ignored. The message names the nearest key, or all that
        are possible. Free text belongs into `doc:` or a comment.
        """,
        bad=spec(
            """
            author: someone
            layers: [relu]
            """
        ),
        good=spec(
            """
            doc: Written by someone.
            layers: [relu]
            """
        ),
    ),
    entry(
        "missing-key",
        "A key that has to be there is missing",
        """
        A spec needs `archc`, `inputs` and `layers`; a block needs a body. Nothing is assumed in
        their place.
        """,
        bad="archc: 1\nname: demo\nlayers: [relu]\n",
        good=spec("layers: [relu]"),
    ),
    entry(
        "wrong-kind",
        "A value of another kind belongs here",
        """
        A mapping (`name: value` entries), a list (`- item` entries) and a single value are told
        apart, and this place takes another kind than it was given. Parameters, for example, are
        a mapping of names to defaults. Arguments of a layer stand beside its op, in one mapping:
        `{conv: 8, kernel: 3}`, not `conv: {out: 8, kernel: 3}`.
        """,
        bad=spec(
            """
            params: [width]
            layers: [{conv: 8}]
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
        "no-layers",
        "The network has no layers",
        """
        `layers` is empty, or every layer of it was left out by an `if`, `when` or an empty `for`.
        A network that does nothing is almost certainly not what was meant; `identity` says so
        explicitly.
        """,
        bad=spec("layers: []"),
        good=spec("layers: [identity]"),
    ),
    entry(
        "expansion-limit",
        "The spec unfolds to too many layers",
        """
        `for`, blocks and parameters can unfold a few lines to any number of layers. The limit
        is far above any network; a loop bound, or a parameter that was set too high, is usually
        to blame. Whoever runs archc can allow more, by `--max-layers`.
        """,
        needs="a spec that unfolds to more than 50,000 layers",
    ),
    entry(
        "expect-failed",
        "Something differs from what the spec expects of itself",
        """
        `expect` states a shape at a layer, a parameter count or a number of multiply-accumulates,
        and archc holds the spec to it. Either the expectation or the layers before it are wrong;
        the message shows both numbers. In a shape, `any` stands for a size that does not matter.
        """,
        bad=spec("layers: [{relu: , expect: [N, 3, 16, 16]}]"),
        good=spec("layers: [{relu: , expect: [N, 3, 32, 32]}]"),
    ),
    entry(
        "bad-import",
        "Blocks cannot be taken from another file",
        """
        The file named in `import` does not exist, is not a spec, or has no block of that name.
        Paths are relative to the importing file and use `/`.
        """,
        needs="an import of a file that has no such block",
    ),
    entry(
        "import-outside-root",
        "An import leaves the project",
        """
        Imports are relative paths inside the directory tree of the project, so that checking
        somebody's spec reads nothing else from your disk. Absolute paths, paths that climb out
        with `..` and links that lead out are refused. Copy the file into the project.
        """,
        needs="an import whose path leaves the project",
    ),
)
