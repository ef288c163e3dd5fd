"""Which spec and variant is which torchvision model."""

from __future__ import annotations

from pathlib import Path

SPECS = Path(__file__).parents[2] / "specs"

TORCHVISION = {
    "alexnet": ("alexnet", ["alexnet"]),
    "vgg": (
        "vgg",
        [f"vgg{n}{bn}" for n in (11, 13, 16, 19) for bn in ("", "_bn")],
    ),
    "resnet": (
        "resnet",
        [
            "resnet18",
            "resnet34",
            "resnet50",
            "resnet101",
            "resnet152",
            "resnext50_32x4d",
            "resnext101_32x8d",
            "resnext101_64x4d",
            "wide_resnet50_2",
            "wide_resnet101_2",
        ],
    ),
}

MODELS = [(spec, variant) for spec, variants in TORCHVISION.values() for variant in variants]
"""(spec, variant): the variant has the torchvision model's name."""

# One of each family, small enough for every run; the others run under `-m exhaustive`.
SLICE = {"alexnet", "vgg11_bn", "resnet18", "resnext50_32x4d"}


def spec_path(name: str) -> str:
    return str(SPECS / f"{name}.yaml")
