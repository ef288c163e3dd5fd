"""The zoo against torchvision: same keys, same numbers, weight for weight."""

from __future__ import annotations

import numpy as np
import pytest

from archc.compile import check_file
from archc.graph import Graph
from archc.graph.costs import total_macs
from archc.ops.initial import Computed
from archc.types import evaluate
from archc.weights import DrawnWeights
from tests.zoo.catalogue import REORDERED, RUNS, SPECS, TORCHVISION, VARIANTS, spec_path
from tests.zoo.graphs import at_size, graph_of, own_size
from tests.zoo.oracle import meta_state, oracle_model, torchvision_models
from tests.zoo.proof import WAYS, proof_sizes, run
from tests.zoo.table import PAGE, SAME, read_rows
from tests.zoo.test_text import NETWORKS

each_model = pytest.mark.parametrize(
    ("spec", "variant", "name"), [pytest.param(*row, id=row[2]) for row in TORCHVISION]
)


def published(name: str):
    return torchvision_models().get_model_weights(name).DEFAULT


def crop(name: str) -> int:
    """Side of the images that the published numbers are for."""
    transforms = published(name).transforms()
    return (getattr(transforms, "crop_size", None) or transforms.resize_size)[0]


def graph_at_published_size(spec: str, variant: str | None, name: str) -> Graph:
    """The network for images of the size that the published numbers are for."""
    graph = graph_of(spec, variant)
    if own_size(graph) in (None, (crop(name), crop(name))):
        return graph
    return at_size(spec, variant, crop(name), crop(name))


def test_every_spec_of_the_zoo_is_accounted_for() -> None:
    compared = {spec for spec, _, _ in TORCHVISION}
    assert {path.stem for path in SPECS.glob("*.yaml")} - compared == {
        *("lenet5", "unet", "zfnet"),
        *(network.spec for network in NETWORKS),
    }
    for spec, names in VARIANTS.items():
        checked = check_file(spec_path(spec), names[0])
        assert set(checked.spec.variants) - {"alexnet_2012"} == set(names)


@each_model
def test_keys_shapes_and_dtypes_are_torchvisions(spec, variant, name) -> None:
    graph = graph_of(spec, variant)
    ours = {ref.key: (ref.weight.shape, ref.weight.dtype.value) for ref in graph.weights()}
    assert ours == {
        key: (tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
        for key, tensor in meta_state(name).items()
    }
    row = read_rows(PAGE.read_text(encoding="utf-8"))[name]
    sizes = ", ".join(f"{height} x {width}" for height, width in proof_sizes(spec, variant))
    assert (row.parameters, row.keys, row.images, row.torch == SAME) == (
        f"{graph.parameter_count:,}",
        f"{len(ours)}",
        sizes,
        spec not in REORDERED,
    ), "run python -m tests.zoo.table"


@each_model
def test_parameter_count_is_the_published_one(spec, variant, name) -> None:
    # Position embeddings have a number per position.
    graph = graph_at_published_size(spec, variant, name)
    # GoogLeNet is published without its auxiliary heads.
    left_out = ("aux1.", "aux2.") if name == "googlenet" else ()
    count = sum(
        ref.weight.numel
        for ref in graph.weights()
        if not ref.weight.buffer and not ref.key.startswith(left_out)
    )
    assert count == published(name).meta["num_params"]


@each_model
def test_macs_are_the_published_ones(spec, variant, name) -> None:
    total = total_macs(graph_at_published_size(spec, variant, name))
    sizes = {"N": 1, "H": crop(name), "W": crop(name)}
    assert evaluate(total, sizes) / 1e9 == pytest.approx(published(name).meta["_ops"], abs=1e-3)


@pytest.mark.parametrize(
    ("spec", "variant", "name", "which"),
    [
        pytest.param(
            *row,
            which,
            id=f"{row[2]}-{'own' if which == 0 else 'other'}_size",
            marks=[] if (row[2], which) in RUNS else pytest.mark.exhaustive,
        )
        for row in TORCHVISION
        for which in (0, 1)
    ],
)
def test_weights_load_unchanged_and_outputs_agree(spec, variant, name, which) -> None:
    size = proof_sizes(spec, variant)[which]
    done = run(spec, variant, name, size, *WAYS[which])
    assert done.same_bits or spec in REORDERED
    for comparison in (*done.module, *done.onnx):
        assert comparison.ok, comparison


@pytest.mark.parametrize(
    ("spec", "variant", "name"),
    [
        pytest.param(*row, id=row[2], marks=[] if index == 0 else pytest.mark.exhaustive)
        for spec in ("swin", "swin_v2", "maxvit")
        for index, row in enumerate(row for row in TORCHVISION if row[0] == spec)
    ],
)
def test_computed_buffers_hold_torchvisions_values(spec, variant, name) -> None:
    state, drawn = oracle_model(name).state_dict(), DrawnWeights()
    computed = [
        ref for ref in graph_of(spec, variant).weights() if isinstance(ref.weight.init, Computed)
    ]
    assert computed
    for ref in computed:
        assert np.array_equal(drawn.array(ref), state[ref.key].numpy()), ref.key
