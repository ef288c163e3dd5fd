"""Ops, one declaration each; `archc.ops.table` lists them."""
