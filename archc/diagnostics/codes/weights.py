"""Codes about weights that are read from files."""

from __future__ import annotations

from archc.diagnostics.codes.code import entry, spec
from archc.diagnostics.diagnostic import Severity

WEIGHTS = (
    entry(
        "weights-missing",
        "The checkpoint lacks weights that the network needs",
        """
        Every weight of the network is looked up by its full name. Missing ones are not drawn at
        random in silence. The checkpoint may belong to another variant, or its names may have a
        prefix.
        """,
        needs="a checkpoint of another network",
    ),
    entry(
        "weights-unexpected",
        "The checkpoint holds weights that the network does not have",
        """
        Weights that find no place usually mean that the spec is not the network the checkpoint
        was trained as: a layer is missing, or named otherwise.
        """,
        needs="a checkpoint of another network",
    ),
    entry(
        "weights-mismatch",
        "A weight of the checkpoint has another shape or dtype",
        """
        The name fits but the tensor does not. A different number of classes is the usual cause:
        `--set num_classes=...` makes the last layer fit the checkpoint.
        """,
        needs="a checkpoint with another number of classes",
    ),
    entry(
        "weights-drawn",
        "Weights that the checkpoint does not give are drawn",
        """
        `--allow-missing` names weights that the checkpoint may lack, or hold in another shape (the
        head of a network that is to learn other classes). They are drawn as the spec declares;
        this note lists them, so that nothing happens in silence.
        """,
        severity=Severity.NOTE,
        needs="`--allow-missing` and a checkpoint that lacks something",
    ),
    entry(
        "unmatched-pattern",
        "A pattern of weights matches nothing",
        """
        A pattern of `--allow-missing` has to match a weight of the network, and one of
        `--ignore-unexpected` a tensor of the checkpoint: otherwise it is misspelt. In a pattern
        `*` is any text, `?` any character.
        """,
        needs="`--allow-missing` with a pattern that no weight has",
    ),
    entry(
        "bad-rename",
        "A rule under `checkpoint: rename` is none",
        """
        A rule gives tensors of a checkpoint the keys of the network. Its pattern is matched level
        by level: `*` is any text within a level, once in each, and `**` any number of levels, once
        in all. The new key holds as many `*` and `**` as the pattern.
        """,
        bad=spec(
            """
            layers: {norm1: layernorm}
            checkpoint: {rename: {"norm.*.*": "norm*.weight"}}
            """
        ),
        good=spec(
            """
            layers: {norm1: layernorm}
            checkpoint: {rename: {"norm.*.*": "norm*.*"}}
            """
        ),
    ),
    entry(
        "rename-conflict",
        "Rules under `checkpoint: rename` contradict each other",
        """
        A tensor would be given two keys by two rules, or two tensors would be given one key. Which
        of them is meant cannot be known; the pattern has to be narrower.
        """,
        needs="a checkpoint whose keys a rule brings together",
    ),
    entry(
        "overwrites-weights",
        "The output would replace weights that archc did not write",
        """
        `archc build --to torch` writes initial weights beside the source. A file of that name is
        only replaced if it is one that archc wrote and nothing has changed since: trained weights
        would be lost otherwise. `--force` replaces it.
        """,
        needs="a second build over trained weights",
    ),
    entry(
        "weights-overflow",
        "A weight of the checkpoint is too large for the dtype",
        """
        float16 ends at 65504; what is beyond would become infinite. bfloat16 has the range of
        float32 and fewer digits.
        """,
        needs="a checkpoint with a weight beyond 65504",
    ),
    entry(
        "bad-weights-file",
        "The weights file cannot be read",
        """
        The file is cut off, corrupt, or not a checkpoint of tensors. Pickled checkpoints are read
        without running any code in them, so those that hold more than tensors are refused; save
        the `state_dict` alone, best as `.safetensors`.
        """,
        needs="a file that is no checkpoint",
    ),
)
