"""Codes about weights that are read from files."""

from __future__ import annotations

from archc.diagnostics.codes.code import entry

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
