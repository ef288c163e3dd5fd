"""The zoo in training mode against torchvision: all outputs, gradients, running statistics."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from archc.parity import compare
from archc.targets.torch import emit_torch, load_module
from tests.zoo.catalogue import REORDERED, TORCHVISION, small_size
from tests.zoo.graphs import at_size
from tests.zoo.oracle import named_outputs, oracle_model, randomise

FEW = {
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "fcn_resnet50",
    "googlenet",
    "inception_v3",
    "mnasnet0_5",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "swin_t",
    "swin_v2_t",
    "vit_b_32",
}


class NoDropout(TorchFunctionMode):
    """Dropout and stochastic depth at 0, in any network."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        if name in {"dropout", "feature_dropout"}:
            return args[0]
        return func(*args, **(kwargs or {}))


def train(module: nn.Module, image: Tensor) -> dict[str, Tensor]:
    """A step of training: outputs, gradients by parameter, and all tensors of the state after it.

    Every output has a part in the loss.
    """
    module.train()
    for part in module.modules():
        if type(part).__name__ == "StochasticDepth":  # torchvision's
            part.p = 0.0
    with NoDropout():
        outputs = named_outputs(module(image))
    generator = torch.Generator().manual_seed(2)
    loss = torch.zeros((), dtype=image.dtype)
    for _, output in sorted(outputs.items()):
        loss = loss + (output * torch.randn(output.shape, generator=generator)).sum()
    loss.backward()
    return {
        **{f"output {name}": output.detach() for name, output in outputs.items()},
        **{f"gradient {name}": weight.grad for name, weight in module.named_parameters()},
        **module.state_dict(),
    }


@pytest.mark.parametrize(
    ("spec", "variant", "name"),
    [
        pytest.param(*row, id=row[2], marks=[] if row[2] in FEW else pytest.mark.exhaustive)
        for row in TORCHVISION
    ],
)
def test_training_computes_what_torchvision_does(spec, variant, name) -> None:
    size = small_size(spec, variant)
    oracle = randomise(oracle_model(name, size))
    module = load_module(emit_torch(at_size(spec, variant, *size)))
    module.load_state_dict(oracle.state_dict(), strict=True)
    wide = deepcopy(oracle).double() if spec in REORDERED else None
    image = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))

    expected, got = train(oracle, image), train(module, image)
    assert expected.keys() == got.keys()
    if wide is None:  # the order of operations is torchvision's, backwards, too
        differing = [key for key in expected if not torch.equal(expected[key], got[key])]
        assert not differing
        return
    for key, reference in train(wide, image.double()).items():
        theirs, ours = (values[key].numpy() for values in (expected, got))
        rounded = compare(key, {}, False, theirs, ours, reference.numpy())
        assert rounded.ok, rounded
