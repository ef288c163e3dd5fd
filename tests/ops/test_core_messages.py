"""What activations, norms, shape ops and joins say when they refuse."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from archc.ops.conditions import Condition, Refusal, ShapeContext
from archc.ops.pattern import PatternError, parse_pattern
from archc.ops.table import OPS
from archc.types import DType, TensorType, symbol

N, H = symbol("N"), symbol("H")
Shape = tuple[Any, ...]


def types(*shapes: Shape) -> list[TensorType]:
    return [TensorType(shape) for shape in shapes]


def refusal(name: str, attributes: dict[str, Any], *inputs: TensorType) -> Refusal:
    with pytest.raises(Refusal) as caught:
        OPS[name].model_validate(attributes).infer(ShapeContext(), *inputs)
    return caught.value


def conditions(name: str, attributes: dict[str, Any], *shapes: Shape) -> list[Condition]:
    cx = ShapeContext()
    OPS[name].model_validate(attributes).infer(cx, *types(*shapes))
    return cx.conditions


def test_add_names_both_shapes_and_where_the_first_difference_comes_from() -> None:
    found = refusal("add", {}, *types((N, 256, 28, 28), (N, 256, 27, 27)))
    assert found.code == "shape-mismatch"
    assert found.message == "`add` needs equal shapes: [N, 256, 28, 28] and [N, 256, 27, 27]"
    assert found.label == "axis 2: 28 against 27"
    assert found.because == ((0, "28 comes from here"), (1, "27 comes from here"))


def test_add_of_three_blames_the_one_that_differs() -> None:
    found = refusal("add", {}, *types((2, 8, 4, 4), (2, 8, 4, 4), (2, 16, 4, 4)))
    assert found.because == ((0, "8 comes from here"), (2, "16 comes from here"))
    assert found.help == (
        "a 1x1 convolution changes the channels: {conv: 8, kernel: 1} makes 8 of 16",
    )


def test_add_suggests_a_stride() -> None:
    found = refusal("add", {}, *types((2, 8, 14, 14), (2, 8, 28, 28)))
    assert found.help == ("stride: 2 brings 28 to 14",)


def test_add_never_broadcasts() -> None:
    assert refusal("add", {}, *types((2, 8, 1, 1), (2, 8, 4, 4))).code == "shape-mismatch"
    assert refusal("add", {}, *types((2, 8), (8,))).label == "2 axes against 1"


def test_an_uncertain_mismatch_does_not_hide_a_certain_one() -> None:
    found = refusal("add", {}, *types((N, 8, H, 4), (N, 8, 4, 5)))
    assert found.label == "axis 3: 4 against 5"


def test_joins_record_what_cannot_be_decided() -> None:
    (found,) = conditions("add", {}, (N, 8, H), (N, 8, 4))
    assert (found.relation, found.left, found.right) == ("equal", H, 4)
    assert "[N, 8, H]" in found.reason
    assert conditions("add", {}, (N, 8, H), (N, 8, H)) == []
    assert conditions("mul", {}, (N, 8, H), (N, 1, 1)) == []


def test_mul_blames_the_first_input_that_is_not_repeated() -> None:
    found = refusal("mul", {}, *types((2, 1, 4), (2, 8, 4), (2, 6, 4)))
    assert found.because == ((1, "8 comes from here"), (2, "6 comes from here"))


def test_concat_says_which_axis_may_differ() -> None:
    found = refusal("concat", {}, *types((2, 3, 4, 4), (2, 5, 4, 6)))
    assert found.message == (
        "`concat` needs shapes that are equal outside axis 1: [2, 3, 4, 4] and [2, 5, 4, 6]"
    )


def test_joins_do_not_convert_dtypes() -> None:
    inputs = TensorType((2, 3)), TensorType((2, 3), DType.INT64)
    for name in ("add", "sub", "mul", "concat"):
        found = refusal(name, {}, *inputs)
        assert found.code == "wrong-dtype"
        assert found.because == ((0, "float32 comes from here"), (1, "int64 comes from here"))
    flags = TensorType((2, 3), DType.BOOL)
    assert refusal("add", {}, flags, flags).code == "wrong-dtype"
    assert OPS["concat"]().infer(ShapeContext(), flags, flags).dtype is DType.BOOL


@pytest.mark.parametrize("name", ["relu", "gelu", "softmax", "lrn", "dropout", "drop_path"])
def test_functions_of_real_numbers_refuse_integers(name: str) -> None:
    attributes = {"lrn": {"size": 3}, "drop_path": {"p": 0.1}}.get(name, {})
    found = refusal(name, attributes, TensorType((2, 3, 4), DType.INT64))
    assert found.code == "wrong-dtype"


@pytest.mark.parametrize("name", ["prelu", "batchnorm", "layernorm", "rmsnorm", "instancenorm"])
def test_layers_with_weights_refuse_what_is_not_float32(name: str) -> None:
    found = refusal(name, {}, TensorType((2, 3, 4), DType.FLOAT64))
    assert found.code == "wrong-dtype"
    assert "float64" in found.message


@pytest.mark.parametrize(
    ("name", "attributes", "shape"),
    [
        ("batchnorm", {}, (2, N, 4, 4)),
        ("batchnorm", {"affine": False, "track_running_stats": False}, (2, N, 4, 4)),
        ("layernorm", {}, (2, 4, H)),
        ("layernorm", {"axes": 2}, (2, H, 4)),
        ("layernorm2d", {}, (2, H, 4, 4)),
        ("rmsnorm", {}, (2, H)),
        ("groupnorm", {"groups": 2}, (2, H, 4)),
        ("instancenorm", {}, (2, H, 4)),
        ("prelu", {"per_channel": True}, (2, H)),
        ("chunk", {"chunks": 2}, (2, H)),
    ],
)
def test_weights_and_shares_need_fixed_sizes(
    name: str, attributes: dict[str, Any], shape: Shape
) -> None:
    found = refusal(name, attributes, TensorType(shape))
    assert found.code == "symbolic-weight"
    assert found.because


def test_norms_need_more_than_one_value() -> None:
    assert refusal("instancenorm", {}, TensorType((2, 3, 1))).code == "too-few-values"
    (found,) = conditions("instancenorm", {}, (2, 3, H))
    assert (found.relation, found.left, found.right) == ("at-least", H, 2)


def test_groups_suggest_the_nearest_divisor() -> None:
    found = refusal("groupnorm", {"groups": 5}, TensorType((2, 12, 4)))
    assert found.code == "indivisible"
    assert found.at == "groups"
    assert found.label == "12 = 2 * 5 + 2"
    assert found.help == ("groups: 4 divides 12",)


def test_axes_say_which_there_are() -> None:
    found = refusal("softmax", {"dim": 3}, TensorType((2, 5)))
    assert found.code == "axis-out-of-range"
    assert found.message == "axis 3 is out of range for [2, 5]"
    assert found.label == "-2 to 1 are possible"
    assert refusal("unsqueeze", {"dim": 3}, TensorType((2, 5))).label == "-3 to 2 are possible"


def test_reshape_counts_elements() -> None:
    found = refusal("reshape", {"shape": [2, 5]}, TensorType((3, 4)))
    assert found.message == "[3, 4] holds 12 elements, but [2, 5] holds 10"
    found = refusal("reshape", {"shape": [-1, 5]}, TensorType((3, 4)))
    assert "5, the product of the sizes in [-1, 5], does not divide that" in found.message


def test_reshape_keeps_symbolic_sizes_exact() -> None:
    (x,) = types((N, 6, H))
    infer = lambda shape: OPS["reshape"](shape=shape).infer(ShapeContext(), x).shape  # noqa: E731
    assert infer([N, -1]) == (N, 6 * H)
    assert infer([N, 2, 3, H]) == (N, 2, 3, H)
    assert infer([-1, 6]) == (N * H, 6)
    assert conditions("reshape", {"shape": [N, -1, 2]}, (N, 6, H)) == []
    (found,) = conditions("reshape", {"shape": [N, -1, 4]}, (N, 6, H))
    assert found.relation == "equal"


def test_positions_outside_of_the_axis_are_refused() -> None:
    found = refusal("select", {"index": 4}, TensorType((2, 4, 3)))
    assert found.message == "index 4 is outside of axis 1 of [2, 4, 3], whose size is 4"
    assert refusal("slice", {"stop": 5}, TensorType((2, 4))).at == "stop"
    assert refusal("slice", {"start": -5}, TensorType((2, 4))).at == "start"
    (found,) = conditions("select", {"index": -3}, (2, H))
    assert (found.relation, found.left, found.right) == ("at-least", H, 3)


@pytest.mark.parametrize(
    ("attributes", "shape", "code", "at"),
    [
        ({"pattern": "b c -> c b"}, (2, 3, 4), "wrong-rank", "pattern"),
        ({"pattern": "... b c -> c b ..."}, (2,), "wrong-rank", "pattern"),
        ({"pattern": "b (g c) -> b g c"}, (2, 6), "missing-attribute", "pattern"),
        ({"pattern": "b (g c) -> b g c", "g": 4}, (2, 6), "indivisible", "g"),
        ({"pattern": "b (g c) -> b g c", "g": 4, "c": 2}, (2, 6), "shape-mismatch", "g"),
        ({"pattern": "b c -> c b", "c": 4}, (2, 6), "shape-mismatch", "c"),
        ({"pattern": "b 1 -> b"}, (2, 6), "shape-mismatch", "pattern"),
        ({"pattern": "b c -> c b", "d": 4}, (2, 6), "unknown-attribute", "d"),
    ],
)
def test_rearrange_blames_the_attribute(
    attributes: dict[str, Any], shape: Shape, code: str, at: str
) -> None:
    found = refusal("rearrange", attributes, TensorType(shape))
    assert (found.code, found.at) == (code, at)


def test_rearrange_demands_divisibility_of_symbolic_sizes() -> None:
    attributes = {"pattern": "b (h y) c -> b h (y c)", "y": 2}
    (found,) = conditions("rearrange", attributes, (N, H, 3))
    assert (found.relation, found.left, found.right) == ("divisible", H, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("b c", "0 arrows"),
        ("b -> c -> d", "2 arrows"),
        ("b (c d -> b c d", "`(` is not closed"),
        ("b c) -> b c", "`)` has no `(`"),
        ("b ((c) d) -> b c d", "nested"),
        ("b b -> b", "`b` stands on the left 2 times"),
        ("b c -> b", "`c` stands on the left only"),
        ("b -> b c", "`c` stands on the right only"),
        ("b ... -> b", "`...` stands on the left only"),
        ("(b ...) -> b ...", "inside parentheses on the left"),
        ("b 2 -> b 2", "`2` is not the name of an axis"),
        ("b c, -> b c", "`c,` is not the name of an axis"),
    ],
)
def test_patterns_say_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(PatternError) as caught:
        parse_pattern(text)
    assert words in str(caught.value)
    with pytest.raises(ValidationError) as invalid:
        OPS["rearrange"].model_validate({"pattern": text})
    (detail,) = invalid.value.errors()
    assert (detail["type"], detail["loc"]) == ("bad-value", ("pattern",))
    assert words in detail["msg"]


@pytest.mark.parametrize(
    ("name", "attributes", "code", "loc"),
    [
        ("dropout", {"p": 1.5}, "bad-value", "p"),
        ("leaky_relu", {"slope": float("nan")}, "bad-value", "slope"),
        ("elu", {"alpha": 0}, "bad-value", "alpha"),
        ("elu", {"alpha": 10**400}, "bad-value", "alpha"),
        ("batchnorm", {"eps": -1e-5}, "bad-value", "eps"),
        ("batchnorm", {"affine": 1}, "wrong-type", "affine"),
        ("groupnorm", {"groups": 2.0}, "not-an-integer", "groups"),
        ("reshape", {"shape": [2, -1, -1]}, "bad-value", "shape"),
        ("reshape", {"shape": [2, -2]}, "bad-value", "shape"),
        ("reshape", {"shape": 4}, "wrong-type", "shape"),
        ("permute", {"dims": 1}, "wrong-type", "dims"),
        ("transpose", {"dims": [0, 1, 2]}, "bad-value", "dims"),
        ("split", {"sizes": 2}, "wrong-type", "sizes"),
        ("rearrange", {"pattern": "b (g c) -> b g c", "g": 2.5}, "not-an-integer", "g"),
        ("rearrange", {"pattern": "b (g c) -> b g c", "g": 0}, "bad-value", "g"),
        ("relu", {"inplace": True}, "extra_forbidden", "inplace"),
    ],
)
def test_attributes_are_checked_where_they_stand(
    name: str, attributes: dict[str, Any], code: str, loc: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        OPS[name].model_validate(attributes)
    (detail,) = caught.value.errors()
    assert (detail["type"], detail["loc"][0]) == (code, loc)


@pytest.mark.parametrize(
    ("name", "attributes", "shapes", "lines"),
    [
        ("flatten", {}, [(N, 16, 5, 5)], ("16 * 5 * 5 = 400",)),
        ("concat", {}, [(N, 3, 4), (N, 5, 4)], ("axis 1 3 + 5 = 8",)),
        ("chunk", {"chunks": 2}, [(N, 6)], ("axis 1 6 / 2 = 3",)),
        ("slice", {"start": 1, "step": 2}, [(N, 6)], ("axis 1 1 to 6 in steps of 2 = 3",)),
        (
            "rearrange",
            {"pattern": "b (g c) h -> b (c g) h", "g": 2},
            [(N, 6, 4)],
            ("(g c) = 2 * 3 = 6", "(c g) = 3 * 2 = 6"),
        ),
    ],
)
def test_explains_its_arithmetic(
    name: str, attributes: dict[str, Any], shapes: list[Shape], lines: tuple[str, ...]
) -> None:
    assert OPS[name].model_validate(attributes).explain(*types(*shapes)) == lines
