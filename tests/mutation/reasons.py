"""Mutants that no test can kill, because they change nothing: each with its reason."""

from __future__ import annotations

import re

from tests.mutation.mutate import Mutant

Rule = tuple[str, str]

RULES: list[Rule] = [
    (
        r"strict=True.*strict= ?False",
        "`strict` guards against mistakes; lengths are equal",
    ),
    (r"slots=True.*slots= ?False", "slots only save memory"),
    (r"`@(lru_)?cache\b|maxsize=", "a cache only saves time"),
    (
        r"ops/(batchnorm|conv|embedding|groupnorm|images|layernorm|linear|lrn|param|parts|recurrent"
        r"|regularise)\.py: \w+\.(reach|cost): .*(inputs|outputs)\[ -1\]",
        "the op has one input and one result, of which -1 is the same as 0",
    ),
    (
        r"join\.py: Concat\.(reach|explain): .*(inputs|xs)\[ -1\]",
        "all inputs of `concat` have one rank, by which the axis is counted",
    ),
    (
        r"struct\.(un)?pack.*\)\[ -1\]|\(m\[ -1\], k\) for m|isinstance\(m(onomial)?\[ -1\]"
        r"|= alone\[ -1\]|:= floors\[ -1\]",
        "what is indexed holds one element, of which -1 is the same as 0",
    ),
    (
        r"types/symbolic/.*\b(coefficient|k) < 0 .*-> .*\b\1 (< 1|<= 0) "
        r"|types/symbolic/.*\bk > 0.*-> .*\bk >= 0",
        "coefficients are integers other than zero",
    ),
    (
        r"proofs\.py: _samples: .*(`for start, stride|start - index)"
        r"|proofs\.py: module: `_SAMPLES = (?!.*\( 0)",
        "a counterexample only saves a proof that would fail; which sizes are tried is a choice",
    ),
    (
        r"expr\.py: Expr\.__mul__: .*other > (1|-1) else",
        "a product by 1 or 0 leaves nothing to fold",
    ),
    (r"expr\.py: Expr\.__neg__", "dividing by -1 negates, too"),
    (
        r"intervals\.py: _quotient_bounds: .*(max\(near or 1, 0\)|low < -1|low <= 0)",
        "divisors are 1 or more, and 0 and -1 divided by any of them are 0 and -1",
    ),
    (
        r"proofs\.py: _ways: .*\(step, low\) == \(1, 0\)",
        "sizes are 1 or more, and `H` put for `H` only costs time",
    ),
    (
        r"floors\.py: _may_be_bounded: .*coefficient >= 0",
        "a guard that spares the search for bounds; searching finds none",
    ),
    (
        r"residues\.py: _cost: .*sum\( 2 for",
        "twice a count orders as the count does",
    ),
    (
        r"pool\.py: (AvgPool\._demand_volume: .*w\.kernel - padding >= 1"
        r"|MaxPool\.infer: .*w\.dilation > 0 and)",
        "what is demanded then, a size of 1 or more, every size is",
    ),
    (
        r"join\.py: (_listing: .*len\(shapes\) > 0|_demand_arithmetic: .*xs\[ (1|-1)\]"
        r"|Concat\.infer: .*return xs\[ 1\])",
        "joins have two inputs or more, whose dtypes are equal by then",
    ),
    (r"join\.py: _remedies: .*first\.rank < 2", "of two axes no suggestion is made either way"),
    (
        r"attention\.py: Attention\._sizes: .*main\[ 2\]",
        "keys and values are demanded to be of one length",
    ),
    (
        r"operators\.py: _power: .*exponent (> 64|> 62|>= 63)",
        "such a power does not fit into 64 bits, and is refused as that otherwise",
    ),
    (
        r"read_blocks\.py: BlockReader\._body: .*heads\[ -1\]",
        "more than one head is refused before",
    ),
    (r"functions\.py: _isqrt: .*operand= -1", "of one argument -1 is the same as 0"),
    (r"files\.py: _read_\w+: .*max_size \+ 2", "one more byte is read, and is one too many"),
    (
        r"resize\.py: module: `MAX_DENOMINATOR = 1024` -> .*1025",
        "denominators of floats are powers of two",
    ),
]
"""A pattern for what a mutant is printed as, and the reason why it is no fault."""


def why(mutant: Mutant) -> str:
    """Why a mutant changes nothing, or an empty string."""
    text = f"{mutant.operator} {mutant}"
    return next((reason for pattern, reason in RULES if re.search(pattern, text)), "")
