"""torchvision as an oracle: models that nobody here wrote."""

from __future__ import annotations

import functools

import torch


@functools.cache
def torchvision_models():
    """`torchvision.models`, imported beside a CPU build of torch.

    torchvision's wheel for PyPI is built against a CUDA torch; its compiled ops do not load
    here, and the two schemas that its import needs are declared by hand.
    """
    try:
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        torchvision_models.library = library  # kept alive: schemas go with the object
    except RuntimeError:
        pass  # a build of torchvision that brings its own ops
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


def _options(name: str) -> dict[str, bool]:
    """GoogLeNet and Inception draw their weights slowly and warn unless told."""
    return {"init_weights": False} if name in {"googlenet", "inception_v3"} else {}


def oracle_model(name: str) -> torch.nn.Module:
    """A torchvision model at random initialisation, in eval mode.

    Attention takes its ordinary path: the fused one that torch.nn.MultiheadAttention has for
    inference rounds differently, and training does not use it.
    """
    torch.backends.mha.set_fastpath_enabled(False)
    return torchvision_models().get_model(name, weights=None, **_options(name)).eval()


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
