"""Receptive fields against the gradient of torch, and known ones of published networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from archc.compile import check_file
from archc.graph.receptive import Field, receptive_fields
from tests.graph.specs import checked, graph_of, net
from tests.zoo.catalogue import spec_path
from tests.zoo.oracle import torchvision_models

Tensor = torch.Tensor
LENGTH = 400

MANY = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)


def positive(module: nn.Module) -> nn.Module:
    """In float64 with positive weights, so that no contribution cancels another."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator))
    return module.double().eval()


def support(module: nn.Module, x: Tensor, position: tuple[int, ...]) -> list[tuple[int, int]]:
    """First and last input position with a gradient along each spatial axis."""
    x = x.double().requires_grad_()
    y = module(x)
    y[(0, slice(None), *position)].sum().backward()
    assert x.grad is not None
    read = (x.grad[0] != 0).any(0)
    hulls = []
    for axis in range(read.ndim):
        found = read.movedim(axis, 0).reshape(read.shape[axis], -1).any(1).nonzero().flatten()
        hulls.append((int(found[0]), int(found[-1])))
    return hulls


def box(field: Field, position: int) -> tuple[int, int]:
    assert field.kind == "box" and field.size is not None
    assert field.offset is not None and isinstance(field.stride, int)
    start = field.offset + field.stride * position
    return start, start + field.size - 1


# -- random stacks --------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A piece of a network, as a layer of a spec and as a torch module."""

    text: str
    module: nn.Module


@st.composite
def windows(draw: Any) -> Part:
    kernel, stride = draw(st.integers(1, 5)), draw(st.integers(1, 3))
    padding = draw(st.integers(0, kernel // 2))
    if draw(st.booleans()):
        dilation = draw(st.integers(1, 3))
        text = f"{{conv: 1, kernel: {kernel}, stride: {stride}, padding: {padding}"
        module = nn.Conv1d(1, 1, kernel, stride, padding, dilation)
        return Part(f"{text}, dilation: {dilation}}}", module)
    text = f"{{avgpool: {kernel}, stride: {stride}, padding: {padding}}}"
    return Part(text, nn.AvgPool1d(kernel, stride, padding))


class Sum(nn.Module):
    def __init__(self, *branches: nn.Module) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return sum(branch(x) for branch in self.branches)


class Cat(Sum):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


@st.composite
def branches(draw: Any) -> Part:
    """Two windows that keep the size, added or concatenated; the sum is mixed afterwards."""
    texts, modules = [], []
    for _ in range(2):
        half, dilation = draw(st.integers(0, 3)), draw(st.integers(1, 3))
        kernel, padding = 2 * half + 1, half * dilation
        text = f"conv: 1, kernel: {kernel}, padding: {padding}, dilation: {dilation}"
        texts.append(f"{{{text}}}")
        modules.append(nn.Conv1d(1, 1, kernel, 1, padding, dilation))
    if draw(st.booleans()):
        return Part(f"{{residual: {texts[0]}, shortcut: {texts[1]}}}", Sum(*modules))
    mix = nn.Conv1d(2, 1, 1)
    text = f"{{concat: [{texts[0]}, {texts[1]}], then: {{conv: 1}}}}"
    return Part(text, nn.Sequential(Cat(*modules), mix))


def stack(parts: list[Part]) -> str:
    return net("[" + ", ".join(part.text for part in parts) + "]", f"{{x: [N, 1, {LENGTH}]}}")


@MANY
@given(st.lists(st.one_of(windows(), windows(), branches()), min_size=1, max_size=6))
def test_fields_of_random_stacks_are_where_the_gradient_is(parts: list[Part]) -> None:
    module = positive(nn.Sequential(*(part.module for part in parts)))
    result = checked(stack(parts))
    assume({d.code for d in result.diagnostics} != {"kernel-too-large"})
    graph = result.graph
    assert graph is not None
    (field,) = receptive_fields(graph)[graph.outputs["output"].name]
    length = graph.outputs["output"].type.shape[-1]
    assert isinstance(length, int)
    seen = False
    for position in sorted({0, length // 2, length - 1}):
        start, end = box(field, position)
        ((first, last),) = support(module, torch.rand(1, 1, LENGTH) + 1, (position,))
        assert start <= first and last <= end
        if start >= 0 and end < LENGTH:
            assert (first, last) == (start, end)
            seen = True
    assert seen or field.size > LENGTH // 4


@pytest.mark.parametrize(
    ("layer", "module"),
    [
        (
            "{conv_transpose: 1, kernel: 4, stride: 2, padding: 1}",
            nn.ConvTranspose1d(1, 1, 4, 2, 1),
        ),
        ("{resize: , scale: 2}", nn.Upsample(scale_factor=2)),
        ("{resize: , scale: 4, mode: linear}", nn.Upsample(scale_factor=4, mode="linear")),
        ("{adaptive_avgpool: 50}", nn.AdaptiveAvgPool1d(50)),
        ("{adaptive_avgpool: 7}", nn.AdaptiveAvgPool1d(7)),
    ],
)
def test_fields_behind_other_steps_hold_the_gradient(layer: str, module: nn.Module) -> None:
    text = net(f"[{{conv: 1, kernel: 3, stride: 2, padding: 1}}, {layer}]")
    graph = graph_of(text)
    (field,) = receptive_fields(graph)[graph.outputs["output"].name]
    whole = positive(nn.Sequential(nn.Conv1d(1, 1, 3, 2, 1), module))
    length = graph.outputs["output"].type.shape[-1]
    assert isinstance(length, int) and field.size is not None and field.stride is not None
    widest = 0
    for position in range(3, length - 3):
        ((first, last),) = support(whole, torch.rand(1, 1, 200) + 1, (position,))
        start = field.offset + field.stride * position
        assert start - 1 < first and last < start + field.size + 1
        widest = max(widest, last - first + 1)
    assert field.size - 1 <= widest <= field.size


# -- published networks ----------------------------------------------------------------------


def averaging(module: nn.Module) -> nn.Module:
    """The module with maxima replaced by means: a maximum has a gradient at one place only."""
    for name, child in module.named_children():
        if isinstance(child, nn.MaxPool2d):
            pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding)
            setattr(module, name, pool)
        averaging(child)
    return module


def zoo_fields(spec: str, variant: str | None) -> dict[str, tuple[Field, ...]]:
    graph = check_file(spec_path(spec), variant).graph
    assert graph is not None
    return receptive_fields(graph)


def test_alexnet_reads_what_torchvisions_does() -> None:
    fields = zoo_fields("alexnet", None)["features.12"]
    module = positive(averaging(torchvision_models().alexnet(weights=None).features))
    hulls = support(module, torch.rand(1, 3, 320, 320) + 1, (3, 4))
    assert hulls == [box(fields[0], 3), box(fields[1], 4)]


def test_resnet_reads_what_torchvisions_does() -> None:
    fields = zoo_fields("resnet", "resnet18")["layer2.1.relu_1"]
    model = torchvision_models().resnet18(weights=None)
    stem = nn.Sequential(model.conv1, model.bn1, model.relu, model.maxpool)
    module = positive(averaging(nn.Sequential(stem, model.layer1, model.layer2)))
    hulls = support(module, torch.rand(1, 3, 224, 224) + 1, (14, 10))
    assert hulls == [box(fields[0], 14), box(fields[1], 10)]


def test_lenet_reads_what_a_hand_written_one_does() -> None:
    fields = zoo_fields("lenet5", None)["s4"]
    module = positive(
        nn.Sequential(nn.Conv2d(1, 6, 5), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.AvgPool2d(2))
    )
    assert support(module, torch.rand(1, 1, 32, 32), (2, 3)) == [
        box(fields[0], 2),
        box(fields[1], 3),
    ]


@pytest.mark.parametrize(
    ("spec", "variant", "layer", "size", "stride"),
    [
        # Araujo, Norris, Sim: Computing Receptive Fields of Convolutional Neural Networks, 2019.
        ("alexnet", None, "features.12", 195, 32),
        ("vgg", "vgg16", "features.30", 212, 32),
        ("resnet", "resnet50", "layer4.2.relu", 427, 32),  # 483 where the 1x1 has the stride
    ],
)
def test_published_fields(
    spec: str, variant: str | None, layer: str, size: int, stride: int
) -> None:
    for field in zoo_fields(spec, variant)[layer]:
        assert (field.kind, field.size, field.stride) == ("box", size, stride)


# -- what is not a box -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "kind"),
    [
        ("[{conv: 4, kernel: 3}, global_avgpool]", "whole"),
        ("[{conv: 4, kernel: 3}, {adaptive_avgpool: 1}]", "whole"),
        ("[{conv: 4, kernel: 3}, flatten, {linear: 5}]", "whole"),
        ("[{conv: 4, kernel: 3}, instancenorm]", "whole"),
        ("[{conv: 4, kernel: 3}, {softmax: 3}]", "box"),  # height; the width is whole
        ("[{conv: 4, kernel: 3}, {groupnorm: 2}, {maxpool: 2}]", "whole"),
        ("[{residual: [{adaptive_avgpool: 1}, {resize: 32}]}]", "whole"),
        ("[{conv: 4, kernel: 3}, {permute: [0, 2, 3, 1]}, {linear: 5}]", "box"),
        ("['{rearrange: b c (h p) w -> (b h) c p w, p: 8}']", "irregular"),
        ("['{rearrange: b c (h p) w -> (b h) c p w, p: 8}', global_avgpool]", "irregular"),
        ("['{rearrange: b c h w -> b (h w) c}', {linear: 5}]", "irregular"),
        ("['{rearrange: b c h w -> b c (h w)}', {linear: 5}]", "whole"),
        ("[{select: 3, dim: 2}]", "irregular"),
        ("[{select: 3, dim: 2}, flatten, {linear: 2}]", "irregular"),
    ],
)
def test_kind_of_the_field_of_the_height(layers: str, kind: str) -> None:
    text = net(layers.replace("'", ""), "{x: [N, 3, 32, 32]}")
    graph = graph_of(text)
    fields = receptive_fields(graph)[graph.outputs["output"].name]
    assert (fields[0].axis, fields[0].kind) == ("height", kind)


def test_axes_are_followed_through_permutations() -> None:
    graph = graph_of(
        net(
            "[{conv: 4, kernel: [5, 1]}, {transpose: [2, 3]}, {conv: 4, kernel: [1, 3]}]",
            "{x: [N, 3, 32, 32]}",
        )
    )
    height, width = receptive_fields(graph)[graph.outputs["output"].name]
    assert (height.axis, height.size) == ("height", 7)
    assert (width.axis, width.size) == ("width", 1)


def test_what_stands_behind_another_along_an_axis_is_read_further_in_front() -> None:
    graph = graph_of(
        "archc: 1\nname: net\ninputs: {a: [N, 3, 8], b: [N, 3, 5]}\nlayers:\n"
        "  both: {concat: 2, from: [a, b]}\n  conv: {conv: 4, kernel: 3, padding: 1}\n"
    )
    assert [(f.input, f.size, f.offset) for f in receptive_fields(graph)["conv"]] == [
        ("a", 3, -1),
        ("b", 3, -9),  # position 8 is the first to read b from its start
    ]


def test_tokens_behind_learned_ones_are_read_whole_by_what_reads_all() -> None:
    graph = graph_of(
        net(
            "{patches: {conv: 8, kernel: 4, stride: 4}, "
            "tokens: {rearrange: b c h w -> b (h w) c}, class: prepend_param, "
            "mixed: {rearrange: b t c -> b c t}, all: {linear: 17}}",
            "{x: [N, 3, 16, 16]}",
        )
    )
    fields = receptive_fields(graph)
    assert {field.kind for field in fields["class"]} == {"irregular"}
    assert {field.kind for field in fields["all"]} == {"whole"}


def test_each_input_has_its_own_field() -> None:
    graph = graph_of(
        "archc: 1\nname: net\ninputs: {a: [N, 3, 32, 32], b: [N, 3, 32, 32], c: [N, 7]}\n"
        "layers:\n"
        "  left: {conv: 4, kernel: 5, padding: 2, from: a}\n"
        "  right: {conv: 4, kernel: 3, padding: 1, from: b}\n"
        "  sum: {add: , from: [left, right]}\n"
        "  code: {linear: 4, from: c}\n"
        "outputs: [sum, code]\n"
    )
    fields = receptive_fields(graph)
    assert [(f.input, f.axis, f.size) for f in fields["sum"]] == [
        ("a", "height", 5),
        ("a", "width", 5),
        ("b", "height", 3),
        ("b", "width", 3),
    ]
    assert fields["code"] == ()  # no spatial axis, no field


def test_the_size_given_by_another_layer_is_not_read() -> None:
    graph = graph_of(
        "archc: 1\nname: net\ninputs: {a: [N, 3, 32, 32], b: [N, 3, 64, 64]}\n"
        "layers:\n  up: {resize: , like: b, from: a}\n"
    )
    assert {field.input for field in receptive_fields(graph)["up"]} == {"a"}


def test_symbolic_sizes_have_the_same_fields() -> None:
    steps = "{conv: 4, kernel: 7, stride: 2, padding: 3}, {maxpool: 3, stride: 2}"
    layers = f"[{steps}, {{resize: , scale: 2}}]"
    fixed = graph_of(net(layers, "{x: [N, 3, 64, 64]}"))
    free = graph_of(net(layers, "{x: [N, 3, H, W]}"))
    assert receptive_fields(fixed) == receptive_fields(free)
