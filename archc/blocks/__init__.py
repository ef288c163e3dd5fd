"""Blocks that ship with archc: ordinary blocks, written in the language (`standard.yaml`)."""
