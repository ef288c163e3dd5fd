"""Expressions of the language: a bounded subset of Python over `ast`, never `eval`."""

from archc.spec.expressions.evaluator import Scope
from archc.spec.expressions.expression import (
    Expression,
    ExpressionError,
    Unknown,
    parse_expression,
)
from archc.spec.expressions.functions import FUNCTIONS
from archc.spec.expressions.loops import ForHeader, parse_for
from archc.spec.expressions.templates import Template, parse_template

__all__ = [
    "FUNCTIONS",
    "Expression",
    "ExpressionError",
    "ForHeader",
    "Scope",
    "Template",
    "Unknown",
    "parse_expression",
    "parse_for",
    "parse_template",
]
