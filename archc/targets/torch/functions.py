"""Functions that a lowering may call; a generated module defines those that it calls."""

from __future__ import annotations

import re

_ATTEND = '''\
def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *terms: Tensor,
    scale: float = 1.0,
    logit_scale: Tensor | None = None,
    causal: bool = False,
    dropout: float = 0.0,
) -> Tensor:
    """Attention over [..., heads, length, features]; terms are added to its scores."""
    if logit_scale is None:
        scores = (query * scale) @ key.transpose(-2, -1)
    else:
        scores = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)
        scores = scores * torch.clamp(logit_scale, max=4.605170185988092).exp()
    for term in terms:
        scores = scores + term
    if causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device)
        scores = scores.masked_fill(later.triu(1), float("-inf"))
    weights = F.dropout(F.softmax(scores, dim=-1), dropout, dropout > 0.0)
    return (weights @ value).transpose(-3, -2).flatten(-2)
'''

_FLAT = '''\
def _flat(result: tuple[Tensor, tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
    """The sequence, the last hidden state and the last cell state of an LSTM."""
    sequence, (hidden, cell) = result
    return sequence, hidden, cell
'''

_HIDE = '''\
def _hide(visible: Tensor, like: Tensor) -> Tensor:
    """Terms of scores: 0 where something is visible, as low as two may be added where not."""
    low = torch.finfo(like.dtype).min / 2
    return torch.zeros_like(visible, dtype=like.dtype).masked_fill(visible == 0, low)
'''

_RELATIVE_INDEX = '''\
def _relative_index(height: int, width: int, flat: bool = False) -> Tensor:
    """The row of a table of offsets for each pair of positions in a window."""
    span = 2 * width - 1
    places = (torch.arange(height)[:, None] * span + torch.arange(width)).flatten()
    index = places[:, None] - places + (height - 1) * span + width - 1
    return index.flatten() if flat else index
'''

_RELATIVE_COORDS = '''\
def _relative_coords(height: int, width: int) -> Tensor:
    """Offsets within a window, down and right, on a logarithmic scale."""
    down = torch.arange(1 - height, height, dtype=torch.float32) / (height - 1)
    right = torch.arange(1 - width, width, dtype=torch.float32) / (width - 1)
    offsets = 8 * torch.stack(torch.meshgrid(down, right, indexing="ij"), dim=-1)
    return (torch.sign(offsets) * torch.log2(torch.abs(offsets) + 1.0) / 3.0)[None]
'''

_ROTATE = '''\
def _rotate(x: Tensor, heads: int, theta: float, interleaved: bool = False) -> Tensor:
    """Rotary embedding of [..., length, features]: pairs turn the further, the later they come."""
    pairs = x.shape[-1] // heads // 2
    float64 = {"dtype": torch.float64, "device": x.device}
    speeds = theta ** (torch.arange(pairs, **float64) / -pairs)
    angles = torch.arange(x.shape[-2], **float64)[:, None, None] * speeds
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    dim = -1 if interleaved else -2
    shape = (heads, pairs, 2) if interleaved else (heads, 2, pairs)
    first, second = x.unflatten(-1, shape).unbind(dim)
    turned = [first * cos - second * sin, second * cos + first * sin]
    return torch.stack(turned, dim=dim).flatten(-3)
'''

_WINDOW_MASK = '''\
def _window_mask(
    x: Tensor,
    window: int,
    rows: tuple[int, int],
    columns: tuple[int, int],
    apart: float = -100.0,
) -> Tensor:
    """Low scores for pairs in a window that a cyclic shift brought together."""
    row, column = (
        torch.arange(size, device=x.device) >= size - shift
        for size, shift in (rows, columns)
    )
    region = (row[:, None] * 2 + column).unflatten(1, (-1, window))
    region = region.unflatten(0, (-1, window)).transpose(1, 2).flatten(2).flatten(0, 1)
    mixed = region[:, :, None] != region[:, None, :]
    return torch.zeros_like(mixed, dtype=x.dtype).masked_fill(mixed, apart)
'''

_FUNCTIONS = {
    "_attend": _ATTEND,
    "_flat": _FLAT,
    "_hide": _HIDE,
    "_relative_coords": _RELATIVE_COORDS,
    "_relative_index": _RELATIVE_INDEX,
    "_rotate": _ROTATE,
    "_window_mask": _WINDOW_MASK,
}
"""Name -> definition. No layer's name starts with an underscore in generated source."""


def functions_called(body: str) -> list[str]:
    """Definitions of the functions that this source calls, in the order of their names."""
    return [text for name, text in sorted(_FUNCTIONS.items()) if re.search(rf"\b{name}\(", body)]
