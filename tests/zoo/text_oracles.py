"""The text networks of the zoo as plain torch modules, written after the papers and Hugging Face.

Nothing here comes from archc. Names of modules are those of Hugging Face Transformers, so that the
keys of a `state_dict` are, too.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn


def _heads(x: Tensor, heads: int) -> Tensor:
    return x.view(*x.shape[:2], heads, -1).transpose(1, 2)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Softmax attention, [N, heads, T, features] each; `mask` is added to the scores."""
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores + mask
    mixed = torch.softmax(scores, dim=-1) @ value
    return mixed.transpose(1, 2).flatten(2)


def _causal(x: Tensor) -> Tensor:
    length = x.shape[1]
    return torch.full((length, length), -math.inf, dtype=x.dtype).triu(1)


# -- BERT -------------------------------------------------------------------------------------


class BertEmbeddings(nn.Module):
    def __init__(self, vocab: int, length: int, types: int, width: int) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(vocab, width, padding_idx=0)
        self.position_embeddings = nn.Embedding(length, width)
        self.token_type_embeddings = nn.Embedding(types, width)
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, ids: Tensor, types: Tensor) -> Tensor:
        x = self.word_embeddings(ids) + self.token_type_embeddings(types)
        return self.LayerNorm(x + self.position_embeddings(torch.arange(ids.shape[1])))


class BertSelfAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        parts = (_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        return _attend(*parts, mask)


class BertOutput(nn.Module):
    def __init__(self, entering: int, width: int) -> None:
        super().__init__()
        self.dense = nn.Linear(entering, width)
        self.LayerNorm = nn.LayerNorm(width, eps=1e-12)

    def forward(self, x: Tensor, residual: Tensor) -> Tensor:
        return self.LayerNorm(self.dense(x) + residual)


class BertLayer(nn.Module):
    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.attention = nn.ModuleDict()
        self.attention["self"] = BertSelfAttention(width, heads)
        self.attention["output"] = BertOutput(width, width)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, hidden)})
        self.output = BertOutput(hidden, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        x = self.attention["output"](self.attention["self"](x, mask), x)
        return self.output(F.gelu(self.intermediate["dense"](x)), x)


class BertModel(nn.Module):
    def __init__(
        self, vocab: int, length: int, types: int, width: int, depth: int, heads: int, hidden: int
    ) -> None:
        super().__init__()
        self.embeddings = BertEmbeddings(vocab, length, types, width)
        layers = nn.ModuleList(BertLayer(width, heads, hidden) for _ in range(depth))
        self.encoder = nn.ModuleDict({"layer": layers})
        self.pooler = nn.ModuleDict({"dense": nn.Linear(width, width)})

    def forward(self, ids: Tensor, visible: Tensor, types: Tensor) -> dict[str, Tensor]:
        x = self.embeddings(ids, types)
        mask = (1.0 - visible.to(x.dtype))[:, None, None, :] * torch.finfo(x.dtype).min
        for layer in self.encoder["layer"]:
            x = layer(x, mask)
        pooled = torch.tanh(self.pooler["dense"](x[:, 0]))
        return {"last_hidden_state": x, "pooler_output": pooled}


class Bert(nn.Module):
    def __init__(self, **sizes: int) -> None:
        super().__init__()
        self.bert = BertModel(**sizes)

    def forward(self, ids: Tensor, visible: Tensor, types: Tensor) -> dict[str, Tensor]:
        return self.bert(ids, visible, types)


# -- GPT-2 ------------------------------------------------------------------------------------


class Conv1D(nn.Module):
    """A linear layer whose weight lies as [in, out]."""

    def __init__(self, entering: int, out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(entering, out).normal_(std=0.02))
        self.bias = nn.Parameter(torch.zeros(out))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight + self.bias


class GptAttention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn = Conv1D(width, 3 * width)
        self.c_proj = Conv1D(width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.c_attn(x).split(x.shape[-1], dim=2)
        return self.c_proj(_attend(*(_heads(part, self.heads) for part in parts), _causal(x)))


class GptBlock(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.ln_1 = nn.LayerNorm(width)
        self.attn = GptAttention(width, heads)
        self.ln_2 = nn.LayerNorm(width)
        self.mlp = nn.ModuleDict(
            {"c_fc": Conv1D(width, 4 * width), "c_proj": Conv1D(4 * width, width)}
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        x_ = self.mlp["c_fc"](self.ln_2(x))
        # The "new" GELU of the original code.
        x_ = 0.5 * x_ * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x_ + 0.044715 * x_**3)))
        return x + self.mlp["c_proj"](x_)


class Gpt2(nn.Module):
    def __init__(self, vocab: int, length: int, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.transformer = nn.ModuleDict(
            {
                "wte": nn.Embedding(vocab, width),
                "wpe": nn.Embedding(length, width),
                "h": nn.ModuleList(GptBlock(width, heads) for _ in range(depth)),
                "ln_f": nn.LayerNorm(width),
            }
        )
        self.lm_head = nn.Linear(width, vocab, bias=False)
        self.lm_head.weight = self.transformer["wte"].weight

    def forward(self, ids: Tensor) -> Tensor:
        parts = self.transformer
        x = parts["wte"](ids) + parts["wpe"](torch.arange(ids.shape[1]))
        for block in parts["h"]:
            x = block(x)
        return self.lm_head(parts["ln_f"](x))


# -- Llama ------------------------------------------------------------------------------------


class RmsNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps))


def _rotated(x: Tensor, theta: float) -> Tensor:
    """[N, heads, T, features] turned, in the dtype of x throughout."""
    size = x.shape[-1]
    speeds = 1.0 / theta ** (torch.arange(0, size, 2).to(x.dtype) / size)
    angles = torch.outer(torch.arange(x.shape[2]).to(x.dtype), speeds)
    angles = torch.cat((angles, angles), dim=-1)
    left, right = x[..., : size // 2], x[..., size // 2 :]
    return x * angles.cos() + torch.cat((-right, left), dim=-1) * angles.sin()


class LlamaAttention(nn.Module):
    def __init__(self, width: int, heads: int, kv_heads: int, theta: float) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.theta = heads, kv_heads, theta
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, width // heads * kv_heads, bias=False)
        self.v_proj = nn.Linear(width, width // heads * kv_heads, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        query = _rotated(_heads(self.q_proj(x), self.heads), self.theta)
        key = _rotated(_heads(self.k_proj(x), self.kv_heads), self.theta)
        value = _heads(self.v_proj(x), self.kv_heads)
        share = self.heads // self.kv_heads
        key, value = (part.repeat_interleave(share, dim=1) for part in (key, value))
        return self.o_proj(_attend(query, key, value, _causal(x)))


class LlamaMlp(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(width, hidden, bias=False)
        self.up_proj = nn.Linear(width, hidden, bias=False)
        self.down_proj = nn.Linear(hidden, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class LlamaLayer(nn.Module):
    def __init__(
        self, width: int, hidden: int, heads: int, kv_heads: int, theta: float, eps: float
    ) -> None:
        super().__init__()
        self.input_layernorm = RmsNorm(width, eps)
        self.self_attn = LlamaAttention(width, heads, kv_heads, theta)
        self.post_attention_layernorm = RmsNorm(width, eps)
        self.mlp = LlamaMlp(width, hidden)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    def __init__(
        self,
        vocab: int,
        width: int,
        hidden: int,
        depth: int,
        heads: int,
        kv_heads: int,
        theta: float = 10000.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        layer = (width, hidden, heads, kv_heads, theta, eps)
        self.model = nn.ModuleDict(
            {
                "embed_tokens": nn.Embedding(vocab, width),
                "layers": nn.ModuleList(LlamaLayer(*layer) for _ in range(depth)),
                "norm": RmsNorm(width, eps),
            }
        )
        self.lm_head = nn.Linear(width, vocab, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.model["embed_tokens"](ids)
        for layer in self.model["layers"]:
            x = layer(x)
        return self.lm_head(self.model["norm"](x))


# -- a tagger ---------------------------------------------------------------------------------


class Tagger(nn.Module):
    def __init__(self, vocab: int, tags: int, width: int, hidden: int, depth: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab, width, padding_idx=0)
        self.lstm = nn.LSTM(width, hidden, depth, batch_first=True, bidirectional=True)
        self.output = nn.Linear(2 * hidden, tags)

    def forward(self, tokens: Tensor) -> Tensor:
        sequence, _ = self.lstm(self.embedding(tokens))
        return self.output(sequence)
