"""`archc explain`."""

from __future__ import annotations

from typing import Any

import click

from archc.cli.checking import check_file, op_table
from archc.cli.options import SPEC, parse_sizes, spec_options
from archc.cli.printing import EXIT_ERRORS, complaints, print_diagnostics
from archc.cli.sizes import checked_at
from archc.compile import Checked
from archc.diagnostics.closest import closest
from archc.diagnostics.codes import CODES
from archc.graph import Graph
from archc.ops.table import OPS
from archc.reference import op_page
from archc.spec.shipped import find_spec
from archc.targets.report import layer_text


def _complete_topic(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[Any]:
    words: list[Any] = sorted(word for word in (*CODES, *OPS) if word.startswith(incomplete))
    return words + SPEC.shell_complete(ctx, param, incomplete)


@click.command("explain")
@click.argument(
    "topic", metavar="[CODE | OP | SPEC]", required=False, shell_complete=_complete_topic
)
@click.argument("path", metavar="[LAYER]", required=False)
@spec_options
@click.option(
    "--at",
    "sizes",
    metavar="N=8,H=320",
    callback=parse_sizes,
    help="Explain the layer at these sizes of the symbolic dims.",
)
def command(
    topic: str | None,
    path: str | None,
    variant: str | None,
    overrides: dict[str, str],
    sizes: dict[str, int],
) -> None:
    """Explain a diagnostic CODE, an OP, or a LAYER of a SPEC.

    A code comes with an example that shows it, an op with its attributes; without an argument, all
    of both are listed. A layer (or a
    section or block, by its path) comes with the arithmetic of its shape, its attributes,
    weights, cost and receptive field, what it reads and what reads it.
    """
    if topic is None:
        _list_topics()
    elif path is None:
        _explain_word(topic)
    else:
        checked = checked_at(check_file(topic, variant, overrides), sizes)
        _explain_layer(checked, path)


def _list_topics() -> None:
    ops = op_table()
    width = max(map(len, (*CODES, *ops)))
    click.echo("Ops:")
    for name in sorted(ops):
        summary = (ops[name].__doc__ or "").split("\n")[0]
        click.echo(f"  {name:{width}}  {summary}")
    click.echo("\nDiagnostic codes:")
    for name in sorted(CODES):
        click.echo(f"  {name:{width}}  {CODES[name].title}")


def _explain_word(name: str) -> None:
    ops = op_table()
    if name in CODES:
        click.echo(CODES[name].as_markdown().rstrip("\n"))
    elif name in ops:
        click.echo(op_page(name, ops=ops), nl=False)
    else:
        close = closest(name, (*CODES, *ops))
        hint = f"did you mean `{close}`?" if close else "`archc explain` lists them"
        if name.endswith((".yaml", ".yml")) or find_spec(name) is not None:
            hint = "to explain a layer of a spec, name it: archc explain SPEC LAYER"
        raise click.UsageError(f"there is no code or op {name!r}; {hint}")


def _explain_layer(checked: Checked, path: str) -> None:
    text = None if checked.partial is None else layer_text(checked.partial, path)
    if text is not None:
        click.echo(text, nl=False)
    print_diagnostics(complaints(checked.diagnostics))
    if not checked.ok:
        raise SystemExit(EXIT_ERRORS)
    if text is None:
        assert checked.graph is not None
        raise click.UsageError(_unknown_layer(checked.graph, path))


def _unknown_layer(graph: Graph, path: str) -> str:
    paths = [*(node.path for node in graph.nodes), *filter(None, graph.scopes)]
    close = closest(path, paths, len(paths))
    hint = f"did you mean {close!r}?" if close else "`archc show` lists them"
    return f"{graph.name!r} has no layer {path!r}; {hint}"
