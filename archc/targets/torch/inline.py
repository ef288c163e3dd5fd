"""Sums written where they are used: `self.relu(x + identity)`."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

from archc.targets.torch.code import Apply, Body, Invoke, Name, Statement, Var, values_of

SUM = re.compile(r"\{0\}( \+ \{\d+\})+")


def is_sum(statement: Statement) -> bool:
    """Whether a statement adds values."""
    expr = statement.expr
    return isinstance(expr, Apply) and SUM.fullmatch(expr.template) is not None


def inline_sums(body: Body) -> Body:
    """Put each sum that only the next statement reads, as its argument, into that statement."""
    readers = Counter(body.outputs)
    for statement in body.statements:
        readers.update(values_of(statement.expr))
    kept: list[Statement] = []
    for statement in body.statements:
        last = kept[-1] if kept else None
        if last is not None and is_sum(last) and _takes(statement, last, readers):
            assert isinstance(statement.expr, Invoke)
            kept[-1] = replace(statement, expr=replace(statement.expr, operands=(last.expr,)))
        else:
            kept.append(statement)
    return replace(body, statements=tuple(kept))


def _takes(statement: Statement, last: Statement, readers: Counter[str]) -> bool:
    """Whether the sum is all that a call is given, and nobody else reads it."""
    always = not any(isinstance(s.present.value, Name) or s.training for s in (statement, last))
    expr = statement.expr
    given = isinstance(expr, Invoke) and expr.operands == (Var(last.outputs[0]),)
    return always and given and readers[last.outputs[0]] == 1
