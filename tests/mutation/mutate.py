"""Mutants of source text: cosmic-ray's operators, applied in memory."""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

ROOT = Path(__file__).parents[2]
PACKAGES = ("spec", "types", "ops")

# Of each operator the nearest others. The tool knows many more replacements, of `+` by `>>` for
# one, which fail on the first call and tell nothing.
KEPT = re.compile(
    r"ReplaceBinaryOperator_(Add_Sub|Sub_Add|Mul_FloorDiv|FloorDiv_Mul|Div_Mul|Mod_FloorDiv"
    r"|Pow_Mul|BitAnd_BitOr|BitOr_BitAnd)"
    r"|ReplaceComparisonOperator_(Eq_NotEq|NotEq_Eq|Lt_LtE|Lt_GtE|LtE_Lt|LtE_Gt|Gt_GtE|Gt_LtE"
    r"|GtE_Gt|GtE_Lt|Is_IsNot|IsNot_Is)"
    r"|ReplaceUnaryOperator_(USub_UAdd|Delete_Not)|AddNot|NumberReplacer|RemoveDecorator"
    r"|ReplaceTrueWithFalse|ReplaceFalseWithTrue|ReplaceAndWithOr|ReplaceOrWithAnd"
    r"|ReplaceBreakWithContinue|ReplaceContinueWithBreak|ExceptionReplacer|ZeroIterationForLoop"
)
EMITTERS = ("TorchEmitter", "OnnxEmitter")


@dataclass(frozen=True)
class Mutant:
    """One change of one place.

    Attributes:
        module: the file, from the root of the repository.
        operator: cosmic-ray's name of the change.
        occurrence: which of the places in the file that the operator changes.
        inside: qualified name of the function whose body holds the place, "" where none does, and
            the change shows when the module is imported.
        line: where the place is, 1-based.
        before: the line of the place.
        after: what becomes of it.
    """

    module: str
    operator: str
    occurrence: int
    inside: str
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        where = f"{self.module.removeprefix('archc/')}: {self.inside or 'module'}"
        return f"{where}: `{self.before}` -> `{self.after}`"

    @property
    def package(self) -> str:
        return self.module.split("/")[1]

    def text(self) -> str:
        """The whole file with the change."""
        text = (ROOT / self.module).read_text("utf-8")
        return _changed(text, f"core/{self.operator}", self.occurrence)


def _changed(text: str, operator: str, occurrence: int) -> str:
    changed = mutate_code(text, get_operator(operator)(), occurrence)
    assert changed is not None
    return changed


def sampled(count: int, seed: int) -> tuple[list[Mutant], int]:
    """A sample, each mutant as likely as any other; so is that of its first ones.

    Args:
        count: how many, at most.
        seed: of the draw.

    Returns:
        The mutants, and from how many places they were drawn.
    """
    every = [spot for module in modules() for spot in _spots(module)]
    drawn = random.Random(seed).sample(every, len(every))
    made = (mutant for spot in drawn if (mutant := spot.mutant()))
    return list(islice(made, count)), len(every)


def modules() -> list[str]:
    """The files that are mutated, from the root of the repository."""
    found = [path for name in PACKAGES for path in (ROOT / "archc" / name).rglob("*.py")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


@dataclass(frozen=True)
class _Spot:
    """A place that an operator changes."""

    module: str
    operator: str
    occurrence: int
    inside: str
    line: int

    def mutant(self) -> Mutant | None:
        """The change, or None where the result is no Python or the same program."""
        text = (ROOT / self.module).read_text("utf-8")
        changed = _changed(text, self.operator, self.occurrence)
        try:
            if compile(changed, "", "exec") == compile(text, "", "exec"):
                return None
        except SyntaxError:
            return None
        name = self.operator.removeprefix("core/")
        both = zip(text.splitlines(), changed.splitlines(), strict=False)
        line, before, after = next((n, a, b) for n, (a, b) in enumerate(both, 1) if a != b)
        if name == "RemoveDecorator":
            line, before, after = self.line, text.splitlines()[self.line - 1], ""
        return Mutant(
            self.module, name, self.occurrence, self.inside, line, before.strip(), after.strip()
        )


def _spots(module: str) -> Iterator[_Spot]:
    """All places of a file, but for those of which no caller, or other tests, can tell.

    Left out are annotations, which are never evaluated, and the lowerings: functions that are
    handed an emitter, into which `tests/mutants/` puts faults of its own.
    """
    text = (ROOT / module).read_text("utf-8")
    tree, places = get_ast(text), _Places(ast.parse(text))
    for name in sorted(operator_names()):
        if not KEPT.fullmatch(name.removeprefix("core/")):
            continue
        operator = get_operator(name)()
        found = [at for node in ast_nodes(tree) for at in operator.mutation_positions(node)]
        for occurrence, (start, _) in enumerate(found):
            if not places.skipped(start):
                yield _Spot(module, name, occurrence, places.function(start), start[0])


class _Places:
    """What of a file lies where."""

    def __init__(self, tree: ast.Module) -> None:
        self._skipped: list[ast.AST] = []
        self._bodies: list[tuple[str, ast.AST, ast.AST]] = []
        self._walk(tree, "")

    def _walk(self, node: ast.AST, prefix: str) -> None:
        for child in ast.iter_child_nodes(node):
            inner = prefix
            if isinstance(child, ast.AnnAssign | ast.arg) and child.annotation:
                self._skipped.append(child.annotation)
            if isinstance(child, ast.FunctionDef):
                self._function(child, prefix)
                inner = f"{prefix}{child.name}.<locals>."
            elif isinstance(child, ast.ClassDef):
                inner = f"{prefix}{child.name}."
            self._walk(child, inner)

    def _function(self, node: ast.FunctionDef, prefix: str) -> None:
        if node.returns:
            self._skipped.append(node.returns)
        given = [ast.unparse(arg.annotation) for arg in node.args.args if arg.annotation]
        if any(emitter in given for emitter in EMITTERS):
            self._skipped.append(node)
        self._bodies.append((f"{prefix}{node.name}", node.body[0], node.body[-1]))

    def skipped(self, at: tuple[int, int]) -> bool:
        return any(_within(at, node, node) for node in self._skipped)

    def function(self, at: tuple[int, int]) -> str:
        """The outermost function whose body holds a place."""
        names = [name for name, first, last in self._bodies if _within(at, first, last)]
        return names[0] if names else ""


def _within(at: tuple[int, int], first: ast.AST, last: ast.AST) -> bool:
    start = (first.lineno, first.col_offset)
    return start <= at < (last.end_lineno, last.end_col_offset)
