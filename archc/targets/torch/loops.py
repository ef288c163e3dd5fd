"""Levels of numbered children that run one after the other and take more than the main value."""

from __future__ import annotations

from archc.targets.torch.code import PRESENT, Body, Invoke, Loop, Member, Statement, Var


def as_loop(body: Body) -> Body:
    """The body as a list of modules with a loop, if that is what it does; else itself.

    Every statement must call the next of the children 0, 1, 2 ... with the value that the one
    before made, and with the same further inputs. Without such inputs `nn.Sequential` does.
    """
    if body.base is not None or not body.inputs or not _are_numbered(body.members):
        return body
    flow, *rest = body.inputs
    further = tuple(Var(name) for name in rest)
    if len(body.statements) != len(body.members) or not further:
        return body
    for member, statement in zip(body.members, body.statements, strict=True):
        call = Invoke((member.name,), (Var(flow), *further))
        if not _is_plain(statement) or statement.expr != call:
            return body
        (flow,) = statement.outputs
    if body.outputs != (flow,) or body.ties:
        return body
    return Body(
        body.inputs,
        (),
        (),
        (body.inputs[0],),
        Loop(body.members),
        hints=body.hints,
        types=body.types,
        integers=body.integers,
    )


def _are_numbered(members: tuple[Member, ...]) -> bool:
    names = [member.name for member in members]
    present = all(member.present == PRESENT for member in members)
    return present and len(names) > 1 and names == [str(i) for i in range(len(names))]


def _is_plain(statement: Statement) -> bool:
    always = statement.present == PRESENT and not statement.training
    return always and len(statement.outputs) == 1
