"""The benchmarks hang together; what they measure is measured by hand (docs/performance.md)."""

from importlib import import_module
from pathlib import Path

import pytest

from archc.compile import check_source
from archc.diagnostics import Source
from benchmarks.__main__ import TABLES
from benchmarks.large import _WIDE
from benchmarks.scaling import layers_spec

ROOT = Path(__file__).parents[1]


def test_every_table_is_run_and_described() -> None:
    files = (ROOT / "benchmarks").glob("*.py")
    tables = {file.stem for file in files if "\ndef table(" in file.read_text(encoding="utf-8")}
    assert tables == set(TABLES)
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert [name for name in TABLES if f"| `{name}` |" not in page] == []


@pytest.mark.parametrize("name", TABLES)
def test_a_table_says_what_it_measures_and_how_long_that_takes(name) -> None:
    module = import_module(f"benchmarks.{name}")
    assert "Takes" in module.ABOUT
    assert callable(module.table)


@pytest.mark.parametrize(("text", "layers"), [(layers_spec(40), 40), (_WIDE, 74)])
def test_the_specs_are_sound(text, layers) -> None:
    checked = check_source(Source("spec.yaml", text))
    assert checked.ok and len(checked.graph.nodes) == layers


def test_layers_that_are_alike_are_typed_once(monkeypatch) -> None:
    """What keeps long networks linear and quick, counted instead of timed."""
    from archc.graph import typing

    inferred = []
    infer = typing._infer
    monkeypatch.setattr(typing, "_infer", lambda *a: inferred.append(a[0]) or infer(*a))
    assert check_source(Source("spec.yaml", layers_spec(4000))).ok
    # The convolution, the norm, the sum and the activation; the first block reads the input.
    assert len(inferred) <= 8


def test_peers_get_the_weights_of_the_emitted_module() -> None:
    """torchvision's Swin has the same keys in another order, a plain Sequential has others."""
    import torch

    import archc
    from benchmarks.modules import _peer, load_same

    for name, image in (("swin_t", (1, 3, 224, 224)), ("lenet5", (1, 1, 32, 32))):
        ours, peer = archc.load(name).eval(), _peer(name).eval()
        load_same(peer, ours)
        x = torch.randn(image)
        with torch.no_grad():
            torch.testing.assert_close(ours(x), peer(x), rtol=1e-4, atol=1e-5)
