"""The Python API: what the command line does, for programs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from archc.compile import Budgets, Checked, check_file, with_images
from archc.diagnostics import SpecError
from archc.elaborate.builder import MAX_LAYERS
from archc.given import SpecPath, need_torch, overrides_of, weights_of
from archc.graph.budget import MAX_PARAMETERS, over_budget
from archc.graph.precision import PRECISIONS, in_dtype
from archc.spec.files import MAX_FILE_SIZE
from archc.types import DType

if TYPE_CHECKING:
    import torch

    from archc.artifacts import Target
    from archc.parity import Report
    from archc.quantization import Quantized


def check(
    spec: SpecPath,
    *,
    variant: str | None = None,
    plugins: Sequence[str] = (),
    max_layers: int = MAX_LAYERS,
    max_file_size: int = MAX_FILE_SIZE,
    **params: object,
) -> Checked:
    """Check a spec without building anything.

    Args:
        spec: path of the spec, or a name of the zoo (`"resnet50"`).
        variant: which variant.
        plugins: Python modules with further ops (docs/plugins.md).
        max_layers: layers and turns of loops that the spec may unfold to.
        max_file_size: bytes that the spec, and every file it imports, may have.
        params: params of the spec to override (`num_classes=10`): numbers, booleans, text, lists.

    Returns:
        The typed graph, or None in its place when there are errors, and all diagnostics.

    Raises:
        TypeError: a param's value is something that a spec cannot hold.
        ValueError: the name of the spec is a variant of the zoo, and `variant` is given too.
    """
    overrides = overrides_of(params)
    budgets = Budgets(max_layers, max_file_size)
    if not plugins:
        return check_file(os.fspath(spec), variant, overrides, budgets=budgets)
    from archc.extensions import Plugin, extended

    found = extended(map(Plugin, plugins))
    if found.diagnostics:
        return Checked(None, None, None, found.diagnostics)
    return check_file(os.fspath(spec), variant, overrides, found.ops, budgets)


def load(
    spec: SpecPath,
    *,
    variant: str | None = None,
    plugins: Sequence[str] = (),
    weights: SpecPath | None = None,
    allow_missing: Sequence[str] = (),
    ignore_unexpected: Sequence[str] = (),
    seed: int = 0,
    dtype: str = "float32",
    max_parameters: int = MAX_PARAMETERS,
    max_layers: int = MAX_LAYERS,
    max_file_size: int = MAX_FILE_SIZE,
    **params: object,
) -> torch.nn.Module:
    """The network as a PyTorch module, in training mode as any new module.

    The module is the source that `build(..., to="torch")` writes, executed.

    Args:
        spec: path of the spec, or a name of the zoo (`"resnet50"`).
        variant: which variant.
        plugins: Python modules with further ops (docs/plugins.md).
        weights: a `.safetensors` or `.pth` file; by default weights are drawn as declared.
        allow_missing: patterns of weights (`fc.*`) that the file may lack, or hold in another
            shape; they are drawn as declared then.
        ignore_unexpected: patterns of the file's tensors that the network may have no place for.
        seed: of the drawn weights.
        dtype: what weights, inputs and outputs are: `float32`, `float16` or `bfloat16`.
        max_parameters: a network with more is refused before anything is allocated.
        max_layers: layers and turns of loops that the spec may unfold to.
        max_file_size: bytes that the spec, and every file it imports, may have.
        params: params of the spec to override.

    Raises:
        SpecError: the spec or the weights have errors.
        ValueError: there is no such dtype.
        ModuleNotFoundError: torch is not installed.
    """
    need_torch("archc.load")
    from archc.targets.torch import emit_torch, load_module

    checked = _checked(
        spec, variant, plugins, params, max_parameters, dtype, Budgets(max_layers, max_file_size)
    )
    assert checked.graph is not None
    source = emit_torch(checked.graph)
    if any(finding.is_error for finding in source.diagnostics):
        raise SpecError(source.diagnostics)
    return load_module(
        source, weights_of(checked, params, weights, seed, allow_missing, ignore_unexpected)
    )


def build(
    spec: SpecPath,
    output: SpecPath | None = None,
    *,
    to: Target = "onnx",
    variant: str | None = None,
    plugins: Sequence[str] = (),
    weights: SpecPath | None = None,
    allow_missing: Sequence[str] = (),
    ignore_unexpected: Sequence[str] = (),
    seed: int = 0,
    opset: int | None = None,
    external_data: bool | None = None,
    optimize: bool = True,
    dtype: str = "float32",
    with_preprocess: bool = False,
    max_parameters: int = MAX_PARAMETERS,
    max_layers: int = MAX_LAYERS,
    max_file_size: int = MAX_FILE_SIZE,
    force: bool = False,
    sync: bool = False,
    **params: object,
) -> tuple[Path, ...]:
    """Write a spec as an ONNX file, or as PyTorch source and safetensors.

    Args:
        spec: path of the spec, or a name of the zoo (`"resnet50"`).
        output: the main file; the model's name in the working folder by default.
        to: `onnx` or `torch`.
        variant: which variant.
        plugins: Python modules with further ops (docs/plugins.md).
        weights: a `.safetensors` or `.pth` file; by default weights are drawn as declared.
        allow_missing: patterns of weights (`fc.*`) that the file may lack, or hold in another
            shape; they are drawn as declared then.
        ignore_unexpected: patterns of the file's tensors that the network may have no place for.
        seed: of the drawn weights.
        opset: ONNX operator set; by default 20, and 22 for bfloat16.
        external_data: whether ONNX weights stand in a file of their own; None decides by size.
        optimize: whether ONNX holds the network as inference runs it fastest, or every layer and
            weight under its own name.
        dtype: what weights, inputs and outputs are: `float32`, `float16` or `bfloat16`.
        with_preprocess: whether ONNX takes uint8 images [N, H, W, C], crops and normalises them.
        max_parameters: a network with more is refused before anything is allocated.
        max_layers: layers and turns of loops that the spec may unfold to.
        max_file_size: bytes that the spec, and every file it imports, may have.
        force: whether weights that archc did not write may be replaced.
        sync: whether the files are on the disk, and outlive a power cut, on return.
        params: params of the spec to override.

    Returns:
        The files written, the main one first.

    Raises:
        SpecError: the spec, the weights or the output have errors; nothing was written.
        ValueError: there is no such target or dtype, or it cannot take `with_preprocess`.
    """
    from archc.artifacts import SUFFIXES, build_graph, default_output

    if to not in SUFFIXES:
        raise ValueError(f"there is no target {to!r}; there are {', '.join(SUFFIXES)}")
    if with_preprocess and (to != "onnx" or dtype != "float32"):
        raise ValueError("with_preprocess is for the target 'onnx' in float32")
    checked = _checked(
        spec, variant, plugins, params, max_parameters, dtype, Budgets(max_layers, max_file_size)
    )
    source = weights_of(checked, params, weights, seed, allow_missing, ignore_unexpected)
    if with_preprocess:
        checked = with_images(checked)
    graph = checked.graph
    if graph is None:
        raise SpecError(checked.diagnostics)
    written = build_graph(
        graph,
        to,
        default_output(graph, to) if output is None else Path(output),
        source,
        opset=opset,
        external_data=external_data,
        optimize=optimize,
        max_parameters=max_parameters,
        force=force,
        sync=sync,
        inputs=[*checked.files, *([Path(weights)] if weights is not None else [])],
    )
    if not written.files:
        raise SpecError(written.diagnostics)
    return written.files


def verify(
    spec: SpecPath,
    *,
    variant: str | None = None,
    plugins: Sequence[str] = (),
    against: str | None = None,
    weights: SpecPath | None = None,
    batches: Sequence[int] | None = None,
    sizes: Mapping[str, int] | None = None,
    opset: int | None = None,
    optimize: bool = True,
    seed: int = 0,
    dtype: str = "float32",
    max_parameters: int = MAX_PARAMETERS,
    max_layers: int = MAX_LAYERS,
    max_file_size: int = MAX_FILE_SIZE,
    **params: object,
) -> Report:
    """Compare the PyTorch and ONNX forms of a spec against a float64 run.

    Args:
        spec: path of the spec, or a name of the zoo (`"resnet50"`).
        variant: which variant.
        plugins: Python modules with further ops (docs/plugins.md).
        against: what to compare the PyTorch form with instead: `model.onnx`, or a module that
            `module.py:name` makes (the file is executed).
        weights: a `.safetensors` or `.pth` file; by default weights are random, or those that the
            ONNX file named by `against` holds.
        batches: batch sizes to try; 1, 2 and 3 by default.
        sizes: values of symbolic dims; by default some that the network can take.
        opset: ONNX operator set; by default 20, and 22 for bfloat16.
        optimize: whether the ONNX form is the one that a build for inference writes.
        seed: of weights and inputs.
        dtype: what weights, inputs and outputs are: `float32`, `float16` or `bfloat16`.
        max_parameters: a network with more is refused before anything is allocated.
        max_layers: layers and turns of loops that the spec may unfold to.
        max_file_size: bytes that the spec, and every file it imports, may have.
        params: params of the spec to override.

    Returns:
        All comparisons; `report.ok` says whether they pass, and `report.divergence` where they
        part if not.

    Raises:
        SpecError: the spec has errors, or cannot be run at these sizes.
        ValueError: there is no such dtype.
        ModuleNotFoundError: torch is not installed.
    """
    need_torch("archc.verify")
    from archc.parity import verify_spec

    graph = _checked(
        spec, variant, plugins, params, max_parameters, dtype, Budgets(max_layers, max_file_size)
    ).graph
    assert graph is not None
    report = verify_spec(
        graph,
        against=against,
        weights=None if weights is None else os.fspath(weights),
        batches=batches,
        sizes=sizes,
        opset=opset,
        optimize=optimize,
        seed=seed,
    )
    if report.diagnostics:
        raise SpecError(report.diagnostics)
    return report


def quantize(
    model: SpecPath,
    output: SpecPath,
    *,
    calibration: SpecPath | None = None,
    evaluation: SpecPath | None = None,
    full_range: bool = False,
) -> Quantized:
    """Write an ONNX model in 8-bit integers, by onnxruntime's quantiser.

    Args:
        model: an ONNX file in float32.
        output: where to write.
        calibration: samples that show the ranges of activations: a folder of images, or an `.npz`
            of arrays by input (and `labels`). Without them the matrix products alone are quantized.
        evaluation: samples to measure the change on; by default every fifth of the calibration's,
            which are not calibrated on then.
        full_range: whether weights take all 8 bits, for processors whose sums do not overflow.

    Returns:
        What was written, and what it changed.

    Raises:
        SpecError: the model or the samples cannot be used, or the file not be written.
    """
    from archc.output import OutputError
    from archc.quantization import quantize_model, read_samples
    from archc.runtime import RunError, open_model

    paths = [os.fspath(path) if path is not None else None for path in (calibration, evaluation)]
    try:
        loaded = open_model(model := os.fspath(model))
        shown, held_out = (read_samples(loaded, path) if path else None for path in paths)
        return quantize_model(
            model,
            os.fspath(output),
            calibration=shown,
            evaluation=held_out,
            full_range=full_range,
            inputs=[path for path in paths if path and Path(path).is_file()],
        )
    except (RunError, OutputError) as error:
        raise SpecError([error.diagnostic]) from None


def _checked(
    spec: SpecPath,
    variant: str | None,
    plugins: Sequence[str],
    params: dict[str, Any],
    max_parameters: int,
    dtype: str,
    budgets: Budgets,
) -> Checked:
    if dtype not in [known.value for known in PRECISIONS]:
        names = ", ".join(known.value for known in PRECISIONS)
        raise ValueError(f"a network cannot be built in {dtype!r}; there are {names}")
    checked = check(
        spec,
        variant=variant,
        plugins=plugins,
        max_layers=budgets.max_layers,
        max_file_size=budgets.max_file_size,
        **params,
    )
    if not checked.ok:
        raise SpecError(checked.diagnostics)
    assert checked.graph is not None
    refused = over_budget(checked.graph, max_parameters)
    if refused is not None:
        raise SpecError([refused])
    return replace(checked, graph=in_dtype(checked.graph, DType(dtype)))
