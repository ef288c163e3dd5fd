"""The module samples of torch.testing: constructor arguments, inputs, and what comes out."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from tests.upstream import torch_layers as to
from tests.upstream.case import ExcludedError, Expected, Layer
from tests.upstream.suite import Case, Suite

Translate = Callable[[to.Given], to.Attributes]

PLAIN: dict[str, tuple[str, Translate]] = {
    "CELU": ("celu", to.renamed()),
    "ELU": ("elu", to.renamed()),
    "Embedding": (
        "embedding",
        to.renamed(num_embeddings="rows", embedding_dim="features"),
    ),
    "GELU": ("gelu", to.renamed()),
    "Hardswish": ("hardswish", to.renamed()),
    "Hardtanh": ("hardtanh", to.renamed(min_val="min", max_val="max")),
    "LayerNorm": ("layernorm", to.normalized),
    "LeakyReLU": ("leaky_relu", to.renamed(negative_slope="slope")),
    "Linear": ("linear", to.renamed("in_features", out_features="out")),
    "LogSoftmax": ("log_softmax", to.renamed()),
    "Mish": ("mish", to.renamed()),
    "PReLU": ("prelu", to.prelu),
    "RMSNorm": ("rmsnorm", to.normalized),
    "ReLU": ("relu", to.renamed()),
    "ReLU6": ("relu6", to.renamed()),
    "SELU": ("selu", to.renamed()),
    "SiLU": ("silu", to.renamed()),
    "Sigmoid": ("sigmoid", to.renamed()),
    "Softmax": ("softmax", to.renamed()),
    "Softplus": ("softplus", to.renamed()),
    "Softsign": ("softsign", to.renamed()),
    "Tanh": ("tanh", to.renamed()),
}
"""Modules that take any rank."""

BATCHED: dict[str, tuple[str, Translate]] = {
    "GroupNorm": ("groupnorm", to.renamed("num_channels", num_groups="groups")),
    "LocalResponseNorm": ("lrn", to.renamed()),
    "Softmax2d": ("softmax", lambda given: {"dim": 1}),
}
"""Modules whose input is [N, C, ...] whatever comes behind."""

RECURRENT: dict[str, tuple[str, Translate]] = {
    name: (name.lower(), to.recurrent) for name in ("GRU", "LSTM", "RNN")
}
"""Modules whose samples are sequences without a batch axis."""

SPATIAL: dict[str, tuple[str, Translate]] = {
    "AvgPool": ("avgpool", to.AVGPOOL),
    "BatchNorm": ("batchnorm", to.batchnorm),
    "CircularPad": ("pad", to.pad("circular")),
    "ConstantPad": ("pad", to.pad("constant")),
    "Conv": ("conv", to.CONV),
    "ConvTranspose": ("conv_transpose", to.CONV),
    "InstanceNorm": ("instancenorm", to.batchnorm),
    "LazyConv": ("conv", to.CONV),
    "LazyConvTranspose": ("conv_transpose", to.CONV),
    "MaxPool": ("maxpool", to.maxpool),
    "ReflectionPad": ("pad", to.pad("reflect")),
    "ReplicationPad": ("pad", to.pad("replicate")),
    "ZeroPad": ("pad", to.pad("constant")),
}
"""Modules for 1, 2 and 3 spatial axes, behind whose name stands how many."""

ADAPTIVE = {"AdaptiveAvgPool": "adaptive_avgpool", "AdaptiveMaxPool": "adaptive_maxpool"}


def suite() -> Suite:
    """Every module of torch.testing, whether archc has it or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_modules import module_db

        cases: list[Case] = []
        unknown: dict[str, int] = {}
        for info in module_db:
            samples = info.module_inputs_func(
                info, device="cpu", dtype=torch.float32, requires_grad=False, training=False
            )
            found = _translation(info.module_cls.__name__)
            if found is None:
                unknown[info.name] = len(samples)
                continue
            for index, sample in enumerate(samples):
                make = partial(_layer, info.module_cls, sample, *found)
                cases.append(Case(info.name, str(index), found[0], make))
    return Suite("torch modules", tuple(cases), unknown)


def _translation(name: str) -> tuple[str, Translate | None, int | None] | None:
    """Word of the language, translation of the arguments, spatial axes where they matter."""
    if name in PLAIN:
        return (*PLAIN[name], None)
    if name in RECURRENT:
        return (*RECURRENT[name], 1)
    if name in BATCHED:
        return (*BATCHED[name], 2 if name == "Softmax2d" else None)
    stem, axes = name[:-2], name[-2:]
    if axes not in ("1d", "2d", "3d"):
        return None
    if stem in ADAPTIVE:
        return (ADAPTIVE[stem], None, int(axes[0]))
    return (*SPATIAL[stem], int(axes[0])) if stem in SPATIAL else None


def _layer(
    cls: Any, sample: Any, op: str, translate: Translate | None, axes: int | None
) -> tuple[Layer, Expected]:
    made, fed = sample.constructor_input, sample.forward_input
    given = dict(_bound(cls, made))
    if given.get("bias") is False and given.get("affine") is not False and "Norm" in cls.__name__:
        _demand_both(cls)
    x, *states = (*fed.args, *fed.kwargs.values())
    if states:
        raise ExcludedError("states to start from: recurrent layers of archc start with zeros")
    x = x.detach()
    module = cls(*made.args, **made.kwargs).eval()
    with torch.no_grad():
        module(x.clone())  # lazy modules learn their sizes
    _randomise(module)
    batch = _batch(op, x, axes)
    if translate is None:
        attributes = to.adaptive(given, x.shape[-(axes or 0) :])
    else:
        attributes = translate(given)
    weights = {key: value.numpy().copy() for key, value in module.state_dict().items()}
    feed = [(x.unsqueeze(0) if batch else x).numpy().copy()]
    layer = Layer(op, attributes, feed, weights)
    single, double = (_results(copy.deepcopy(module), x, batch, wide) for wide in (False, True))
    return layer, Expected([single], [double])


def _demand_both(cls: Any) -> None:
    """A norm's `bias: false` is younger than the oldest torch that generated source runs on."""
    if cls is not torch.nn.LayerNorm:
        raise ExcludedError(
            "a norm with a weight and no bias, which torch 2.6 has for LayerNorm alone: what archc "
            "writes runs on torch 2.6"
        )


def _bound(cls: Any, made: Any) -> Iterator[tuple[str, Any]]:
    """The arguments by name: those that the sample gives, no defaults."""
    bound = inspect.signature(cls.__init__).bind(None, *made.args, **made.kwargs).arguments
    for key, value in bound.items():
        if key == "self":
            continue
        if key in ("args", "kwargs") and isinstance(value, (tuple, dict)):
            yield from value.items() if isinstance(value, dict) else ()
        else:
            yield key, value


def _batch(op: str, x: torch.Tensor, axes: int | None) -> bool:
    """Whether the input is one sample without a batch axis, which a spec always writes."""
    if op == "linear":
        return x.ndim == 1
    return axes is not None and op != "batchnorm" and x.ndim == axes + 1


def _randomise(module: torch.nn.Module) -> None:
    """Weights and statistics that hide no mistake."""
    generator = torch.Generator().manual_seed(0)
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            drawn = torch.randn(value.shape, generator=generator) * 0.5
            value.copy_(drawn.abs() + 0.5 if key.endswith("running_var") else drawn)


def _results(module: torch.nn.Module, x: torch.Tensor, batch: bool, wide: bool) -> Any:
    if wide:
        module, x = module.double(), x.double() if x.is_floating_point() else x
    with torch.no_grad():
        result = module(x.clone())
    if isinstance(result, tuple):
        result = result[0]  # without the indices of a maximum
    return (result.unsqueeze(0) if batch else result).numpy()
