"""Writing models: weights are streamed, so that they never sit in memory as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from archc.diagnostics import Diagnostic, SpecError
from archc.graph.graph import Graph, WeightRef
from archc.output import OutputError, OutputSet
from archc.records import dataclass
from archc.targets.onnx.emit import OnnxModel, emit_onnx
from archc.targets.onnx.proto import external_initializer, inline_initializer
from archc.types import TensorType
from archc.weights.ahead import made_ahead
from archc.weights.source import WeightSource

Progress = Callable[[int, int], None]
"""Called with the bytes of weights written so far, and with how many there are."""

MAX_INLINE = 2**31 - 2**24
"""Bytes of a single file: protobuf parses less than 2 GiB; the rest is for whoever adds to it."""

_MIN_EXTERNAL = 1024  # smaller tensors stay in the model, as onnx.save does by default
_PAGE = 4096  # to map a tensor into memory it has to start on a page ...
_GRANULARITY = (
    65536  # ... and on Windows on an allocation unit, which costs too much for small ones
)
_LARGE = 1 << 20


@dataclass(frozen=True, slots=True)
class WrittenOnnx:
    """What `write_onnx` left on disk.

    Attributes:
        files: the model and, if there is one, its file of external data.
        diagnostics: what was found; with an error among it nothing was written.
    """

    files: tuple[Path, ...]
    diagnostics: tuple[Diagnostic, ...]


def write_onnx(
    graph: Graph,
    weights: WeightSource,
    path: str | Path,
    *,
    opset: int | None = None,
    external: bool | None = None,
    inputs: Iterable[str | Path] = (),
    sync: bool = False,
    progress: Progress | None = None,
) -> WrittenOnnx:
    """Write a graph and its weights as an ONNX file.

    The file appears when it is complete. External data go to a file beside it, named by content
    (`net.onnx.0123456789abcdef.data`), so that whatever happens the old model still finds its own.

    Args:
        graph: the network.
        weights: where the numbers come from.
        path: the file to write.
        opset: version of the default operator set; None for the usual one.
        external: whether weights stand in a file of their own; None puts them there only when
            the model would exceed what a single file can hold.
        inputs: files that must not be overwritten, such as the spec.
        sync: whether the files are on the disk on return.
        progress: told of the bytes written.

    Returns:
        The files and what was found; with an error among it nothing was written.
    """
    model, findings = emit_onnx(graph, opset)
    if model is None:
        return WrittenOnnx((), tuple(findings))
    framed = _inline_frames(model)
    size = framed.size
    if external is None:
        external = size > MAX_INLINE
    if not external and size > MAX_INLINE:
        return WrittenOnnx((), (*findings, _too_large(graph, path, size)))
    try:
        with (
            OutputSet(path, inputs=inputs, durable=sync) as out,
            made_ahead(weights, _in_order(model, external)) as made,
        ):
            out.need(size)
            tally = _Tally(model.weights, progress)
            if external and any(ref.weight.nbytes >= _MIN_EXTERNAL for ref in model.weights):
                framed = _write_data(model, made, out, tally)
            for part in _stream(framed, made, tally):
                out.main.write(part)
    except OutputError as error:
        return WrittenOnnx((), (*findings, error.diagnostic))
    return WrittenOnnx(out.paths, tuple(findings))


def onnx_bytes(graph: Graph, weights: WeightSource, opset: int | None = None) -> bytes:
    """The model as `write_onnx` writes it into a single file.

    Raises:
        SpecError: ONNX cannot express the graph.
    """
    model, findings = emit_onnx(graph, opset)
    if model is None:
        raise SpecError(findings)
    return b"".join(_stream(_inline_frames(model), weights, _Tally(model.weights, None)))


class _Tally:
    """Counts weights on their way, and holds the source to the sizes that were announced."""

    def __init__(self, refs: Iterable[WeightRef], progress: Progress | None) -> None:
        self._total = sum(ref.weight.nbytes for ref in refs)
        self._progress = progress
        self._written = 0

    def chunks(self, weights: WeightSource, ref: WeightRef) -> Iterator[memoryview]:
        """The weight's raw data."""
        size = 0
        for chunk in weights.chunks(ref):
            size += chunk.nbytes
            yield chunk
            self._written += chunk.nbytes
            if self._progress is not None:
                self._progress(self._written, self._total)
        if size != ref.weight.nbytes:
            raise ValueError(
                f"{ref.key}: {size} bytes of data where {ref.weight.nbytes} were announced"
            )


@dataclass(frozen=True, slots=True)
class _Framed:
    """A model as bytes, with gaps that weights are to fill.

    Attributes:
        pieces: serialised messages; the weight, if any, follows its piece.
        size: of the whole model in bytes.
    """

    pieces: tuple[tuple[bytes, WeightRef | None], ...]
    size: int


def _in_order(model: OnnxModel, external: bool) -> list[WeightRef]:
    """The weights in the order in which they are written."""
    return sorted(model.weights, key=lambda ref: external and ref.weight.nbytes < _MIN_EXTERNAL)


def _inline_frames(model: OnnxModel) -> _Framed:
    """The model with all weights inside."""
    tensors: list[tuple[bytes, WeightRef | None]] = []
    for ref in model.weights:
        tensors.append((inline_initializer(ref.key, _type(ref), ref.weight.nbytes), ref))
    return _frames(model, tensors)


def _frames(model: OnnxModel, tensors: list[tuple[bytes, WeightRef | None]]) -> _Framed:
    """A model around initializers that are framed already.

    Fields of a message may stand in any order, so what streams comes last.
    """
    more = sum(len(piece) + (ref.weight.nbytes if ref else 0) for piece, ref in tensors)
    start = model.written.framed(more)
    return _Framed(((start, None), *tensors), len(start) + more)


def _stream(framed: _Framed, weights: WeightSource, tally: _Tally) -> Iterator[bytes | memoryview]:
    for piece, ref in framed.pieces:
        yield piece
        if ref is not None:
            yield from tally.chunks(weights, ref)


def _write_data(model: OnnxModel, weights: WeightSource, out: OutputSet, tally: _Tally) -> _Framed:
    """Write the file of external data; returns the model that refers to it."""
    name = out.main.path.name
    file = out.side(out.main.path.with_name(f"{name}.data"))
    digest = hashlib.sha256()
    offsets: dict[str, int] = {}

    def write(data: bytes | memoryview) -> None:
        digest.update(data)
        file.write(data)

    for ref in model.weights:
        size = ref.weight.nbytes
        if size < _MIN_EXTERNAL:
            continue
        write(bytes(-file.size % (_GRANULARITY if size >= _LARGE else _PAGE)))
        offsets[ref.key] = file.size
        for chunk in tally.chunks(weights, ref):
            write(chunk)
    location = f"{name}.{digest.hexdigest()[:16]}.data"
    file.path = out.main.path.with_name(location)
    file.named_by_content = True
    return _external_frames(model, offsets, location)


def _external_frames(model: OnnxModel, offsets: dict[str, int], location: str) -> _Framed:
    tensors: list[tuple[bytes, WeightRef | None]] = []
    for piece, ref in _inline_frames(model).pieces[1:]:
        if ref is None or ref.key not in offsets:
            tensors.append((piece, ref))
            continue
        place = {"location": location, "offset": offsets[ref.key], "length": ref.weight.nbytes}
        entries = {key: str(value) for key, value in place.items()}
        tensors.append((external_initializer(ref.key, _type(ref), entries), None))
    return _frames(model, tensors)


def _type(ref: WeightRef) -> TensorType:
    return TensorType(ref.weight.shape, ref.weight.dtype)


def _too_large(graph: Graph, path: str | Path, size: int) -> Diagnostic:
    return Diagnostic(
        "model-too-large",
        f"`{graph.name}` takes {size / 2**30:.1f} GiB, and a single ONNX file less than 2 GiB",
        help=("write the weights to a second file: --external-data",),
        path=str(path),
    )
