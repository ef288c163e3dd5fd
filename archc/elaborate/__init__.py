"""Elaboration: from a spec to a typed graph, in one pass in dataflow order.

Expansion and shape inference are one pass because expressions may ask for the sizes of the
tensor that enters a layer (`in_channels`); see docs/decisions.
"""

from archc.elaborate.program import Choice, Sources, declared_inputs, elaborate

__all__ = ["Choice", "Sources", "declared_inputs", "elaborate"]
