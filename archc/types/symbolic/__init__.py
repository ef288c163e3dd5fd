"""Exact integer expressions over named sizes; `archc.types.dims` is the public face.

Import order, lowest first: polynomial, intervals, residues, extrema, floors, text, expr, proofs.
"""
