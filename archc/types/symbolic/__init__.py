"""Exact integer expressions over named sizes; `archc.types.dims` is the public face.

Import order, lowest first: polynomial, intervals, floors, extrema, expr, text, proofs.
"""
