"""The typed graph: nodes in dataflow order, each with its path, span and exact types."""

from archc.graph.graph import Graph, Node, Scope, Value, WeightRef

__all__ = ["Graph", "Node", "Scope", "Value", "WeightRef"]
