"""`archc list`."""

from __future__ import annotations

import click

from archc.cli.printing import EXIT_ERRORS
from archc.zoo import list_csv, list_json, list_markdown, list_text, networks

_FORMATS = {"text": list_text, "md": list_markdown, "json": list_json, "csv": list_csv}


@click.command("list")
@click.argument("word", default="")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(_FORMATS)),
    default="text",
    show_default=True,
    help="A table for people, or exact numbers for programs.",
)
def command(word: str, form: str) -> None:
    """List the networks of the zoo: parameters, multiply-accumulates of one sample, input, paper.

    WORD keeps those that have it in their name, family or description. Every name is a SPEC for
    the other commands: archc show resnet50.
    """
    found = list(networks(word))
    if not found:
        click.echo(f"archc: nothing in the zoo matches {word!r}", err=True)
        raise SystemExit(EXIT_ERRORS)
    click.echo(_FORMATS[form](found), nl=False)
    if form == "text":
        name = found[0].name
        click.echo(
            f"\n{len(found)} of the zoo's networks. Try: archc show {name}; "
            f"archc build {name} --to onnx; archc new mine.yaml --from {name}"
        )
