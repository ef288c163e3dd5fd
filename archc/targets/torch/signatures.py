"""What generated code knows of torch: argument names, functional forms, names that are taken."""

from __future__ import annotations

_CONV = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups")
_POOL = ("kernel_size", "stride", "padding")
_SPATIAL = (1, 2, 3)

POSITIONAL: dict[str, tuple[str, ...]] = {
    **{f"nn.Conv{n}d": _CONV for n in _SPATIAL},
    **{f"nn.ConvTranspose{n}d": _CONV[:5] for n in _SPATIAL},
    **{f"nn.{kind}Pool{n}d": _POOL for kind in ("Max", "Avg") for n in _SPATIAL},
    **{f"nn.Adaptive{kind}Pool{n}d": ("output_size",) for kind in ("Max", "Avg") for n in _SPATIAL},
    **{f"nn.{kind}Norm{n}d": ("num_features",) for kind in ("Batch", "Instance") for n in _SPATIAL},
    **{f"nn.Dropout{n}": ("p",) for n in ("", "1d", "2d", "3d")},
    "nn.Linear": ("in_features", "out_features"),
    "nn.Embedding": ("num_embeddings", "embedding_dim"),
    **{f"nn.{kind}": ("input_size", "hidden_size") for kind in ("LSTM", "GRU", "RNN")},
    "nn.LayerNorm": ("normalized_shape",),
    "nn.RMSNorm": ("normalized_shape",),
    "nn.GroupNorm": ("num_groups", "num_channels"),
    "nn.LocalResponseNorm": ("size",),
    "nn.PReLU": ("num_parameters",),
    "nn.Flatten": ("start_dim", "end_dim"),
    "nn.Unflatten": ("dim", "unflattened_size"),
}
"""Names of the positional arguments of torch's modules."""

CHANNELS = frozenset(
    {
        "in_channels",
        "out_channels",
        "in_features",
        "out_features",
        "num_features",
        "num_channels",
        "embedding_dim",
        "input_size",
        "hidden_size",
        "normalized_shape",
        "groups",
    }
)
"""Arguments that count features: equal ones may come from one parameter."""

_CONV_LITERALS = "{stride}, {padding}, {dilation}, {groups}"

FUNCTIONAL: dict[str, tuple[str, tuple[str, ...]]] = {
    "nn.Linear": ("F.linear({0}, {weight}, {bias})", ()),
    "nn.Embedding": ("F.embedding({0}, {weight}, {padding_idx})", ("padding_idx",)),
    "nn.LayerNorm": ("F.layer_norm({0}, ({normalized_shape},), {weight}, {bias}, {eps})", ("eps",)),
    **{
        f"nn.Conv{n}d": (
            f"F.conv{n}d({{0}}, {{weight}}, {{bias}}, {_CONV_LITERALS})",
            ("stride", "padding", "dilation", "groups"),
        )
        for n in _SPATIAL
    },
}
"""A module's call as a function of its tensors, with the literals it reads: needed where a tensor
is not kept under the layer's own name, or is shared."""

_TAKEN = """
    T_destination add_module append apply bfloat16 buffers call_super_init children clear compile
    cpu cuda double dump_patches eval extend extra_repr float forward get_buffer get_extra_state
    get_parameter get_submodule half insert ipu items keys load_state_dict modules mtia
    named_buffers named_children named_modules named_parameters parameters pop
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_full_backward_hook register_full_backward_pre_hook register_load_state_dict_post_hook
    register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state
    set_submodule share_memory state_dict to to_empty train type update values xpu
    zero_grad
"""
TAKEN = frozenset(_TAKEN.split())
"""Public attributes of nn.Module, nn.Sequential and nn.ModuleDict: no child can be set by these
names."""

_KEPT = """
_backward_hooks _backward_pre_hooks _buffers _compiled_call_impl _forward_hooks
_forward_hooks_always_called _forward_hooks_with_kwargs _forward_pre_hooks
_forward_pre_hooks_with_kwargs _is_full_backward_hook _load_state_dict_post_hooks
_load_state_dict_pre_hooks _modules _non_persistent_buffers_set _parameters _state_dict_hooks
_state_dict_pre_hooks training
"""
KEPT = frozenset(_KEPT.split())
"""Attributes that nn.Module sets on itself: no child can have these names at all."""
