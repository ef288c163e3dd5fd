"""`archc expand`."""

from __future__ import annotations

import click

from archc.cli.checking import checked_or_exit
from archc.cli.options import SPEC, spec_options
from archc.targets.expanded import expanded_spec


@click.command("expand")
@click.argument("spec", type=SPEC)
@spec_options
def command(spec: str, variant: str | None, overrides: dict[str, str]) -> None:
    """Print SPEC with everything expanded: one flat list of layers that compiles to the same graph.

    The result is a spec itself: `archc expand net.yaml | archc check -`.
    """
    graph = checked_or_exit(spec, variant, overrides).graph
    assert graph is not None
    click.echo(expanded_spec(graph), nl=False)
