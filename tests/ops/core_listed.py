"""One case or more for every activation, norm, shape op and join, so that none depends on luck.

Letters are symbolic sizes.
"""

from __future__ import annotations

from typing import Any

SIZES = {"N": 2, "C": 6, "H": 8, "W": 6, "T": 5, "K": 3}
Shape = tuple[int | str, ...]
Listed = tuple[str, dict[str, Any], tuple[Shape, ...]]

IMAGE: Shape = ("N", 6, "H", "W")
TEXT: Shape = ("N", "T", 12)

_POINTWISE: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ("relu", "relu6", "hardswish", "hardsigmoid", "sigmoid", "silu")),
    *((name, {}) for name in ("tanh", "softsign", "selu", "mish", "identity", "dropout")),
    *((name, {}) for name in ("leaky_relu", "prelu", "hardtanh", "elu", "celu", "gelu")),
    *((name, {}) for name in ("softplus", "softmax", "log_softmax")),
    ("drop_path", {"p": 0.3}),
    ("dropout", {"p": 1.0}),
    ("leaky_relu", {"slope": 0.3}),
    ("prelu", {"per_channel": True}),
    ("hardtanh", {"min": -0.5, "max": 2}),
    ("elu", {"alpha": 0.3}),
    ("celu", {"alpha": 0.3}),
    ("gelu", {"approximate": "tanh"}),
    ("softplus", {"beta": 2.5}),
    ("softplus", {"threshold": 1.0}),
    ("softplus", {"beta": 0.5, "threshold": 1.0}),
    ("softmax", {"dim": 1}),
    ("log_softmax", {"dim": -2}),
]

LISTED: list[Listed] = [
    *((name, attributes, (IMAGE,)) for name, attributes in _POINTWISE),
    ("prelu", {"per_channel": True}, (("N", 6),)),
    *(
        ("batchnorm", attributes, (shape,))
        for attributes in ({}, {"eps": 0.1, "affine": False}, {"track_running_stats": False})
        for shape in (("N", 6), ("N", 6, "T"), IMAGE, ("N", 6, "K", "K", "K"))
    ),
    ("batchnorm", {"track_running_stats": False, "affine": False}, (IMAGE,)),
    ("batchnorm", {"momentum": None}, (IMAGE,)),
    ("layernorm", {}, (TEXT,)),
    ("layernorm", {"axes": 2, "eps": 0.1}, (("N", 6, 4),)),
    ("layernorm", {"bias": False}, (TEXT,)),
    ("layernorm", {"affine": False, "axes": 2}, (("N", 6, 4),)),
    ("layernorm2d", {}, (IMAGE,)),
    ("layernorm2d", {"eps": 0.1}, (IMAGE,)),
    ("rmsnorm", {}, (TEXT,)),
    ("rmsnorm", {"eps": 0.1, "axes": 2}, (("N", 6, 4),)),
    ("rmsnorm", {"affine": False}, (TEXT,)),
    ("groupnorm", {"groups": 3}, (IMAGE,)),
    ("groupnorm", {"groups": 2, "affine": False, "eps": 0.1}, (("N", 8),)),
    ("groupnorm", {"groups": 6}, (("N", 6, "T"),)),
    ("instancenorm", {}, (IMAGE,)),
    ("instancenorm", {"affine": True, "eps": 0.1}, (("N", 6, "T"),)),
    ("instancenorm", {}, (("N", 6, "K", "K", "K"),)),
    *(
        ("lrn", {"size": size, "alpha": 0.7, "k": 0.9, "beta": 0.6}, (shape,))
        for size in (1, 2, 3, 4, 5, 9)
        for shape in (IMAGE, ("N", "C", "T"), ("N", 6, "K", "K", "K"))
    ),
    ("lrn", {"size": 5}, (IMAGE,)),
    ("flatten", {}, (IMAGE,)),
    ("flatten", {}, (("N", 6, 4, 4),)),
    ("flatten", {"start": 2}, (IMAGE,)),
    ("flatten", {"start": 1, "end": 2}, (IMAGE,)),
    ("flatten", {"start": 0, "end": -2}, (IMAGE,)),
    ("flatten", {}, (("N", "T"),)),
    ("reshape", {"shape": [-1]}, (IMAGE,)),
    ("reshape", {"shape": [2, 3, -1]}, (IMAGE,)),
    ("reshape", {"shape": [2, 12]}, ((4, 6),)),
    ("reshape", {"shape": [4, -1]}, ((4, 6),)),
    ("permute", {"dims": [0, 2, 3, 1]}, (IMAGE,)),
    ("permute", {"dims": [-1, 0, 1, -2]}, (IMAGE,)),
    ("permute", {"dims": [0, 1]}, (("N", "T"),)),
    ("transpose", {"dims": [1, 2]}, (TEXT,)),
    ("transpose", {"dims": [-1, 0]}, (IMAGE,)),
    ("transpose", {"dims": [1, -2]}, (TEXT,)),
    ("squeeze", {"dim": 1}, (("N", 1, "T"),)),
    ("squeeze", {"dim": -1}, (("N", "T", 1),)),
    ("unsqueeze", {"dim": 1}, (TEXT,)),
    ("unsqueeze", {"dim": -1}, (TEXT,)),
    ("select", {"index": 0}, (TEXT,)),
    ("select", {"index": -2, "dim": 0}, (TEXT,)),
    ("select", {"index": 11, "dim": -1}, (TEXT,)),
    ("slice", {"stop": 3}, (TEXT,)),
    ("slice", {"start": -2}, (TEXT,)),
    ("slice", {"start": 1, "stop": -2, "dim": -1}, (TEXT,)),
    ("slice", {"start": 2, "step": 3, "dim": 2}, (TEXT,)),
    ("slice", {"step": 2}, (TEXT,)),
    ("split", {"sizes": [4, 5, 3], "dim": -1}, (TEXT,)),
    ("split", {"sizes": [5], "dim": 1}, (TEXT,)),
    ("chunk", {"chunks": 3}, (IMAGE,)),
    ("chunk", {"chunks": 2, "dim": -1}, (TEXT,)),
    ("chunk", {"chunks": 1}, (IMAGE,)),
    *(
        ("rearrange", {"pattern": pattern, **sizes}, (shape,))
        for pattern, sizes, shape in (
            ("b (g c) h w -> b (c g) h w", {"g": 2}, IMAGE),
            ("b c h w -> b (h w) c", {}, IMAGE),
            ("b c h w -> b h w c", {}, IMAGE),
            ("b (h y) (w x) c -> b h w (x y c)", {"x": 2, "y": 2}, ("N", "H", "W", 3)),
            ("b (h y) (w x) c -> (b h w) (y x) c", {"x": 3, "y": 4}, ("N", "H", "W", 3)),
            ("(q k) h -> h q k", {"q": 4}, (12, 3)),
            ("b t (p h d) -> p b h t d", {"p": 3, "h": 2}, TEXT),
            ("b c 1 w -> (b w) c", {}, ("N", 6, 1, "W")),
            ("b c -> b c 1 1", {}, ("N", 6)),
            ("b ... c -> b c (...)", {}, ("N", "H", "W", 3)),
            ("... (c k) -> k ... c", {"k": 3}, IMAGE),
            ("b c -> b c", {}, ("N", 6)),
            ("b t c -> b (t c)", {}, TEXT),
            ("b (t c) -> b t c", {"c": 3}, ("N", 12)),
        )
    ),
    ("add", {}, (IMAGE, IMAGE)),
    ("add", {}, (IMAGE, IMAGE, IMAGE, IMAGE)),
    ("sub", {}, (IMAGE, IMAGE)),
    ("mul", {}, (IMAGE, IMAGE)),
    ("mul", {}, (("N", 6, 1, 1), IMAGE)),
    ("mul", {}, (("N", 6, 1, "W"), ("N", 1, "H", 1), ("N", 6, 1, 1))),
    ("concat", {}, (IMAGE, ("N", 3, "H", "W"))),
    ("concat", {"dim": -1}, (TEXT, TEXT, ("N", "T", 1))),
    ("concat", {"dim": 0}, (TEXT, ("K", "T", 12))),
]
