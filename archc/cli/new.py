"""`archc new`."""

from __future__ import annotations

from pathlib import Path

import click

from archc.cli.options import NETWORK
from archc.cli.printing import fail, print_line
from archc.cli.progress import format_size
from archc.diagnostics.terminal import escape_terminal
from archc.output import OutputError, atomic_file
from archc.spec.shipped import Shipped, find_shipped, unknown_name, variant_names
from archc.zoo.starts import model_name, start_from, template


@click.command("new")
@click.argument("file", type=click.Path())
@click.option(
    "--from",
    "origin",
    metavar="NAME",
    type=NETWORK,
    help="Start from this network of the zoo (archc list), or a whole family of it.",
)
def command(file: str, origin: str | None) -> None:
    """Start a spec in FILE, which must not exist yet.

    Without --from it is a small network with comments. The copy of a network of the zoo stands by
    itself: it is the one network, under the name of the file.
    """
    path = Path(file)
    if path.suffix not in {".yaml", ".yml"}:
        name = escape_terminal(path.name) or "net"
        raise click.UsageError(f"a spec is a .yaml file: archc new {name}.yaml")
    name = model_name(path)
    shipped = None if origin is None else _named(origin)
    text = template(name) if shipped is None else start_from(shipped, name)
    try:
        with atomic_file(path, replaces=False) as output:
            output.write(text.encode())
    except OutputError as error:
        fail([error.diagnostic])
    print_line(f"wrote {file} ({format_size(len(text.encode()))}). Next:")
    # A copied family has its variants still, and may need one of them.
    variant = next(variant_names(path, text), None)
    spec = file if variant is None else f"{file} --variant {variant}"
    for line in (f"check {spec}", f"show {spec}", f"build {spec} --to onnx"):
        print_line(f"  archc {line}")


def _named(name: str) -> Shipped:
    shipped = find_shipped(name)
    if shipped is None:
        fail([unknown_name(name)])
    return shipped
