"""What a spec's PyTorch form is compared with: an ONNX model, or another torch module."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from archc.diagnostics import Diagnostic, Label
from archc.graph import Graph
from archc.parity.divergence import Divergence
from archc.parity.locate_torch import TorchSubject, locate_in_module
from archc.parity.situation import Situation
from archc.parity.trace import run_module
from archc.records import dataclass
from archc.runtime import first_line, open_model
from archc.weights import WeightSource

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    Array = npt.NDArray[Any]
    Feed = Mapping[str, Array]
    Run = Callable[[Feed], dict[str, Array]]


class OtherError(Exception):
    """What is compared does not work, where the spec says that it does.

    Attributes:
        diagnostic: what to tell the person.
    """

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


class Other(Protocol):
    """A network that should compute what the spec says."""

    @property
    def runtime(self) -> str:
        """What runs it, for the report."""
        ...

    @property
    def levels(self) -> tuple[bool | None, ...]:
        """Whether it is run unoptimised and optimised; None for what has no levels."""
        ...

    def open(self, graph: Graph, level: bool | None) -> Run:
        """A function from inputs to outputs, both by the spec's names.

        Raises:
            RunError: it cannot be loaded.
        """
        ...

    def locate(self, situation: Situation) -> Divergence | None:
        """The first layer that diverges; None if none does."""
        ...


@dataclass(frozen=True, slots=True)
class OnnxOther:
    """An ONNX model in onnxruntime.

    Attributes:
        path: the model.
        weights: those it should have; None where they were read from the model itself.
        by_order: whether inputs and outputs of other names are taken in order, as fits a file
            that somebody else wrote.
    """

    path: Path
    weights: WeightSource | None
    by_order: bool = False
    runtime: str = "onnxruntime"
    levels: tuple[bool | None, ...] = (False, True)

    def open(self, graph: Graph, level: bool | None) -> Run:
        """See `Other.open`."""
        from archc.targets.onnx.emit import exported_outputs

        model = open_model(self.path, optimized=bool(level))
        inputs = [value.name for value in graph.inputs]
        names = self._pairs("inputs", inputs, [item.name for item in model.inputs], graph)
        expected = list(exported_outputs(graph))

        def run(feed: Feed) -> dict[str, Array]:
            results = model.run({names[name]: array for name, array in feed.items()})
            outputs = self._pairs("outputs", expected, list(results), graph)
            return {name: results[outputs[name]] for name in expected}

        return run

    def locate(self, situation: Situation) -> Divergence | None:
        """See `Other.locate`."""
        from archc.parity.locate_onnx import locate_in_onnx

        return locate_in_onnx(situation, self.path, self.weights)

    def _pairs(
        self, what: str, ours: Sequence[str], theirs: Sequence[str], graph: Graph
    ) -> dict[str, str]:
        """The file's name of each of the spec's."""
        if set(ours) == set(theirs):
            return {name: name for name in ours}
        if self.by_order and len(ours) == len(theirs):
            return dict(zip(ours, theirs, strict=True))
        raise _mismatch(graph, what, f"the spec has {list(ours)}, the ONNX file {list(theirs)}")


@dataclass(frozen=True, slots=True)
class TorchOther:
    """A torch module of anyone's.

    Attributes:
        name: what the person calls it.
        module: it, in evaluation mode.
        file: its source, if there is one.
    """

    name: str
    module: torch.nn.Module
    file: Path | None
    levels: tuple[bool | None, ...] = (None,)

    @property
    def runtime(self) -> str:
        """See `Other.runtime`."""
        return self.name

    def open(self, graph: Graph, level: bool | None) -> Run:
        """See `Other.open`."""
        from archc.targets.onnx.emit import exported_outputs

        expected = list(exported_outputs(graph))

        def run(feed: Feed) -> dict[str, Array]:
            try:
                results = run_module(self.module, [feed[value.name] for value in graph.inputs])
            except Exception as error:  # whatever somebody's module raises
                raise self._failed(graph, feed, error) from error
            if set(results) == set(expected):
                return {name: results[name] for name in expected}
            if len(results) != len(expected):
                said = f"the spec has {expected}, `{self.name}` returns {len(results)}"
                raise _mismatch(graph, "outputs", said)
            return dict(zip(expected, results.values(), strict=True))

        return run

    def _failed(self, graph: Graph, feed: Feed, error: Exception) -> OtherError:
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feed.items())
        message = f"`{self.name}` fails on {shapes}: {first_line(error)}"
        return OtherError(Diagnostic("interface-mismatch", message, Label(graph.inputs[0].span)))

    def locate(self, situation: Situation) -> Divergence | None:
        """See `Other.locate`."""
        return locate_in_module(situation, TorchSubject(self.module, self.file))


def _mismatch(graph: Graph, what: str, said: str) -> OtherError:
    message = f"`{graph.name}` and what it is compared with have different {what}: {said}"
    return OtherError(Diagnostic("interface-mismatch", message, Label(graph.scopes[""].span)))
