"""The language: text to a tree with places, the tree to a spec; expressions. Pure syntax."""
