"""Codes about shapes and dtypes."""

from __future__ import annotations

from archc.diagnostics.codes.code import entry, spec
from archc.diagnostics.diagnostic import Severity

SHAPES = (
    entry(
        "shape-mismatch",
        "Shapes that have to agree do not",
        """
        The inputs of an `add`, `mul`, `residual` or `concat` (except along the joined axis) need
        equal shapes; nothing is broadcast in silence. The labels show where each shape comes
        from and how the differing size was computed. Most often a stride or a padding is missing
        on one side, or the shortcut needs a convolution of its own.
        """,
        bad=spec("layers: [{residual: [{conv: 3, kernel: 3}]}]"),
        good=spec("layers: [{residual: [{conv: 3, kernel: 3, padding: 1}]}]"),
    ),
    entry(
        "wrong-rank",
        "The tensor has too few or too many axes for this op",
        """
        Each op is defined for tensors of certain ranks: an image convolution takes
        `[N, C, H, W]`, a linear layer needs a batch and a feature axis. Look for a `flatten`, a
        pooling or a `rearrange` that is missing or stands too early.
        """,
        bad=spec("layers: [flatten, {conv: 8}]"),
        good=spec("layers: [{conv: 8}, flatten]"),
    ),
    entry(
        "wrong-dtype",
        "The tensor's dtype does not suit this op",
        """
        Dtypes are never converted in silence: layers with weights take floating-point tensors,
        lookups take integer indices.
        """,
        bad=spec("layers: [softmax]", inputs="{x: {shape: [N, 4], dtype: int64}}"),
        good=spec("layers: [softmax]", inputs="{x: [N, 4]}"),
    ),
    entry(
        "axis-out-of-range",
        "The tensor has no such axis",
        """
        Axes are counted from 0, the batch axis, or from the end with negative numbers; a tensor
        of rank 4 has the axes -4 to 3.
        """,
        bad=spec("layers: [{softmax: 4}]"),
        good=spec("layers: [{softmax: 1}]"),
    ),
    entry(
        "indivisible",
        "A size is not divisible as the op needs it",
        """
        Groups divide the channels evenly, heads divide the features, windows and patches divide
        the image. Change one of the two numbers, or pad first.
        """,
        bad=spec("layers: [{conv: 8, groups: 2}]"),
        good=spec("layers: [{conv: 6, groups: 3}]"),
    ),
    entry(
        "kernel-too-large",
        "The kernel does not fit into its input",
        """
        With dilation and padding counted, the window is larger than the image it slides over, so
        there is no place to put it even once. The image may have been halved too often before:
        use a larger input, fewer strides, padding, or a smaller kernel.
        """,
        bad=spec("layers: [{conv: 8, kernel: 33}]"),
        good=spec("layers: [{conv: 8, kernel: 3}]"),
    ),
    entry(
        "empty-output",
        "The layer's output has no elements",
        """
        An axis of the result has size zero. Frameworks disagree on what to do with such tensors
        and no network means to compute them.
        """,
        bad=spec("layers: [{slice: , start: 2, stop: 2}]"),
        good=spec("layers: [{slice: , start: 1, stop: 2}]"),
    ),
    entry(
        "too-large",
        "A tensor has more elements than can be counted",
        """
        ONNX and PyTorch count elements with 64 bits, and a layer has at most 1,000 outputs. The
        sizes are multiplied out beside the mark; mostly one of them has too many digits.
        """,
        bad=spec("layers: [{linear: 4000000000000000000}]", inputs="{x: [N, 32]}"),
        good=spec("layers: [{linear: 40}]", inputs="{x: [N, 32]}"),
    ),
    entry(
        "too-complex",
        "A symbolic size is too long to be kept exact",
        """
        Sizes are exact expressions of the symbolic sizes of the inputs, however often they are
        halved and added; beyond a thousand parts they are refused instead of being rounded. Give
        the input a fixed size, or pool to a fixed size earlier.
        """,
        needs="a size of more than a thousand parts",
    ),
    entry(
        "too-few-values",
        "There is nothing to normalise over",
        """
        A normalisation takes mean and variance over several values. Of a single value the
        variance is zero and the result is a constant, whatever the input. Normalise before the
        image has shrunk to one pixel, or use fewer groups.
        """,
        bad=spec("layers: [{groupnorm: 3}]", inputs="{x: [1, 3, 1, 1]}"),
        good=spec("layers: [{groupnorm: 3}]", inputs="{x: [1, 3, 32, 32]}"),
    ),
    entry(
        "symbolic-weight",
        "A weight would need a size that is not known",
        """
        A weight is stored once, so its sizes are numbers. Here one follows from a symbolic size
        of the input, typically because `flatten` put height and width into the features of a
        `linear`. Pool to a fixed size first, or give the input a fixed size.
        """,
        bad=spec("layers: [flatten, {linear: 10}]", inputs="{x: [N, 3, H, W]}"),
        good=spec(
            "layers: [{adaptive_avgpool: 1}, flatten, {linear: 10}]", inputs="{x: [N, 3, H, W]}"
        ),
    ),
    entry(
        "wrong-arity",
        "The op takes another number of inputs",
        """
        A layer has one input, the value before it, unless `from` names others. Sums and
        concatenations take two or more, most other ops exactly one.
        """,
        bad=spec("layers: [{relu: , from: [input, input]}]"),
        good=spec("layers: [{add: , from: [input, input]}]"),
    ),
    entry(
        "fixed-batch",
        "The model takes batches of one size only",
        """
        The first axis of an input is the batch. A number there is allowed and fixes it, for
        training and for the files that are built. Where a shape was meant without its batch
        (`[3, 224, 224]`), the other axes are taken for something else, too: write `N`, or any
        name, in front.
        """,
        bad=spec("layers: [{conv: 8}]", inputs="{x: [3, 224, 224]}"),
        good=spec("layers: [{conv: 8}]", inputs="{x: [N, 3, 224, 224]}"),
        severity=Severity.NOTE,
    ),
    entry(
        "linear-on-image",
        "A linear layer works along the width of an image",
        """
        What enters comes from a convolution, a pool or the like: its channels are axis 1, and space
        lies behind. A linear layer works along the last axis, so every row of every channel goes
        through it by itself. Where that is meant, nothing needs to change. Mostly `flatten`, or
        `global_avgpool`, was forgotten in front.
        """,
        bad=spec("layers: [{conv: 8, kernel: 3}, relu, {linear: 10}]"),
        good=spec("layers: [{conv: 8, kernel: 3}, relu, flatten, {linear: 10}]"),
        severity=Severity.NOTE,
    ),
    entry(
        "precondition",
        "A layer works for some input sizes only",
        """
        The sizes are symbolic, and this layer needs something of them: that a size is even, a
        multiple of 32, at least 63. It is a note, not a complaint: the model is built for the
        sizes that fit, and `archc check` sums up which those are. A demand that follows from
        another one is not listed. Padding (`pad_to`) or a fixed input size removes it.
        """,
        bad=spec(
            "layers: [{residual: [{maxpool: 2}, {resize: , scale: 2}]}]",
            inputs="{x: [N, 3, H, 8]}",
        ),
        good=spec("layers: [{residual: [{maxpool: 2}, {resize: , scale: 2}]}]"),
        severity=Severity.NOTE,
    ),
    entry(
        "no-size",
        "No input size fits all that the layers need",
        """
        Each layer alone works for some sizes, but no size suits all of them: one needs an even
        height, say, and another an odd one. The places that contradict each other are shown.
        """,
        bad=spec(
            """
            layers:
              a: {maxpool: 2}
              even: {resize: , scale: 2}
              sum: {add: , from: [x, even]}
              odd: {conv: 3, kernel: [2, 1], from: x}
              half: {maxpool: 2}
              double: {resize: , scale: 2}
              both: {add: , from: [odd, double]}
            outputs: [sum, both]
            """,
            inputs="{x: [N, 3, H, 8]}",
        ),
        good=spec("layers: [{residual: [{maxpool: 2}, {resize: , scale: 2}]}]"),
    ),
    entry(
        "unfit-size",
        "A size that `inputs` promises does not work",
        """
        `sizes` of an input says which sizes will be fed (`min`, `max`, `multiple`). A layer needs
        more than that: the smallest promised size that fails is named, and the sizes for which
        the whole network works are given.
        """,
        bad=spec(
            "layers: [{residual: [{maxpool: 2}, {resize: , scale: 2}]}]",
            inputs="{x: {shape: [N, 3, H, 8], sizes: {H: {min: 8}}}}",
        ),
        good=spec(
            "layers: [{residual: [{maxpool: 2}, {resize: , scale: 2}]}]",
            inputs="{x: {shape: [N, 3, H, 8], sizes: {H: {min: 8, multiple: 2}}}}",
        ),
    ),
    entry(
        "unfit-preprocess",
        "What `preprocess` makes of an image does not fit the input",
        """
        An input that fixes its height and width needs images that all come out in that size: a
        `crop` of it, or a `resize` to `[height, width]`. What is cut out cannot be larger than what
        is resized to, and `mean` and `std` have one number, or one for each channel.
        """,
        bad=spec(
            """
            preprocess: {resize: 36, crop: 28}
            layers: [{conv: 8}]
            """
        ),
        good=spec(
            """
            preprocess: {resize: 36, crop: 32}
            layers: [{conv: 8}]
            """
        ),
    ),
    entry(
        "unproved",
        "Whether a layer works could not be settled",
        """
        The demand mixes several symbolic sizes, or grows faster than they do, and it was neither
        proved nor solved. The model is built, and nothing is claimed for this layer: it may fail
        when it is run. A fixed size in `inputs` settles it.
        """,
        bad=spec("layers: [{add: , from: [a, b]}]", inputs="{a: [N, H], b: [N, W]}"),
        good=spec("layers: [{add: , from: [a, b]}]", inputs="{a: [N, H], b: [N, H]}"),
        severity=Severity.WARNING,
    ),
)
