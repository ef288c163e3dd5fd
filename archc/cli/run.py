"""`archc run`."""

from __future__ import annotations

from typing import Any

import click

from archc.cli.options import parse_sizes
from archc.cli.printing import fail, print_line
from archc.cli.progress import Progress, format_size


@click.command("run")
@click.argument("model", type=click.Path())
@click.argument("inputs", nargs=-1, metavar="[INPUT...]", type=click.Path())
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many entries of each row to print.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE.npz",
    type=click.Path(),
    help="Write the outputs, by name, instead of printing them.",
)
@click.option(
    "--at", metavar="N=8,H=224", callback=parse_sizes, help="Sizes of symbolic dims, random input."
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of random input.",
)
@click.option(
    "--preprocess/--no-preprocess",
    default=True,
    help="Make inputs of images as the model says (default), or only scale them.",
)
def command(
    model: str,
    inputs: tuple[str, ...],
    top: int,
    output: str | None,
    at: dict[str, int],
    seed: int,
    preprocess: bool,
) -> None:
    """Run an ONNX MODEL with onnxruntime on INPUT files: one .npz, or a .npy or image for each.

    Without INPUT it runs on random numbers. Images are resized, cut and normalised as the spec's
    `preprocess` says; without it they are scaled to the model's size, values 0 to 1. Prints the
    largest entries of every output, or writes all outputs to a file.
    """
    if output is not None and not output.lower().endswith(".npz"):
        raise click.UsageError(f"outputs are written as .npz: -o {output}.npz")
    if at and inputs:
        raise click.UsageError("--at is for random input; files have their own sizes")
    from archc.runtime import RunError, open_model, random_feed, read_feed

    try:
        with Progress() as progress:
            progress.show(f"loading {model}")
            loaded = open_model(model)
            if inputs:
                feed = read_feed(loaded, inputs, preprocess=preprocess)
            else:
                feed = random_feed(loaded, at, seed)
            progress.show(f"running {model}")
            results = loaded.run(feed)
    except RunError as error:
        fail([error.diagnostic])
    if output is not None:
        _write(output, results, (model, *inputs))
        return
    for name, array in results.items():
        _print(name, array, top)


def _write(path: str, results: dict[str, Any], inputs: tuple[str, ...]) -> None:
    from pathlib import Path

    from archc.output import OutputError
    from archc.runtime import write_arrays

    try:
        write_arrays(results, path, inputs=inputs)
    except OutputError as error:
        fail([error.diagnostic])
    print_line(f"wrote {path} ({format_size(Path(path).stat().st_size)})")


def _print(name: str, array: Any, top: int) -> None:
    from archc.runtime import top_k

    print_line(f"{name} {list(array.shape)} {array.dtype}")
    if array.ndim < 2 or not array.size:
        print_line(f"  {array}")
        return
    for index, row in enumerate(top_k(array, top)):
        entries = "  ".join(f"{position}: {value:.4g}" for position, value in row)
        print_line(f"  [{index}] {entries}")
