"""`archc run`."""

from __future__ import annotations

from typing import Any

import click

from archc.cli.shared import fail, parse_sizes


@click.command("run")
@click.argument("model")
@click.argument("inputs", nargs=-1, metavar="[INPUT...]")
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="How many entries of each row to print.",
)
@click.option("-o", "--output", metavar="FILE", help="Write the outputs as .npz instead.")
@click.option("--at", metavar="N=8,H=224", callback=parse_sizes, help="Sizes of symbolic dims.")
@click.option("--seed", type=int, default=0, show_default=True, help="Of random input.")
def command(
    model: str,
    inputs: tuple[str, ...],
    top: int,
    output: str | None,
    at: dict[str, int],
    seed: int,
) -> None:
    """Run an ONNX MODEL with onnxruntime on INPUT files: .npy, .npz, or images.

    Without INPUT it runs on random numbers. Images are scaled to the model's size, values 0 to 1.
    Prints the largest entries of every output, or writes all outputs to a file.
    """
    from archc.runtime import RunError, open_model, random_feed, read_feed

    try:
        loaded = open_model(model)
        feed = read_feed(loaded, inputs, at) if inputs else random_feed(loaded, at, seed)
        results = loaded.run(feed)
        if output is not None:
            _write(output, results)
            return
    except RunError as error:
        fail([error.diagnostic])
    for name, array in results.items():
        _print(name, array, top)


def _write(path: str, results: dict[str, Any]) -> None:
    import numpy as np

    from archc.output import OutputError, atomic_file

    try:
        with atomic_file(path) as file:
            np.savez(file, **results)
    except OutputError as error:
        fail([error.diagnostic])


def _print(name: str, array: Any, top: int) -> None:
    from archc.runtime import top_k

    click.echo(f"{name} {list(array.shape)} {array.dtype}")
    if array.ndim < 2 or not array.size:
        click.echo(f"  {array}")
        return
    for index, row in enumerate(top_k(array, top)):
        entries = "  ".join(f"{position}: {value:.4g}" for position, value in row)
        click.echo(f"  [{index}] {entries}")
