"""torchvision as an oracle: models that nobody here wrote."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import torch


@functools.cache
def torchvision_models():
    """`torchvision.models`, imported beside any build of torch.

    torchvision's wheel for PyPI is built against a CUDA torch; its compiled ops do not load
    beside a CPU build, and the two schemas that its import needs are declared by hand.
    """
    if torch.version.cuda is None:
        with contextlib.suppress(RuntimeError):  # a torchvision for the CPU brings its own ops
            library = torch.library.Library("torchvision", "DEF")
            library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            torchvision_models.library = library  # kept alive: schemas go with the object
    import torchvision.models

    return torchvision.models


def meta_state(name: str) -> dict[str, torch.Tensor]:
    """The state_dict of a torchvision model without its numbers."""
    return meta_model(name).state_dict()


def meta_model(name: str) -> torch.nn.Module:
    """A torchvision model without its numbers, in eval mode."""
    models = torchvision_models()
    params = models.regnet.BlockParams
    original = params.from_init_params

    def on_cpu(*args, **kwargs):
        # RegNet computes its widths with tensors, whose values a meta tensor has not.
        with torch.device("cpu"):
            return original(*args, **kwargs)

    params.from_init_params = on_cpu
    try:
        with torch.device("meta"):
            return models.get_model(name, weights=None, **_options(name)).eval()
    finally:
        params.from_init_params = original


def _options(name: str, size: tuple[int, int] | None = None) -> dict[str, Any]:
    """What a constructor has to be told.

    Args:
        name: the model.
        size: of the images, for models that are built for one; None for the published one.
    """
    if name in {"googlenet", "inception_v3"}:
        return {"init_weights": False}  # it is slow, and warns unless it is told
    if name.startswith(("fcn_", "deeplabv3_")):
        return {"weights_backbone": None, "aux_loss": True}
    if size and name.startswith("vit_"):
        return {"image_size": size[0]}
    if size and name == "maxvit_t":
        return {"input_size": size}
    return {}


def oracle_model(name: str, size: tuple[int, int] | None = None) -> torch.nn.Module:
    """A torchvision model at random initialisation, in eval mode.

    Attention takes its ordinary path: the fused one that torch.nn.MultiheadAttention has for
    inference rounds differently, and training does not use it.

    Args:
        name: the model.
        size: of the images, for models that are built for one; None for the published one.
    """
    torch.backends.mha.set_fastpath_enabled(False)
    model = torchvision_models().get_model(name, weights=None, **_options(name, size))
    return model.eval()


def named_outputs(result: object) -> dict[str, torch.Tensor]:
    """What a model returns, under the names that the spec gives it."""
    if isinstance(result, torch.Tensor):
        return {"output": result}
    if isinstance(result, dict):
        return dict(result)
    return {_NAMES[field]: value for field, value in result._asdict().items()}


_NAMES = {
    "logits": "output",
    "aux_logits1": "aux1",
    "aux_logits2": "aux2",
    "aux_logits": "AuxLogits",
}
"""Fields of GoogLeNetOutputs and InceptionOutputs, and the layers of the specs."""


def randomise(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Draw every parameter and buffer at random, so that no default hides a mistake.

    Matrices and kernels are scaled by fan-in to keep activations of order one through any depth;
    batch-norm statistics, affine terms and biases are moved away from 0 and 1.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if not tensor.is_floating_point():
                continue
            if name.endswith("relative_coords_table"):
                continue  # computed, not learned
            noise = torch.randn(tensor.shape, generator=generator)
            if name.endswith("running_var"):
                tensor.copy_(0.5 + torch.rand(tensor.shape, generator=generator) * 1.5)
            elif name.endswith("logit_scale"):
                # Beyond log(100), where it is cut off, for some heads.
                tensor.copy_(1.0 + 4.0 * torch.rand(tensor.shape, generator=generator))
            elif tensor.ndim > 1:
                fan_in = tensor[0].numel()
                tensor.copy_(noise * (2.0 / fan_in) ** 0.5)
            elif name.endswith("weight"):
                tensor.copy_(1.0 + 0.2 * noise)
            else:
                tensor.copy_(0.2 * noise)
    return module


def settle(module: torch.nn.Module, images: torch.Tensor) -> torch.nn.Module:
    """Give batch norms the statistics that these images have in this network.

    With statistics drawn at random the activations of deep networks grow from layer to layer, and
    float32 tells nothing of them: EfficientNetV2's outputs have an error of 0.7.

    Args:
        module: a network in eval mode; it is changed.
        images: two at least, for norms behind a global pool.
    """
    norms = [part for part in module.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train().momentum = 1.0
    with torch.no_grad():
        if norms:
            module(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum
    return module


def draw_images(count: int, size: tuple[int, int], seed: int = 1) -> torch.Tensor:
    """Images of random patches under noise.

    Of noise alone a deep network sees next to nothing but the mean, and its norms enlarge the rest.
    """
    generator = torch.Generator().manual_seed(seed)
    patches = torch.randn(count, 3, *(1 + side // 24 for side in size), generator=generator)
    smooth = torch.nn.functional.interpolate(patches, size, mode="bilinear", align_corners=False)
    return smooth + 0.3 * torch.randn(count, 3, *size, generator=generator)
