"""What the spatial ops refuse, where, and what they suggest; and how they explain themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError

from archc.ops.conditions import Refusal, ShapeContext
from archc.ops.initial import Uniform
from archc.ops.table import OPS
from archc.types import Dim, TensorType, format_shape, symbol

N, H, W = symbol("N"), symbol("H"), symbol("W")
Shape = tuple[Dim, ...]

# op, attributes, shapes -> code, attribute to blame, part of the message, part of the help
REFUSED: list[tuple[str, dict[str, Any], list[Shape], str, str | None, str, str]] = [
    (
        "conv",
        {"out": 8, "kernel": 7},
        [(N, 3, 5, 9)],
        "kernel-too-large",
        "kernel",
        "a kernel of 7 needs a height of at least 7, and it is 5",
        "padding: 1 makes it fit",
    ),
    (
        "conv",
        {"out": 8, "kernel": 3, "dilation": 4},
        [(N, 3, 9, 5)],
        "kernel-too-large",
        "kernel",
        "3 with dilation 4 needs a width of at least 9",
        "a kernel of 2 fits",
    ),
    (
        "conv",
        {"out": 8, "kernel": [3, 3]},
        [(N, 3, 9)],
        "bad-value",
        "kernel",
        "`kernel` has 2 entries, but [N, 3, 9] has 1 spatial axis (length)",
        "one each for length",
    ),
    (
        "conv",
        {"out": 8, "kernel": 3, "padding": [0, 1]},
        [(N, 3, 9)],
        "bad-value",
        "padding",
        "`padding` has 2 entries",
        "padding: [[0, 1]]",
    ),
    (
        "conv",
        {"out": 8, "groups": 3},
        [(N, 4, 9)],
        "indivisible",
        "groups",
        "4 input channels and 8 output channels cannot be divided into 3 groups",
        "groups: 2 or 4 divide both 4 and 8",
    ),
    (
        "conv",
        {"out": 9, "groups": 4},
        [(N, 8, 9)],
        "indivisible",
        "groups",
        "9 output channels cannot",
        "8 or 12 output channels divide into 4 groups",
    ),
    (
        "conv",
        {"out": 8, "kernel": 3, "stride": 2, "padding": "same"},
        [(N, 3, 9, 9)],
        "bad-value",
        "padding",
        "needs stride 1, not 2",
        "padding: half",
    ),
    ("conv", {"out": 8}, [(N, H, 9, 9)], "symbolic-weight", None, "axis 1 is H", "where H is"),
    ("conv", {"out": 8}, [(N, 9)], "wrong-rank", None, "3 to 5 axes, not [N, 9]", ""),
    (
        "conv",
        {"out": 8, "kernel": 7, "padding": 3, "padding_mode": "reflect"},
        [(N, 3, 9, 3)],
        "bad-value",
        "padding",
        "pads axis 3 by 3 with mode reflect",
        "replicate",
    ),
    (
        "conv_transpose",
        {"out": 8, "kernel": 3, "stride": 2, "padding": "same"},
        [(N, 3, 9, 9)],
        "bad-value",
        "padding",
        "no `padding: same`",
        "padding: [[0, 1], [0, 1]] gives size * stride",
    ),
    (
        "conv_transpose",
        {"out": 8, "kernel": 3, "stride": 2, "output_padding": 2},
        [(N, 3, 9)],
        "bad-value",
        "output_padding",
        "output_padding 2 has to be smaller than the stride (2) or the dilation (1)",
        "",
    ),
    (
        "conv_transpose",
        {"out": 8, "kernel": 3, "padding": 3},
        [(N, 3, 4)],
        "empty-output",
        "padding",
        "needs a length of at least 5, and it is 4",
        "",
    ),
    (
        "maxpool",
        {"kernel": 3, "padding": 2},
        [(N, 3, 9)],
        "bad-value",
        "padding",
        "padding 2 is more than half the kernel (3)",
        "at most 1",
    ),
    (
        "maxpool",
        {"kernel": 4, "dilation": 3, "padding": 2},
        [(N, 3, 2, 9)],
        "kernel-too-large",
        "kernel",
        "4 with dilation 3",
        "",
    ),
    (
        "maxpool",
        {"kernel": 3, "dilation": 4, "padding": 1, "stride": 9, "ceil": True},
        [(N, 3, 3, 9)],
        "bad-value",
        "dilation",
        "a height of 3 may leave a window without any element",
        "",
    ),
    (
        "avgpool",
        {"kernel": 3, "padding": [[0, 1], [1, 1]], "count_include_pad": False},
        [(N, 3, 9, 9)],
        "bad-value",
        "padding",
        "cannot leave unequal padding out",
        "count_include_pad: true",
    ),
    (
        "avgpool",
        {"kernel": 2, "padding": [[0, 1], [1, 1]], "ceil": True},
        [(N, 3, 9, 9)],
        "bad-value",
        "padding",
        "with unequal padding and `ceil`",
        "ceil: false",
    ),
    (
        "avgpool",
        {"kernel": 2, "divisor": 3},
        [(N, 3, 9)],
        "bad-value",
        "divisor",
        "two and three spatial axes only",
        "",
    ),
    (
        "avgpool",
        {"kernel": 2, "padding": 1},
        [(N, 3, 1, 9, 9)],
        "kernel-too-large",
        "kernel",
        "3d pool needs a depth of at least 2",
        "",
    ),
    (
        "adaptive_avgpool",
        {"size": [7, 7, 7]},
        [(N, 3, 9, 9)],
        "bad-value",
        "size",
        "`size` has 3 entries",
        "height, width",
    ),
    (
        "pad",
        {"padding": 2, "mode": "reflect"},
        [(N, 3, 2, 9)],
        "bad-value",
        "padding",
        "pads axis 2 by 2 with mode reflect, which gives 2 - 1 elements at most",
        "",
    ),
    (
        "pad",
        {"padding": [1, 0, 0, 0], "mode": "reflect"},
        [(N, 3, 9, 9)],
        "wrong-rank",
        "padding",
        "reaches the last 3 axes of [N, 3, 9, 9] only",
        "",
    ),
    (
        "pad",
        {"padding": 1, "mode": "circular", "value": 2},
        [(N, 3, 9, 9)],
        "bad-value",
        "value",
        "takes no `value`",
        "",
    ),
    ("pad_to", {"multiple": 4, "dims": [1, 5]}, [(N, 3, 9)], "axis-out-of-range", "dims", "5", ""),
    ("resize", {}, [(N, 3, 9)], "missing-attribute", None, "needs a size", "scale: 2"),
    (
        "resize",
        {"size": 4, "scale": 2},
        [(N, 3, 9)],
        "bad-value",
        "scale",
        "not size and scale",
        "",
    ),
    (
        "resize",
        {"scale": 1.25},
        [(N, 3, 3)],
        "bad-value",
        "scale",
        "adds nothing to a length below 4, and it is 3",
        "size",
    ),
    (
        "resize",
        {"scale": 0.5},
        [(N, 3, 1)],
        "empty-output",
        "scale",
        "needs a length of at least 2",
        "",
    ),
    (
        "resize",
        {"size": 4, "mode": "bilinear"},
        [(N, 3, 9)],
        "bad-value",
        "mode",
        "mode bilinear does not work on 1 spatial axis",
        "mode: linear does",
    ),
    (
        "resize",
        {"size": 4, "align_corners": True},
        [(N, 3, 9)],
        "bad-value",
        "align_corners",
        "no meaning for mode nearest",
        "mode: linear",
    ),
    (
        "resize",
        {"like": True},
        [(N, 3, 9, 9), (N, 3, 9)],
        "wrong-rank",
        "like",
        "a `like` with 4 axes",
        "",
    ),
]


@pytest.mark.parametrize(("name", "attributes", "shapes", "code", "at", "text", "help_"), REFUSED)
def test_refusals_say_what_is_wrong_where_and_what_would_work(
    name: str,
    attributes: dict[str, Any],
    shapes: list[Shape],
    code: str,
    at: str | None,
    text: str,
    help_: str,
) -> None:
    op = OPS[name].model_validate(attributes)
    with pytest.raises(Refusal) as caught:
        op.infer(ShapeContext(), *map(TensorType, shapes))
    refusal = caught.value
    assert (refusal.code, refusal.at) == (code, at)
    assert text in refusal.message
    assert help_ in "\n".join(refusal.help)


@pytest.mark.parametrize(
    ("name", "attributes", "field", "code", "text"),
    [
        ("conv", {"out": 8, "padding": "sane"}, "padding", "bad-value", "half, same, valid"),
        ("conv", {"out": 8, "padding": [[1, 2, 3]]}, "padding", "bad-value", "pairs [before,"),
        ("conv", {"out": 8, "padding": -1}, "padding", "bad-value", "at least 0"),
        ("conv", {"out": 8, "padding": 1.5}, "padding", "not-an-integer", "the float 1.5"),
        ("conv", {"out": 8, "stride": 0}, "stride", "bad-value", "at least 1"),
        ("conv", {"out": 8, "bias": 1}, "bias", "wrong-type", "true or false"),
        ("maxpool", {"kernel": 2, "stride": "two"}, "stride", "wrong-type", "the word `two`"),
        ("avgpool", {"kernel": 2, "divisor": 0}, "divisor", "bad-value", "at least 1"),
        ("pad", {"padding": [-1]}, "padding", "bad-value", "at least 0"),
        ("pad_to", {"multiple": 2, "dims": "all"}, "dims", "wrong-type", "the word `all`"),
        ("resize", {"scale": 1 / 3}, "scale", "bad-value", "a multiple of 1/1024"),
        ("resize", {"scale": -2}, "scale", "bad-value", "positive"),
        ("resize", {"scale": True}, "scale", "wrong-type", "a boolean"),
        ("resize", {"size": [4, 0]}, "size", "bad-value", "at least 1"),
    ],
)
def test_attributes_say_what_they_accept(
    name: str, attributes: dict[str, Any], field: str, code: str, text: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        OPS[name].model_validate(attributes)
    (error,) = caught.value.errors()
    assert (error["loc"][0], error["type"]) == (field, code)
    assert text in error["msg"]


@pytest.mark.parametrize(
    ("name", "attributes", "shapes", "lines"),
    [
        ("conv", {"out": 6, "kernel": 5}, [(N, 1, 32, 32)], ["height (32 + 2*0 - 5)//1 + 1 = 28"]),
        (
            "conv",
            {"out": 6, "kernel": [3, 5], "stride": 2, "padding": "half", "dilation": [2, 1]},
            [(N, 1, 32, W)],
            [
                "height (32 + 2*2 - (2*(3 - 1) + 1))//2 + 1 = 16",
                "width (W + 2*2 - 5)//2 + 1 = (W + 1)//2",
            ],
        ),
        (
            "conv",
            {"out": 6, "kernel": 4, "padding": "same"},
            [(N, 1, 32)],
            ["length (32 + 1 + 2 - 4)//1 + 1 = 32"],
        ),
        (
            "conv_transpose",
            {"out": 6, "kernel": 3, "stride": 2, "padding": 1, "output_padding": 1},
            [(N, 1, 16, 16)],
            ["height (16 - 1)*2 - 2*1 + 3 + 1 = 32"],
        ),
        (
            "maxpool",
            {"kernel": 3, "stride": 2, "ceil": True},
            [(N, 1, 112, 112)],
            ["height ceil((112 + 2*0 - 3)/2) + 1 = 56"],
        ),
        (
            "maxpool",
            {"kernel": 2, "stride": 3, "padding": 1, "ceil": True},
            [(N, 1, 5)],
            ["length ceil((5 + 1)/3) = 2"],
        ),
        ("adaptive_avgpool", {"size": [7, 6]}, [(N, 1, 14, W)], ["height 14 -> 7", "width W -> 6"]),
        ("pad", {"padding": [[1, 2], 0]}, [(N, 1, 6)], ["axis 1: 1 + 1 + 2 = 4"]),
        ("pad_to", {"multiple": 2, "dims": 1}, [(N, 7, 7, 3)], ["axis 1: ceil(7/2)*2 = 8"]),
        ("resize", {"scale": 1.5}, [(N, 1, 7)], ["length (7*3)//2 = 10"]),
    ],
)
def test_explanations_show_the_arithmetic(
    name: str, attributes: dict[str, Any], shapes: list[Shape], lines: list[str]
) -> None:
    op = OPS[name].model_validate(attributes)
    assert list(op.explain(*map(TensorType, shapes))) == lines


def test_symbolic_sizes_stay_exact_through_a_chain() -> None:
    x = TensorType((N, 3, H, W))
    cx = ShapeContext()
    for name, attributes in (
        ("conv", {"out": 64, "kernel": 7, "stride": 2, "padding": 3}),
        ("maxpool", {"kernel": 3, "stride": 2, "padding": 1}),
        ("conv", {"out": 128, "kernel": 3, "stride": 2, "padding": 1}),
    ):
        output = OPS[name].model_validate(attributes).infer(cx, x)
        assert isinstance(output, TensorType)
        x = output
    assert format_shape(x.shape) == "[N, 128, (H + 7)//8, (W + 7)//8]"
    assert cx.conditions == []


@pytest.mark.parametrize(
    ("name", "attributes", "module", "macs"),
    [
        # fvcore: batch * prod(weight shape) * prod(spatial size of the output)
        ("conv", {"out": 8}, torch.nn.Conv2d(4, 8, 3, groups=2), 8 * 2 * 9 * 6 * 6),
        # ... of the input for a transposed one
        (
            "conv_transpose",
            {"out": 6},
            torch.nn.ConvTranspose2d(4, 6, 3, groups=2),
            4 * 3 * 9 * 8 * 8,
        ),
    ],
)
def test_weights_and_cost_are_torchs(
    name: str, attributes: dict[str, Any], module: torch.nn.Module, macs: int
) -> None:
    op = OPS[name].model_validate({**attributes, "kernel": 3, "groups": 2})
    x = TensorType((1, 4, 8, 8))
    output = op.infer(ShapeContext(), x)
    assert isinstance(output, TensorType)
    assert op.cost([x], [output]).macs == macs
    weights = op.weights(x)
    theirs = module.state_dict()
    assert [(w.name, w.shape) for w in weights] == [(k, tuple(v.shape)) for k, v in theirs.items()]
    fan_in, _ = torch.nn.init._calculate_fan_in_and_fan_out(theirs["weight"])
    for weight in weights:
        assert isinstance(weight.init, Uniform)
        assert weight.init.high == -weight.init.low == pytest.approx(fan_in**-0.5)
