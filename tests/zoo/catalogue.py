"""Which specs and variants are which torchvision models."""

from __future__ import annotations

from pathlib import Path

SPECS = Path(__file__).parents[2] / "specs"

_REGNET_SIZES = ("400mf", "800mf", "1_6gf", "3_2gf", "8gf", "16gf", "32gf")

VARIANTS = {
    "alexnet": ["alexnet"],
    "convnext": [f"convnext_{size}" for size in ("tiny", "small", "base", "large")],
    "densenet": [f"densenet{n}" for n in (121, 161, 169, 201)],
    "efficientnet": [f"efficientnet_b{n}" for n in range(8)],
    "efficientnet_v2": [f"efficientnet_v2_{size}" for size in "sml"],
    "maxvit": ["maxvit_t"],
    "mnasnet": [f"mnasnet{width}" for width in ("0_5", "0_75", "1_0", "1_3")],
    "mobilenet_v3": ["mobilenet_v3_large", "mobilenet_v3_small"],
    "regnet": [
        *(f"regnet_x_{size}" for size in _REGNET_SIZES),
        *(f"regnet_y_{size}" for size in (*_REGNET_SIZES, "128gf")),
    ],
    "resnet": [
        *(f"resnet{n}" for n in (18, 34, 50, 101, 152)),
        "resnext50_32x4d",
        "resnext101_32x8d",
        "resnext101_64x4d",
        "wide_resnet50_2",
        "wide_resnet101_2",
    ],
    "shufflenet_v2": [f"shufflenet_v2_x{width}" for width in ("0_5", "1_0", "1_5", "2_0")],
    "squeezenet": ["squeezenet1_0", "squeezenet1_1"],
    "swin": ["swin_t", "swin_s", "swin_b"],
    "swin_v2": ["swin_v2_t", "swin_v2_s", "swin_v2_b"],
    "vit": ["vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14"],
    "vgg": [f"vgg{n}{bn}" for n in (11, 13, 16, 19) for bn in ("", "_bn")],
}
"""Spec -> its variants, each named as the torchvision model it equals."""

REORDERED = {
    # torchvision scales keys, where attention scales queries.
    "maxvit",
    # torch.nn.MultiheadAttention puts the sequence before the batch, and so adds biases apart.
    "vit",
}
"""Specs whose float operations come in another order than torchvision's: equal by the gate, not
bit by bit."""

SINGLE = ("googlenet", "inception_v3", "mobilenet_v2")
"""Specs without variants, named as the torchvision model they equal."""

MODELS: list[tuple[str, str | None, str]] = [
    *((spec, name, name) for spec, names in VARIANTS.items() for name in names),
    *((name, None, name) for name in SINGLE),
]
"""(spec, variant, torchvision model)."""

SEGMENTATION: list[tuple[str, str | None, str]] = [
    ("segmentation", name, name)
    for name in (f"{head}_resnet{n}" for head in ("fcn", "deeplabv3") for n in (50, 101))
]
"""The same for models of `torchvision.models.segmentation`."""

TORCHVISION = MODELS + SEGMENTATION

SIZED = {
    # The position embedding has a number per patch.
    "vit",
    # torchvision's windows pad to whole ones, and maxvit's do not; the ops of both count them.
    "swin",
    "swin_v2",
    "maxvit",
}
"""Specs that are compiled for each size of the image, instead of for all sizes at once."""

BINNED = {"alexnet", "vgg"}
"""Specs that average an image into bins, which ONNX can say for a size that is known only."""

_LIGHT = (
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
)
_HEAVIER = {
    "alexnet": 1,
    "convnext_tiny": 1,
    "deeplabv3_resnet50": 1,
    "fcn_resnet50": 1,
    "maxvit_t": 0,
    "resnext50_32x4d": 1,
    "swin_v2_t": 0,
    "vit_b_32": 1,
}

SLICE = {*_LIGHT, *_HEAVIER}
"""A small model of each kind."""

RUNS = {*((name, which) for name in _LIGHT for which in (0, 1)), *_HEAVIER.items()}
"""The outputs that every run compares: at both sizes of a model (0, 1), or at one; all the others
are compared under `-m exhaustive`."""


def spec_path(name: str) -> str:
    return str(SPECS / f"{name}.yaml")


def other_size(spec: str, variant: str | None) -> tuple[int, int]:
    """A second size of image, unlike the published one: odd and not square where it may be."""
    if spec == "vit":  # torchvision's takes square images only
        patch = int((variant or "").rpartition("_")[2])
        return 5 * patch, 5 * patch
    if spec == "maxvit":  # whole windows at every stage, and torchvision's takes square images only
        return 448, 448
    return 231, 185


def small_size(spec: str, variant: str | None) -> tuple[int, int]:
    """A size at which a model costs little, and still runs in training."""
    if spec == "vit":
        patch = int((variant or "").rpartition("_")[2])
        return 2 * patch, 2 * patch
    return _SMALL_SIZES.get(spec, (96, 64))


_SMALL_SIZES = {
    "alexnet": (96, 95),
    "inception_v3": (299, 299),  # its auxiliary head takes 17 x 17 positions and no fewer
    "maxvit": (224, 224),
    "segmentation": (65, 97),
    "squeezenet": (67, 95),
}
