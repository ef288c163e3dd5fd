"""`archc quantize`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from archc.cli.checking import checked_or_exit
from archc.cli.options import SPEC, spec_options
from archc.cli.printing import EXIT_ERRORS, fail, print_diagnostics, print_line
from archc.cli.progress import Progress, format_size

if TYPE_CHECKING:
    from archc.quantization import Quantized


@click.command("quantize")
@click.argument("model", type=SPEC)
@click.option("--static", "way", flag_value="static", help="Weights and activations, calibrated.")
@click.option("--dynamic", "way", flag_value="dynamic", help="Matrix products alone, no samples.")
@click.option(
    "--calibration",
    metavar="PATH",
    type=click.Path(),
    help="Samples for --static: a folder of images, or an .npz of arrays by input.",
)
@click.option(
    "--full-range",
    is_flag=True,
    help="Weights of 8 bits, not 7: for ARM, and x86 with VNNI, whose sums do not overflow.",
)
@click.option(
    "--evaluate",
    metavar="PATH",
    type=click.Path(),
    help="Samples to measure the change on (default: every fifth of the calibration's).",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(),
    help="Where to write (default: MODEL.int8.onnx, in the working folder).",
)
@spec_options
@click.option(
    "--weights",
    metavar="FILE",
    type=click.Path(),
    help="Weights, if MODEL is a spec: .safetensors, or .pth (needs torch).",
)
def command(
    model: str,
    way: str | None,
    calibration: str | None,
    full_range: bool,
    evaluate: str | None,
    output: str | None,
    variant: str | None,
    overrides: dict[str, str],
    weights: str | None,
) -> None:
    """Write MODEL, an ONNX file or a spec with its weights, in 8-bit integers.

    --static quantizes weights and activations, whose ranges the calibration samples show;
    --dynamic quantizes matrix products alone, and needs no samples. What that changes is measured
    on samples that were not calibrated on. An array `labels` in an .npz holds the right classes.
    """
    if way is None:
        raise click.UsageError("say how: --static --calibration PATH, or --dynamic")
    if (way == "static") != (calibration is not None):
        raise click.UsageError("--static and --calibration go together")
    is_model = model.lower().endswith(".onnx")
    if is_model and (variant or overrides or weights):
        raise click.UsageError("--variant, --set and --weights are for specs, not for ONNX files")
    if not is_model and weights is None:
        raise click.UsageError("numbers drawn at random are not worth it: give --weights")
    if output is not None and not output.lower().endswith(".onnx"):
        raise click.UsageError(f"an ONNX file is written: -o {output}.onnx")
    with _built(model, variant, overrides, weights, output) as built:
        target = Path(output or f"{built.stem}.int8.onnx")
        files = [*([model] if is_model else []), *([weights] if weights is not None else [])]
        done = _quantized(built, target, calibration, evaluate, full_range, files)
    _print(done)


@contextmanager
def _built(
    model: str,
    variant: str | None,
    overrides: dict[str, str],
    weights: str | None,
    output: str | None,
) -> Iterator[Path]:
    """The ONNX file: the one given, or that of a spec, while it is needed."""
    if weights is None:
        yield Path(model)
        return
    from archc.artifacts import build_graph, default_output
    from archc.output import OutputError, scratch_folder
    from archc.weights import load_weights

    graph = checked_or_exit(model, variant, overrides).graph
    assert graph is not None
    source, problems = load_weights(weights, graph)
    if source is None:
        fail(problems)
    print_diagnostics(problems)
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(scratch_folder(Path(output or "").parent))
        except OutputError as error:
            fail([error.diagnostic])
        path = folder / default_output(graph, "onnx")
        with Progress() as progress:
            progress.show(f"building {graph.name}")
            written = build_graph(graph, "onnx", path, source)
        print_diagnostics(written.diagnostics)
        if not written.files:
            raise SystemExit(EXIT_ERRORS)
        yield path


def _quantized(
    built: Path,
    target: Path,
    calibration: str | None,
    evaluate: str | None,
    full_range: bool,
    files: list[str],
) -> Quantized:
    from archc.output import OutputError
    from archc.quantization import quantize_model, read_samples
    from archc.runtime import RunError, open_model

    try:
        with Progress() as progress:
            progress.show(f"quantizing {built.name}")
            loaded = open_model(built)
            read = {path: read_samples(loaded, path) for path in (calibration, evaluate) if path}
            return quantize_model(
                built,
                target,
                calibration=read.get(calibration or ""),
                evaluation=read.get(evaluate or ""),
                full_range=full_range,
                inputs=[*files, *(path for path in read if Path(path).is_file())],
            )
    except (RunError, OutputError) as error:
        fail([error.diagnostic])


def _print(done: Quantized) -> None:
    from archc.quantization import change_lines

    print_line(f"wrote {done.path} ({format_size(done.size)}; float: {format_size(done.was)})")
    if done.calibrated:
        print_line(f"activations calibrated on {done.calibrated} samples")
    if done.change is None:
        print_line("its accuracy is not measured: --evaluate PATH does")
        return
    for line in change_lines(done.change):
        print_line(line)
