"""Names, shapes, dtypes, order and initial values of weights against torch's modules."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from archc.ops.initial import Constant
from archc.ops.table import OPS
from archc.types import TensorType


@pytest.mark.parametrize(
    ("name", "attributes", "shape", "module"),
    [
        ("batchnorm", {}, (2, 6), nn.BatchNorm1d(6)),
        ("batchnorm", {}, (2, 6, 4), nn.BatchNorm1d(6)),
        ("batchnorm", {}, (2, 6, 4, 4), nn.BatchNorm2d(6)),
        ("batchnorm", {}, (2, 6, 4, 4, 4), nn.BatchNorm3d(6)),
        ("batchnorm", {"affine": False}, (2, 6, 4, 4), nn.BatchNorm2d(6, affine=False)),
        (
            "batchnorm",
            {"track_running_stats": False},
            (2, 6, 4, 4),
            nn.BatchNorm2d(6, track_running_stats=False),
        ),
        ("layernorm", {}, (2, 4, 6), nn.LayerNorm(6)),
        ("layernorm", {"axes": 2}, (2, 4, 6), nn.LayerNorm((4, 6))),
        ("layernorm", {"bias": False}, (2, 4, 6), nn.LayerNorm(6, bias=False)),
        ("layernorm", {"affine": False}, (2, 6), nn.LayerNorm(6, elementwise_affine=False)),
        ("layernorm2d", {}, (2, 6, 4, 4), nn.LayerNorm(6)),
        ("rmsnorm", {}, (2, 6), nn.RMSNorm(6)),
        ("rmsnorm", {"affine": False}, (2, 6), nn.RMSNorm(6, elementwise_affine=False)),
        ("groupnorm", {"groups": 2}, (2, 6, 4), nn.GroupNorm(2, 6)),
        ("groupnorm", {"groups": 2, "affine": False}, (2, 6), nn.GroupNorm(2, 6, affine=False)),
        ("instancenorm", {}, (2, 6, 4), nn.InstanceNorm1d(6)),
        ("instancenorm", {"affine": True}, (2, 6, 4, 4), nn.InstanceNorm2d(6, affine=True)),
        ("prelu", {}, (2, 6), nn.PReLU()),
        ("prelu", {"per_channel": True}, (2, 6), nn.PReLU(6)),
    ],
)
def test_weights_are_those_of_the_torch_module(
    name: str, attributes: dict[str, Any], shape: tuple[int, ...], module: nn.Module
) -> None:
    weights = OPS[name].model_validate(attributes).weights(TensorType(shape))
    state = module.state_dict()
    assert [weight.name for weight in weights] == list(state)
    assert {w.name for w in weights if w.buffer} == {key for key, _ in module.named_buffers()}
    for weight in weights:
        assert isinstance(weight.init, Constant)
        dtype = getattr(torch, weight.dtype.value)
        assert torch.equal(
            state[weight.name], torch.full(weight.shape, weight.init.value, dtype=dtype)
        )
        assert state[weight.name].dtype is dtype


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_every_op_is_declared_in_full(op: Any) -> None:
    assert op.__doc__
    assert op.principal is None or op.principal in op.model_fields
    assert op.text_fields <= set(op.model_fields)
    assert op.model_json_schema()["type"] == "object"
