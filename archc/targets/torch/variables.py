"""Names of the local variables of a forward.

The main value stays in `x`. What has to be kept beside it gets a name of its own: `identity` for
the value that a residual branch is added to, the layer's name for a branch of one layer.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile

from archc.records import dataclass, field
from archc.targets.torch.code import Apply, Body, Invoke, Statement, values_of
from archc.targets.torch.inline import SUM
from archc.targets.torch.naming import unique_name, usable_identifier

MAIN = "x"
_PRODUCT = re.compile(r"\{0\}( \* \{\d+\})+")


@dataclass(frozen=True, slots=True)
class Variables:
    """Names for the values of a forward.

    Attributes:
        inputs: names of the parameters.
        reads: for each statement, value -> variable when it runs.
        writes: for each statement, the variables it assigns.
        before: statement index -> (new, old) assignments to make first.
        results: variables that are returned.
    """

    inputs: tuple[str, ...]
    reads: tuple[dict[str, str], ...]
    writes: tuple[tuple[str, ...], ...]
    before: dict[int, tuple[tuple[str, str], ...]]
    results: tuple[str, ...]


def name_variables(body: Body) -> Variables:
    """Choose the names."""
    return _Namer(body).run()


@dataclass(slots=True)
class _Namer:
    body: Body
    names: dict[str, str] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    readers: dict[str, list[int]] = field(default_factory=dict)
    before: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    meetings: list[_Meeting] = field(default_factory=list)

    def run(self) -> Variables:
        statements = self.body.statements
        for i, statement in enumerate(statements):
            for value in dict.fromkeys(values_of(statement.expr)):
                self.readers.setdefault(value, []).append(i)
                self.last[value] = i
        for value in self.body.outputs:
            self.last[value] = len(statements)
        inputs = self._name_inputs()
        self.meetings = self._meet()
        reads: list[dict[str, str]] = []
        writes: list[tuple[str, ...]] = []
        for i, statement in enumerate(statements):
            held = self._step_aside(i, statement)
            reads.append({**self.names, **held})
            writes.append(self._results(i, statement, held))
            self.names.update(zip(statement.outputs, writes[-1], strict=True))
            for value in values_of(statement.expr):
                if self.last[value] == i:
                    self.names.pop(value, None)
        results = tuple(self.names[value] for value in self.body.outputs)
        before = {i: tuple(pairs) for i, pairs in self.before.items()}
        return Variables(inputs, tuple(reads), tuple(writes), before, results)

    def _name_inputs(self) -> tuple[str, ...]:
        taken: set[str] = set()
        for i, value in enumerate(self.body.inputs):
            hint = self.body.hints[i] if i < len(self.body.hints) else ""
            single = len(self.body.inputs) == 1
            name = MAIN if single else unique_name(usable_identifier(hint, MAIN), taken)
            taken.add(name)
            self.names[value] = name
        return tuple(self.names[value] for value in self.body.inputs)

    # -- one statement --------------------------------------------------------------------

    def _live(self, i: int) -> set[str]:
        """Variables that hold something read after statement `i`."""
        return {name for value, name in self.names.items() if self.last.get(value, -1) > i}

    def _results(self, i: int, statement: Statement, held: dict[str, str]) -> tuple[str, ...]:
        live = self._live(i)
        if len(statement.outputs) > 1:
            return self._several(statement, live)
        output = statement.outputs[0]
        if statement.bypass:
            return (self._result_or_bypass(i, statement, live, held),)
        if statement.training:
            return (unique_name(usable_identifier(statement.hint, "aside"), live),)
        if output not in self.last:
            return ("_",)
        if not statement.types:  # a size, not a tensor
            return (unique_name(usable_identifier(statement.hint), live),)
        return (self._one(i, output, values_of(statement.expr), live),)

    def _several(self, statement: Statement, live: set[str]) -> tuple[str, ...]:
        names: list[str] = []
        for number, output in enumerate(statement.outputs, 1):
            if output in self.last:
                names.append(unique_name(f"x{number}", live | set(names)))
            else:
                names.append("_")
        return tuple(names)

    def _one(self, i: int, output: str, reads: Sequence[str], live: set[str]) -> str:
        meeting = self.meetings[i]
        dying = [self.names[value] for value in reads if self.names[value] not in live]
        if meeting.join is not None and _is_concat(meeting.join):
            name = self._branch(i, reads, [name for name in dying if name != MAIN])
            if name:
                return name if name in dying else unique_name(name, live)
        aside = meeting.aside()
        if aside:
            return aside if aside in dying else unique_name(aside, live)
        if MAIN not in live:
            return MAIN
        return dying[0] if dying else unique_name(self._thread(i).name(), live)

    def _branch(self, i: int, reads: Sequence[str], dying: list[str]) -> str:
        """The name of a value that is to be concatenated; empty if it needs none of its own."""
        if len(reads) > 1:
            shared = _common_prefix([self.names[value] for value in reads])
            return shared if len(shared) > 2 else ""
        starts = bool(reads) and len(self.readers[reads[0]]) > 1
        if starts:
            return self._thread(i).name()
        return dying[0] if dying else ""

    def _result_or_bypass(
        self, i: int, statement: Statement, live: set[str], held: dict[str, str]
    ) -> str:
        """The variable of the value that stands for the result when it is left out."""
        name = held.get(statement.bypass, self.names[statement.bypass])
        if name not in live:
            return name
        name = self._one(i, statement.outputs[0], values_of(statement.expr), live)
        self.before.setdefault(i, []).append((name, self.names[statement.bypass]))
        return name

    # -- residual branches ----------------------------------------------------------------

    def _step_aside(self, i: int, statement: Statement) -> dict[str, str]:
        """Keep a value under the name `identity` before its branch takes its variable.

        Returns:
            The value's old variable, which still holds it for this one statement.
        """
        for value in dict.fromkeys(values_of(statement.expr)):
            name = self.names[value]
            if name == MAIN and self._is_added_back(i, value, statement):
                self.names[value] = unique_name("identity", self._live(i - 1))
                self.before.setdefault(i, []).append((self.names[value], name))
                return {value: name}
        return {}

    def _is_added_back(self, i: int, value: str, statement: Statement) -> bool:
        readers = self.readers.get(value, [])
        if len(readers) != 2 or readers[0] != i or self.last[value] == len(self.body.statements):
            return False
        other = self.body.statements[readers[1]]
        if _adds(other):
            return self._flows_into(i, readers[1])
        after = self.readers.get(other.outputs[0], []) if len(other.outputs) == 1 else []
        return (
            isinstance(other.expr, Invoke)
            and len(after) == 1
            and _adds(self.body.statements[after[0]])
            and self._flows_into(i, after[0])
        )

    def _flows_into(self, i: int, join: int) -> bool:
        """Whether what statement `i` starts arrives at `join` as one unbranched thread."""
        while i < join:
            outputs = self.body.statements[i].outputs
            readers = self.readers.get(outputs[0], []) if len(outputs) == 1 else []
            if len(readers) != 1:
                return False
            i = readers[0]
        return i == join

    # -- threads --------------------------------------------------------------------------

    def _follower(self, i: int) -> int | None:
        """The only statement that reads what statement `i` makes."""
        outputs = self.body.statements[i].outputs
        readers = self.readers.get(outputs[0], []) if len(outputs) == 1 else []
        return readers[0] if len(readers) == 1 and outputs[0] not in self.body.outputs else None

    def _meet(self) -> list[_Meeting]:
        """For each statement where its thread ends, last ones first."""
        statements = self.body.statements
        meetings: list[_Meeting] = [_Meeting(s, None) for s in statements]
        for i in reversed(range(len(statements))):
            follower = self._follower(i)
            if follower is not None:
                joins = len(set(values_of(statements[follower].expr))) > 1
                joined = _Meeting(statements[i], statements[follower])
                meetings[i] = joined if joins else meetings[follower]
        return meetings

    def _thread(self, i: int) -> _Thread:
        """The statements from `i` on, each the only reader of the one before."""
        thread = [self.body.statements[i]]
        while thread[-1] is not self.meetings[i].last:
            follower = self._follower(i)
            assert follower is not None
            i = follower
            thread.append(self.body.statements[i])
        return _Thread(thread, self.meetings[i])


@dataclass(frozen=True, slots=True)
class _Meeting:
    """The end of a thread of statements that hand one value on.

    Attributes:
        last: its last statement.
        join: the statement in which it meets other values, if it does.
    """

    last: Statement
    join: Statement | None

    def aside(self) -> str:
        """The layer's name for what an operator takes besides its main value.

        The bias of an attention, say, which is looked up and rearranged; empty for the main
        value and for what is only added, multiplied or concatenated.
        """
        if self.join is None or _adds(self.join) or _is_concat(self.join):
            return ""
        first = values_of(self.join.expr)[0] == self.last.outputs[0]
        if first or _is(self.join, _PRODUCT) or len(self.last.hint) < 3:
            return ""
        return usable_identifier(self.last.hint)


@dataclass(frozen=True, slots=True)
class _Thread:
    """A thread of statements and where it ends."""

    statements: list[Statement]
    meeting: _Meeting

    def name(self) -> str:
        """What to call its value while another is in `x`."""
        hints = [statement.hint for statement in self.statements]
        join = self.meeting.join
        if join is not None and _is(join, _PRODUCT):
            return "scale"
        common = hints[0] if len(hints) == 1 else _common_prefix(hints)
        if len(common) > 2 and isinstance(self.statements[0].expr, Invoke):
            return usable_identifier(common, "out")
        if hints[-1].startswith("branch"):
            return usable_identifier(hints[-1])
        if join is not None and _is_concat(join):
            order = values_of(join.expr)
            place = order.index(self.meeting.last.outputs[0]) + 1
            return f"branch{place}" if len(order) > 2 else "new"
        if isinstance(self.statements[0].expr, Apply) and len(hints[0]) > 2:
            return self.meeting.aside() or usable_identifier(hints[0])
        return "out"


def _adds(statement: Statement) -> bool:
    """Whether a statement adds values, by itself or for the call that it is."""
    expr = statement.expr
    if isinstance(expr, Invoke) and len(expr.operands) == 1:
        expr = expr.operands[0]
    return isinstance(expr, Apply) and SUM.fullmatch(expr.template) is not None


def _common_prefix(hints: Sequence[str]) -> str:
    """What the names of layers have in common, without a number at its end."""
    shortest = min(hints, key=len)
    agreed = takewhile(lambda i: len({hint[i] for hint in hints}) == 1, range(len(shortest)))
    return re.sub(r"_\d*$", "", shortest[: len(list(agreed))])


def _is_concat(statement: Statement) -> bool:
    expr = statement.expr
    return isinstance(expr, Apply) and expr.template.startswith("torch.cat")


def _is(statement: Statement, pattern: re.Pattern[str]) -> bool:
    expr = statement.expr
    return isinstance(expr, Apply) and pattern.fullmatch(expr.template) is not None
