"""Values just inside and just outside what ops and functions take."""

from __future__ import annotations

import pytest

from archc.compile import check_source
from archc.diagnostics import Source


def found(layers: str, shape: str = "[N, 4, 8, 8]") -> list[str]:
    text = f"archc: 1\nname: net\ninputs: {{x: {shape}}}\nlayers: [{layers}]\n"
    return [item.code for item in check_source(Source("net.yaml", text)).diagnostics]


@pytest.mark.parametrize(
    ("layers", "shape"),
    [
        ("{dropout: 0.0}", "[N, 4]"),
        ("{dropout: 1.0}", "[N, 4]"),
        ("{prelu: true}", "[N, 4]"),
        ("batchnorm", "[N, 4]"),
        ("batchnorm", "[N, 4, 2, 2, 2]"),
        ("{linear: 3}", "[N, 4]"),
        ("{linear: 3, zero_bias: [0, 3]}", "[N, 4]"),
        ("{linear: 3, zero_bias: [1, 2]}", "[N, 4]"),
        ("{resize: , scale: 2, mode: nearest}", "[N, 4, 8, 8]"),
        ('{linear: "isqrt(0) + 1"}', "[N, 4]"),
        ('{linear: "2 ** 62"}', "[N, 1]"),
        ('{linear: "int(log(8, 2))"}', "[N, 4]"),
        ('{linear: "int(log(8, 0.5)) + 9"}', "[N, 4]"),
    ],
)
def test_inside(layers: str, shape: str) -> None:
    assert found(layers, shape) == []


@pytest.mark.parametrize(
    ("layers", "shape", "code"),
    [
        ("{dropout: -0.5}", "[N, 4]", "bad-value"),
        ("{dropout: 1.5}", "[N, 4]", "bad-value"),
        ("{dropout: true}", "[N, 4]", "wrong-type"),
        ("{prelu: true}", "[4]", "wrong-rank"),
        ("batchnorm", "[4]", "wrong-rank"),
        ("batchnorm", "[N, 4, 2, 2, 2, 2]", "wrong-rank"),
        ("{linear: 3}", "[4]", "wrong-rank"),
        ("{linear: 3, zero_bias: [0, 4]}", "[N, 4]", "bad-value"),
        ("{linear: 3, zero_bias: [2, 2]}", "[N, 4]", "bad-value"),
        ("{linear: 3, zero_bias: [-1, 2]}", "[N, 4]", "bad-value"),
        ("{resize: , scale: 0, mode: nearest}", "[N, 4, 8, 8]", "bad-value"),
        ('{linear: "isqrt(-1) + 1"}', "[N, 4]", "expression-type"),
        ('{linear: "2 ** 64"}', "[N, 1]", "expression-limit"),
        ('{linear: "int(log(8, 1))"}', "[N, 4]", "expression-type"),
        ('{linear: "int(log(8, 0))"}', "[N, 4]", "expression-type"),
        ('{linear: "int(log(0, 2))"}', "[N, 4]", "expression-type"),
    ],
)
def test_outside(layers: str, shape: str, code: str) -> None:
    assert found(layers, shape) == [code]
