"""U-Net against a plain torch module: keys, numbers on both targets, gradients, sizes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from archc.compile import check_file
from archc.graph import Graph
from archc.parity import compare
from archc.runtime import RunError, open_model
from archc.targets.onnx import write_onnx
from archc.targets.torch import emit_torch, load_module
from archc.types.sizes import ALL_SIZES
from archc.weights import load_weights
from tests.zoo.catalogue import spec_path
from tests.zoo.oracle import randomise


class UNet(nn.Module):
    """As the paper draws it, convolutions padded and normalised."""

    def __init__(self, width: int, depth: int, channels: int, num_classes: int) -> None:
        super().__init__()
        self.depth = depth
        self.head = nn.Conv2d(width, num_classes, 1)
        entering = channels
        for i in range(depth):
            self.add_module(f"enc{i}", double_conv(entering, width * 2**i))
            entering = width * 2**i
        self.middle = double_conv(entering, 2 * entering)
        for i in range(depth):
            out = width * 2**i
            self.add_module(f"up{i}", nn.ConvTranspose2d(2 * out, out, 2, stride=2))
            self.add_module(f"dec{i}", double_conv(2 * out, out))

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for i in range(self.depth):
            kept.append(self.get_submodule(f"enc{i}")(x))
            x = nn.functional.max_pool2d(kept[i], 2)
        x = self.middle(x)
        for i in reversed(range(self.depth)):
            x = torch.cat([kept[i], self.get_submodule(f"up{i}")(x)], 1)
            x = self.get_submodule(f"dec{i}")(x)
        return self.head(x)


def double_conv(entering: int, out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for channels in (entering, out):
        conv = nn.Conv2d(channels, out, 3, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(out), nn.ReLU()]
    return nn.Sequential(*layers)


def graph_of(width: int, depth: int, channels: int, num_classes: int) -> Graph:
    given = {"width": width, "depth": depth, "channels": channels, "num_classes": num_classes}
    checked = check_file(spec_path("unet"), None, {name: str(n) for name, n in given.items()})
    assert checked.graph is not None
    assert not checked.diagnostics  # the promise is all that it demands
    return checked.graph


def image(channels: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(height)
    return torch.randn(2, channels, height, width, generator=generator)


SHAPES = [(8, 4, 1, 2), (4, 3, 3, 5), (6, 1, 2, 1)]
"""width, depth, channels, classes"""


@pytest.mark.parametrize("shape", SHAPES)
def test_both_targets_compute_what_the_module_does(shape, tmp_path) -> None:
    graph, oracle = graph_of(*shape), randomise(UNet(*shape)).eval()
    torch.save(oracle.state_dict(), tmp_path / "unet.pth")
    weights, problems = load_weights(tmp_path / "unet.pth", graph)
    assert weights is not None, problems
    assert not write_onnx(graph, weights, tmp_path / "unet.onnx").diagnostics
    module = load_module(emit_torch(graph), weights).eval()
    for height, width in ((1, 1), (3, 2), (2, 5)):
        x = image(shape[2], height << shape[1], width << shape[1])
        with torch.no_grad():
            expected = oracle.float()(x)
            assert torch.equal(module(x), expected)
            reference = oracle.double()(x.double()).numpy()
        for optimized in (False, True):
            model = open_model(tmp_path / "unet.onnx", optimized=optimized)
            (result,) = model.run({"image": x.numpy()}).values()
            found = compare("output", {}, optimized, expected.numpy(), result, reference)
            assert found.ok, found
    with pytest.raises(RunError, match=r"W = \d+ does not fit"):
        model.run({"image": image(shape[2], 1 << shape[1], (1 << shape[1]) + 1).numpy()})


@pytest.mark.parametrize("shape", SHAPES)
def test_training_is_the_modules(shape) -> None:
    oracle, module = randomise(UNet(*shape)), load_module(emit_torch(graph_of(*shape)))
    module.load_state_dict(oracle.state_dict(), strict=True)
    x = image(shape[2], 2 << shape[1], 3 << shape[1])
    for network in (oracle, module):
        network.train()(x).square().sum().backward()
    gradients = {name: weight.grad for name, weight in module.named_parameters()}
    for name, weight in oracle.named_parameters():
        assert torch.equal(weight.grad, gradients[name]), name
    for name, tensor in oracle.state_dict().items():
        assert torch.equal(tensor, module.state_dict()[name]), name


@pytest.mark.parametrize("depth", [1, 3])
def test_the_sizes_that_work_are_those_of_the_module(depth, tmp_path) -> None:
    text = Path(spec_path("unet")).read_text(encoding="utf-8")
    promise = "\n    sizes: {H: {multiple: 2**depth}, W: {multiple: 2**depth}}"
    assert promise in text
    path = tmp_path / "unet.yaml"
    path.write_text(text.replace(promise, ""), encoding="utf-8")
    graph = check_file(str(path), None, {"depth": str(depth), "width": "2"}).graph
    assert graph is not None
    with torch.device("meta"):
        module = UNet(2, depth, 1, 2).eval()
    for size in range(1, 41):
        for height, width, symbol in ((size, 32, "H"), (32, size, "W")):
            fits = size in graph.sizes.get(symbol, ALL_SIZES)
            assert fits is works(module, height, width), (height, width)


def works(module: nn.Module, height: int, width: int) -> bool:
    try:
        module(torch.empty(1, 1, height, width, device="meta"))
    except RuntimeError:
        return False
    return True
