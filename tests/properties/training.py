"""What layers do in training mode where that differs from inference.

Every function takes a case, a seed and the generated module with its weights, and asserts.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from tests.ops.harness import LAYER
from tests.ops.test_attention import heads_of

Case = Any
Tensor = torch.Tensor


def _inputs(case: Case, seed: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(t.shape, generator=generator) for t in case.types]


def dropout(case: Case, seed: int, module: torch.nn.Module) -> None:
    """The very elements that torch's function drops, from the same seed."""
    (x,) = _inputs(case, seed)
    torch.manual_seed(seed)
    expected = F.dropout(x, case.op.p, training=True)
    torch.manual_seed(seed)
    assert torch.equal(module.train()(x), expected)


def drop_path(case: Case, seed: int, module: torch.nn.Module) -> None:
    """Whole samples: as many as asked for, what stays made larger by as much."""
    p = case.op.p
    if case.types[0].rank == 0:
        return
    shape = (400, *case.types[0].shape[1:])
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(shape, generator=generator) + 0.5
    torch.manual_seed(seed)
    y = module.train()(x)
    kept = (y != 0).reshape(len(x), -1)
    assert torch.equal(kept.all(1), kept.any(1))
    torch.testing.assert_close(y[kept.all(1)], x[kept.all(1)] / (1 - p) if p < 1 else x[:0])
    spread = math.sqrt(p * (1 - p) / len(x))
    assert abs(kept.all(1).double().mean().item() - (1 - p)) <= 5.5 * spread


def recurrent(case: Case, seed: int, module: torch.nn.Module) -> None:
    """Between layers torch's own module drops the same features from the same seed."""
    op = case.op
    options = {"nonlinearity": op.nonlinearity} if case.name == "rnn" else {}
    twin = getattr(torch.nn, case.name.upper())(
        case.types[0].shape[-1],
        op.hidden,
        op.layers,
        bias=op.bias,
        batch_first=op.batch_first,
        dropout=op.dropout,
        bidirectional=op.bidirectional,
        **options,
    )
    twin.load_state_dict({key.removeprefix(f"{LAYER}."): t for key, t in _state(module)})
    (x,) = _inputs(case, seed)
    torch.manual_seed(seed)
    expected, _ = twin.train()(x)
    torch.manual_seed(seed)
    found = module.train()(x)
    assert torch.equal(found["y0"] if op.states else found, expected)


def batchnorm(case: Case, seed: int, module: torch.nn.Module) -> None:
    """The batch's own statistics, and the running ones moved by `momentum`."""
    (x,) = _inputs(case, seed)
    if x.numel() == x.shape[1]:
        return  # torch refuses one value per channel
    op = case.op
    layer = {key.removeprefix(f"{LAYER}."): t.detach().clone() for key, t in _state(module)}
    mean, var = layer.get("running_mean"), layer.get("running_var")
    momentum = 1.0 if op.momentum is None else op.momentum  # the first batch of an average
    expected = F.batch_norm(
        x, mean, var, layer.get("weight"), layer.get("bias"), True, momentum, op.eps
    )
    assert torch.equal(module.train()(x), expected)
    after = {key.removeprefix(f"{LAYER}."): t for key, t in _state(module)}
    for name, moved in (("running_mean", mean), ("running_var", var)):
        assert (moved is None) == (name not in after)
        assert moved is None or torch.equal(after[name], moved)


def instancenorm(case: Case, seed: int, module: torch.nn.Module) -> None:
    """Each sample's own statistics, and the running ones moved by `momentum`."""
    (x,) = _inputs(case, seed)
    op = case.op
    layer = {key.removeprefix(f"{LAYER}."): t.detach().clone() for key, t in _state(module)}
    mean, var = layer.get("running_mean"), layer.get("running_var")
    expected = F.instance_norm(
        x, mean, var, layer.get("weight"), layer.get("bias"), True, op.momentum, op.eps
    )
    assert torch.equal(module.train()(x), expected)
    after = {key.removeprefix(f"{LAYER}."): t for key, t in _state(module)}
    for name, moved in (("running_mean", mean), ("running_var", var)):
        assert (moved is None) == (name not in after)
        assert moved is None or torch.equal(after[name], moved)


def attention(case: Case, seed: int, module: torch.nn.Module) -> None:
    """Shares dropped at random: those that torch's own function drops, from the same seed."""
    op = case.op
    if op.visible or (op.mask and case.types[-1].dtype.value == "bool"):
        return  # whatever a row hides, its shares are unequal
    if op.causal or op.cosine or op.bias or op.mask or op.kv_heads:
        _drops_in_proportion(case, seed, module)
        return
    inputs = _inputs(case, seed)
    main = inputs[0].chunk(3, dim=-1) if len(inputs) == 1 else inputs
    query, key, value = (heads_of(x, op.heads) for x in main)
    torch.manual_seed(seed)
    function = F.scaled_dot_product_attention
    expected = function(query, key, value, dropout_p=op.dropout, scale=op.scale)
    torch.manual_seed(seed)
    found = module.train()(*inputs)
    torch.testing.assert_close(found, expected.transpose(-3, -2).flatten(-2))


def _drops_in_proportion(case: Case, seed: int, module: torch.nn.Module) -> None:
    """With all scores equal and values of one, a result is the share kept, over its mean."""
    op = case.op
    count = len(case.types) - len(op.referenced)
    named = [torch.zeros(t.shape) for t in case.types[count:]]
    main = [torch.zeros(t.shape) for t in case.types[:count]]
    values = main[0].chunk(3, dim=-1)[2] if count == 1 else main[2]
    values.fill_(1.0)
    torch.manual_seed(seed)
    y = module.train()(*main, *named)
    context = case.types[0 if count == 1 else 1].shape[-2]
    for row in range(y.shape[-2]):
        seen = row + 1 if op.causal else context
        unit = 1 / (seen * (1 - op.dropout))
        kept = y[..., row, :] / unit
        assert torch.allclose(kept, kept.round(), atol=1e-4)
        assert kept.max() <= seen + 1e-4
        if op.dropout == 0.0:
            torch.testing.assert_close(kept, torch.full_like(kept, float(seen)))


def _state(module: torch.nn.Module) -> list[tuple[str, Tensor]]:
    return list(module.state_dict().items())
